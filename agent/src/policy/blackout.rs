//! Times in which nothing is injected: days and hours, UTC. Never reads a clock.

use firedrill_wire::Span;
use serde::Deserialize;

/// A minute, in microseconds.
const MINUTE_US: u64 = 60_000_000;
/// A day, in minutes.
const DAY_MINUTES: u64 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const WEEK: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// Returns the day of the week that is a number of days after 1970-01-01, which was a Thursday.
    fn of(days: u64) -> Self {
        Self::WEEK[usize::try_from((days + 3) % 7).unwrap_or(0)]
    }
}

/// A time in which nothing is injected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// The reason, for refusals.
    pub name: String,
    /// The days on which it begins; empty means every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// The time of day at which it begins, UTC, `HH:MM`.
    #[serde(default = "midnight")]
    pub from: String,
    /// The time of day at which it ends; if that is not after `from`, it ends on the next day.
    #[serde(default = "midnight")]
    pub to: String,
}

fn midnight() -> String {
    "00:00".to_owned()
}

/// Returns the minutes from midnight to a time of day from `00:00` to `24:00`; `None` if the text has another form.
fn minutes(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| (part.len() == 2).then(|| part.parse::<u64>().ok()).flatten();
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    ((hours < 24 && minutes < 60) || (hours == 24 && minutes == 0)).then_some(hours * 60 + minutes)
}

impl Blackout {
    pub(super) fn validate(&self) -> Result<(), String> {
        for (key, value) in [("from", &self.from), ("to", &self.to)] {
            if minutes(value).is_none() {
                return Err(format!(
                    "policy.blackout \"{}\": {key} = \"{value}\" is not a time of day; write \"08:00\" (UTC)",
                    self.name
                ));
            }
        }
        Ok(())
    }

    /// Whether it overlaps a hold that begins at `wall_us` (microseconds since 1970 UTC).
    pub(super) fn meets(&self, wall_us: u64, hold: Span) -> bool {
        // A blackout that cannot be read counts at all times.
        let (Some(from), Some(to)) = (minutes(&self.from), minutes(&self.to)) else { return true };
        let length = if to > from { to - from } else { DAY_MINUTES - from + to };
        let first = wall_us / MINUTE_US;
        let last = wall_us.saturating_add(hold.as_micros()) / MINUTE_US;
        // A blackout that began the day before may not have ended yet.
        ((first / DAY_MINUTES).saturating_sub(1)..=last / DAY_MINUTES)
            .filter(|&day| self.days.is_empty() || self.days.contains(&Day::of(day)))
            .map(|day| day * DAY_MINUTES + from)
            .any(|begins| begins <= last && first < begins + length)
    }

    /// Returns its days and hours, for people.
    pub(super) fn sentence(&self) -> String {
        let days = if self.days.is_empty() {
            "every day".to_owned()
        } else {
            let days: Vec<String> = self.days.iter().map(|day| format!("{day:?}")).collect();
            format!("on {}", days.join(", "))
        };
        format!("{days} from {} to {} UTC", self.from, self.to)
    }
}
