//! Checks the schedule of a game day: its pattern, its time zone, its delay and its chance.

use firedrill_plan::diagnostic::{Problem, nearest};
use firedrill_wire::{Share, Span};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Reader;
use crate::{
    closed::Closed,
    cron::Cron,
    file::ScheduleFile,
    gameday::{OF_KEY, OF_VALUE},
    pattern::{Every, Pattern, Step},
    schedule::{Schedule, Slot},
    times::{date, moment, time, zone},
};

/// Maximum of `jitter`, the delay of a slot.
const JITTER_MOST: Span = Span::secs(12 * 3600);
/// Minimum of `chance`. With a smaller chance, the search for the next slot would take long.
const CHANCE_LEAST: Share = Share::per_cent(1);
/// Number of the next slots for which the delay and `not_on` are checked.
const LOOKED_AT: usize = 200;

impl Reader<'_> {
    /// Reads the schedule; `None` if its pattern or its zone has errors.
    pub(super) fn schedule(&mut self) -> Option<Schedule> {
        let own = self.file().schedule.clone();
        let zone = self.zone(&own.zone);
        let pattern = self.pattern(&own);
        if let Some(jitter) = own.jitter.filter(|jitter| *jitter > JITTER_MOST) {
            let message = format!("a delay of up to {jitter} is longer than half a day");
            self.wrong(&["schedule", "jitter"], message, "too long", "at most \"12h\"");
        }
        self.chance(&own);
        let name = self.file().name.clone();
        Some(Schedule { name, pattern: pattern?, zone: zone?, jitter: own.jitter, chance: own.chance })
    }

    fn chance(&mut self, own: &ScheduleFile) {
        let Some(chance) = own.chance else { return };
        if chance < CHANCE_LEAST {
            let message = format!("a chance of {chance} is next to none");
            self.wrong(&["schedule", "chance"], message, "too small", format!("at least \"{CHANCE_LEAST}\""));
        } else if own.once.is_some() {
            let message = "`chance` has no meaning beside `once`";
            self.wrong(&["schedule", "chance"], message, "only with `cron` or `every`", "remove it");
        }
    }

    fn zone(&mut self, name: &str) -> Option<TimeZone> {
        let found = zone(name, self.zones);
        // A missing key was already reported when the file was read.
        if found.is_none() && self.item.text_at(&["schedule", "zone"]).is_some() {
            let known: Vec<String> = self.zones.available().map(|name| name.to_string()).collect();
            let known = known.iter().map(String::as_str);
            let message = format!("`{name}` is not the name of a time zone");
            let help = suggest_zone(name, known);
            self.wrong(&["schedule", "zone"], message, "no such zone", help);
        }
        found
    }

    fn pattern(&mut self, own: &ScheduleFile) -> Option<Pattern> {
        let keys =
            [("cron", own.cron.is_some()), ("every", own.every.is_some()), ("once", own.once.is_some())];
        let kinds: Vec<&str> = keys.iter().filter(|(_, is_given)| *is_given).map(|(kind, _)| *kind).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            // The kind may be missing only because it could not be read, which was already reported.
            [] if self.item.broken => return None,
            [] => {
                let help = "{ cron = \"0 14 * * FRI\" }, { every = \"2 weeks\", from = \"2026-10-09\", at = \"14:00\" } or { once = \
                            \"2026-12-04T14:00\" }, each with its `zone`";
                self.wrong(
                    &["schedule"],
                    "the schedule does not say when",
                    "needs `cron`, `every` or `once`",
                    help,
                );
                return None;
            }
            [first, second, ..] => {
                let message = format!("the schedule has `{first}` and `{second}`");
                let place = self.item.place_at(&["schedule", second], OF_KEY);
                let other = self.item.place_at(&["schedule", first], OF_KEY);
                let problem = Problem::error(message).at(place, "one of them").also(other, "or the other");
                self.sink.push(problem.help("several schedules are several game days"));
                return None;
            }
        };
        for (key, given) in [("from", own.from.is_some()), ("at", own.at.is_some())] {
            if given && kind != "every" {
                let place = self.item.place_at(&["schedule", key], OF_KEY);
                let message = format!("`{key}` has no meaning beside `{kind}`");
                self.sink.push(Problem::error(message).at(place, "only with `every`").help("remove it"));
            }
        }
        match kind {
            "cron" => self.cron(own.cron.as_deref()?),
            "once" => {
                let once = own.once.as_deref()?;
                let at = moment(once);
                if at.is_none() {
                    let message = format!("`{once}` is no date and time");
                    self.wrong(
                        &["schedule", "once"],
                        message,
                        "not a moment",
                        "for example \"2026-12-04T14:00\", in the time of `zone`",
                    );
                }
                at.map(Pattern::Once)
            }
            _ => self.every(own),
        }
    }

    fn cron(&mut self, text: &str) -> Option<Pattern> {
        match Cron::parse(text) {
            Ok(cron) => Some(Pattern::Cron(cron)),
            Err(error) => {
                let mut place = self.item.place_at(&["schedule", "cron"], OF_VALUE);
                // The place includes the quotes. If the place without them is as long as the text, the text has no escapes, and the error's bytes can be
                // marked exactly.
                if place.at.len() == text.len() + 2 {
                    let start = place.at.start + 1;
                    place.at = start + error.at.start..start + error.at.end.max(error.at.start + 1);
                }
                let problem = Problem::error(format!("in the cron pattern `{text}`: {}", error.message));
                self.sink.push(problem.at(place, "here").help(error.help));
                None
            }
        }
    }

    fn every(&mut self, own: &ScheduleFile) -> Option<Pattern> {
        let every = own.every.as_deref()?;
        let step = Step::parse(every);
        if step.is_none() {
            let message = format!("`{every}` is no number of days, weeks or months");
            self.wrong(
                &["schedule", "every"],
                message,
                "not a step",
                "\"1 week\", \"2 weeks\", \"10 days\", \"3 months\"",
            );
        }
        let mut needed = |key: &str, value: Option<&str>, example: &str| {
            if value.is_none() && !self.item.broken {
                let place = self.item.place_at(&["schedule", "every"], OF_KEY);
                let message = format!("`every` needs `{key}`");
                self.sink
                    .push(Problem::error(message).at(place, format!("`{key}` is missing")).help(example));
            }
        };
        needed("from", own.from.as_deref(), "from = \"2026-10-09\" is the first day");
        needed("at", own.at.as_deref(), "at = \"14:00\"");
        let (from, at) = (own.from.as_deref()?, own.at.as_deref()?);
        let (day, clock) = (date(from), time(at));
        if day.is_none() {
            self.wrong(
                &["schedule", "from"],
                format!("`{from}` is no date"),
                "not a date",
                "for example \"2026-10-09\"",
            );
        }
        if clock.is_none() {
            self.wrong(
                &["schedule", "at"],
                format!("`{at}` is no time of day"),
                "not a time",
                "for example \"14:00\"",
            );
        }
        Some(Pattern::Every(Every { step: step?, anchor: day?, at: clock? }))
    }

    /// Reports a delay that can reach into the next slot. Warns if no slot is left, and if all next slots are in closed times.
    pub(super) fn is_due(&mut self, schedule: &Schedule, closed: &[Closed], now: Timestamp) {
        let slots: Vec<Slot> = schedule.upcoming(now).take(LOOKED_AT).collect();
        let place = self.item.place_of_key("schedule");
        let Some(first) = slots.first() else {
            let problem = Problem::warning(format!("the game day is not due any more: {schedule}"));
            self.sink.push(problem.at(place, "has no slot left").help("move it, or delete the file"));
            return;
        };
        let pairs = slots.iter().zip(slots.iter().skip(1));
        let longest_delay = schedule.jitter.and_then(|jitter| SignedDuration::try_from(jitter.0).ok());
        let reaches_next = |(slot, next): &(&Slot, &Slot)| {
            longest_delay.is_some_and(|delay| slot.due.timestamp() + delay >= next.due.timestamp())
        };
        if let Some((slot, next)) = pairs.into_iter().find(reaches_next) {
            let message = format!(
                "the delay may reach from {} into the next slot at {}",
                slot.civil_text(),
                next.civil_text()
            );
            self.wrong(
                &["schedule", "jitter"],
                message,
                "too long for this schedule",
                "the delay has to be shorter than the time between two slots",
            );
        }
        let zone = schedule.zone();
        let why = |slot: &Slot| {
            closed.iter().find(|closed| closed.covers(slot, zone)).map(|closed| closed.why.clone())
        };
        if let Some(why) = why(first).filter(|_| slots.iter().all(|slot| why(slot).is_some())) {
            let times = if slots.len() == 1 {
                "its one slot".to_owned()
            } else {
                format!("each of its next {} slots", slots.len())
            };
            let problem = Problem::warning(format!(
                "the game day is never held: {times} is in `not_on` (at {}: {why})",
                first.civil_text()
            ));
            let place = self.item.place_at(&["not_on"], OF_KEY);
            self.sink.push(
                problem.at(place, "excludes all of them").help("move the schedule, or shorten the list"),
            );
        }
    }
}

/// Suggests a zone for a wrong name. The name may be only a city, or have another spelling.
fn suggest_zone<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let lower = name.to_ascii_lowercase().replace(' ', "_");
    let is_same = |zone: &&str| {
        let zone = zone.to_ascii_lowercase();
        zone == lower || zone.rsplit('/').next() == Some(lower.as_str())
    };
    match known.clone().find(is_same) {
        Some(zone) => format!("did you mean `{zone}`?"),
        None => {
            let near = nearest(name, known);
            near.map_or_else(
                || "an IANA name such as \"Europe/Berlin\", or \"UTC\"; offsets and abbreviations do not say when clocks change".to_owned(),
                |zone| format!("did you mean `{zone}`?"),
            )
        }
    }
}
