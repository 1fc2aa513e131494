//! Senders of messages to the channels that game days name: one for each file and choice of channels, kept as long as the server lives.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use firedrill_gameday::{Gameday, Slot, due::GRACE, record};
use firedrill_notify::Message;
use firedrill_wire::Span;
use jiff::{SignedDuration, Timestamp};

use super::invitation::invitation;
use crate::{
    cli::{channels::of_gameday, days::local},
    told::{Teller, announced},
};

/// Maximum number of slots of a game day that are checked for announcements.
const SLOTS: usize = 2000;

/// A file of channels, and the names of the channels that get the messages.
type Key = (PathBuf, Vec<String>);
/// The time at which the file of channels was changed, and the sender of messages; `None` if the file cannot be used, which was printed.
type Kept = (Option<SystemTime>, Option<Teller>);

/// The senders of messages.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Tellers {
    /// The directory of runs, which has the spool.
    reports: PathBuf,
    kept: Arc<Mutex<BTreeMap<Key, Kept>>>,
}

impl Tellers {
    /// No sender yet.
    pub(super) fn of(reports: &Path) -> Self {
        Self { reports: reports.to_owned(), kept: Arc::default() }
    }

    /// Sends a message to the channels of a game day, if it names any. Reads the file of channels again if it has changed.
    pub(super) fn tell(&self, gameday: &Gameday, message: &Message) {
        if gameday.notify.is_empty() {
            return;
        }
        let changed = fs::metadata(&gameday.channels).and_then(|meta| meta.modified()).ok();
        let key = (gameday.channels.clone(), gameday.notify.clone());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(&key).is_none_or(|(since, _)| *since != changed) {
            kept.insert(key.clone(), (changed, of_gameday(&self.reports, gameday)));
        }
        if let Some((_, Some(teller))) = kept.get(&key) {
            teller.tell(message);
        }
    }

    /// Delivers the messages that are left, and ends the senders.
    pub(in crate::cli) fn finish(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.into_values().filter_map(|(_, teller)| teller).for_each(|teller| teller.finish());
    }

    /// Sends the announcements of slots that became due after `since` and not after `now`. Slots with a record are left out.
    pub(super) fn announce(&self, gamedays: &[Gameday], since: Timestamp, now: Timestamp) {
        for gameday in gamedays.iter().filter(|gameday| !gameday.notify.is_empty()) {
            for (slot, times) in soon(gameday, since, now) {
                if let Ok(None) = record::of_slot(&self.reports, &gameday.name, &slot.civil_text()) {
                    let starts = local(&slot.starts());
                    self.tell(
                        gameday,
                        &announced(gameday, &slot, times, (&starts, invitation(gameday, now))),
                    );
                }
            }
        }
    }
}

/// Returns the slots that are announced now. Each has two lengths of time: the entry of `announce` that is due, and the time until the start
/// that the message names. If several announcements of a slot are late, only the last is sent.
fn soon(gameday: &Gameday, since: Timestamp, now: Timestamp) -> Vec<(Slot, (Span, Span))> {
    // `announce` is sorted, the longest time first.
    let Some(Ok(longest)) = gameday.announce.first().map(|span| SignedDuration::try_from(span.0)) else {
        return Vec::new();
    };
    let Ok(until) = now.checked_add(longest) else { return Vec::new() };
    let slots = gameday.schedule.upcoming(now).take(SLOTS);
    let near = slots.take_while(|slot| slot.starts().timestamp() <= until);
    let announced = near.filter(|slot| gameday.why_closed(slot).is_none()).filter_map(|slot| {
        let starts = slot.starts().timestamp();
        let due = |before: Span| {
            let at = starts.checked_sub(SignedDuration::try_from(before.0).ok()?).ok()?;
            (at > since && at <= now).then_some((before, at))
        };
        let (before, at) = gameday.announce.iter().rev().find_map(|before| due(*before))?;
        let left = Span::secs(starts.duration_since(now).as_secs().unsigned_abs());
        // A late announcement names the time that is really left.
        Some((slot, (before, if now.duration_since(at) > GRACE { left } else { before })))
    });
    announced.collect()
}

#[cfg(test)]
mod tests {
    use firedrill_plan::diagnostic::Sink;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn gameday() -> Gameday {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("day.toml");
        let text = "schema = 1\nname = \"day\"\nscenarios = [\"a.toml\"]\nfleet = \"f.toml\"\nannounce = [\"15m\", \"1d\"]\nnotify = [\"ops\"]\n\
                    not_on = [\"2026-12-06\"]\nschedule = { cron = \"0 14 * * *\", zone = \"UTC\" }\n";
        fs::write(&file, text).expect("written");
        let read = firedrill_gameday::read(
            &file,
            &firedrill_gameday::zones(),
            at("2026-12-01T00:00:00Z"),
            &mut Sink::default(),
        );
        read.expect("it is right")
    }

    /// Returns the slots that are announced, each with the time until its start that the message names.
    fn told(since: &str, now: &str) -> Vec<(String, String)> {
        let slots = soon(&gameday(), at(since), at(now)).into_iter();
        slots.map(|(slot, (_, left))| (slot.civil_text(), left.to_string())).collect()
    }

    #[test]
    fn a_slot_is_announced_at_each_of_its_times_once() {
        assert_eq!(
            told("2026-12-04T13:44:50Z", "2026-12-04T13:45:10Z"),
            [("2026-12-04T14:00".to_owned(), "15m".to_owned())]
        );
        assert_eq!(told("2026-12-04T13:45:10Z", "2026-12-04T13:45:40Z"), []);
        assert_eq!(
            told("2026-12-03T13:59:50Z", "2026-12-03T14:00:10Z"),
            [("2026-12-04T14:00".to_owned(), "1day".to_owned())]
        );
        assert_eq!(told("2026-12-05T13:59:50Z", "2026-12-05T14:00:10Z"), [], "the 6th is closed");
    }

    #[test]
    fn a_late_announcement_says_the_time_that_is_left() {
        assert_eq!(
            told("2026-12-03T10:00:00Z", "2026-12-04T13:50:00Z")[0],
            ("2026-12-04T14:00".to_owned(), "10m".to_owned())
        );
        assert_eq!(
            told("2026-12-03T10:00:00Z", "2026-12-04T14:00:10Z")
                .iter()
                .filter(|(slot, _)| slot == "2026-12-04T14:00")
                .count(),
            0,
            "it has begun"
        );
    }
}
