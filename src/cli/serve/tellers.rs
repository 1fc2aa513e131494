//! The ways to the channels that game days name: one for each file and choice of channels, as long as the server lives.

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

/// Number of slots of a game day that are looked at for announcements.
const SLOTS: usize = 2000;

/// A file of channels, and those of it that are told.
type Key = (PathBuf, Vec<String>);
/// The time at which a file was changed, and the way to its channels; no way where it cannot be used, which was told.
type Way = (Option<SystemTime>, Option<Teller>);

/// The ways to channels.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Tellers {
    reports: PathBuf,
    all: Arc<Mutex<BTreeMap<Key, Way>>>,
}

impl Tellers {
    /// No way yet.
    pub(super) fn of(reports: &Path) -> Self {
        Self { reports: reports.to_owned(), all: Arc::default() }
    }

    /// Tells the channels of a game day, if it names any.
    pub(super) fn tell(&self, gameday: &Gameday, message: &Message) {
        if gameday.notify.is_empty() {
            return;
        }
        let changed = fs::metadata(&gameday.channels).and_then(|about| about.modified()).ok();
        let key = (gameday.channels.clone(), gameday.notify.clone());
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&key).is_none_or(|(since, _)| *since != changed) {
            all.insert(key.clone(), (changed, of_gameday(&self.reports, gameday)));
        }
        if let Some((_, Some(teller))) = all.get(&key) {
            teller.tell(message);
        }
    }

    /// Delivers what is left, and ends the ways.
    pub(in crate::cli) fn finish(&self) {
        let all = std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_values().filter_map(|(_, teller)| teller).for_each(|teller| teller.finish());
    }

    /// Tells of slots that are due soon: what became due after `since`, and not after `now`.
    pub(super) fn announce(&self, all: &[Gameday], since: Timestamp, now: Timestamp) {
        for gameday in all.iter().filter(|gameday| !gameday.notify.is_empty()) {
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

/// Returns the slots that are announced now, each with the time at which it is announced and the time that is left until its start. Of several
/// announcements that are late the last is told.
fn soon(gameday: &Gameday, since: Timestamp, now: Timestamp) -> Vec<(Slot, (Span, Span))> {
    // The longest comes first.
    let Some(Ok(longest)) = gameday.announce.first().map(|span| SignedDuration::try_from(span.0)) else {
        return Vec::new();
    };
    let Ok(until) = now.checked_add(longest) else { return Vec::new() };
    let slots = gameday.schedule.upcoming(now).take(SLOTS);
    let near = slots.take_while(|slot| slot.starts().timestamp() <= until);
    let told = near.filter(|slot| gameday.why_closed(slot).is_none()).filter_map(|slot| {
        let starts = slot.starts().timestamp();
        let due = |before: Span| {
            let at = starts.checked_sub(SignedDuration::try_from(before.0).ok()?).ok()?;
            (at > since && at <= now).then_some((before, at))
        };
        let (before, at) = gameday.announce.iter().rev().find_map(|before| due(*before))?;
        let left = Span::secs(starts.duration_since(now).as_secs().unsigned_abs());
        Some((slot, (before, if now.duration_since(at) > GRACE { left } else { before })))
    });
    told.collect()
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

    fn told(since: &str, now: &str) -> Vec<(String, String)> {
        let all = soon(&gameday(), at(since), at(now)).into_iter();
        all.map(|(slot, (_, left))| (slot.civil_text(), left.to_string())).collect()
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
