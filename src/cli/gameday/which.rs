//! Finds the start of a game day that a command is about: the start of a slot, or a start by hand.

use std::path::Path;

use firedrill_gameday::{Gameday, Slot, due::GRACE, record};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::{
    cli::{
        days::{self, local},
        failure::{Failure, Result},
    },
    terminal,
};

/// The longest time before a slot at which it can be started.
const EARLY: SignedDuration = SignedDuration::from_hours(1);
/// The longest time after a slot at which it can still be started.
const LATE: SignedDuration = SignedDuration::from_hours(12);

/// The options that name a start.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhichArgs {
    /// The slot, by its name as `gameday list` shows it, such as 2026-12-04T14:00
    #[arg(long, value_name = "TIME")]
    pub(super) slot: Option<String>,
    /// A start by hand, outside of the schedule
    #[arg(long)]
    pub(super) now: bool,
}

/// A start of a game day.
pub(super) struct Which {
    /// The slot. A start by hand has a slot that is due at the time of the command.
    pub(super) slot: Slot,
    /// Whether it is a start by hand.
    pub(super) by_hand: bool,
    /// The key of a start by hand (--once): with each key the game day starts at most once.
    pub(super) once: Option<String>,
}

impl Which {
    /// Finds the start that the options name. The error is that the game day has no such slot.
    pub(super) fn of(gameday: &Gameday, args: &WhichArgs, now: Timestamp) -> Result<Self> {
        let Some(civil) = &args.slot else {
            let slot = by_hand(now.to_zoned(gameday.schedule.zone().clone()));
            return Ok(Self { slot, by_hand: true, once: None });
        };
        let slot = gameday.schedule.slot(civil).ok_or_else(|| {
            let next: Vec<String> =
                gameday.schedule.upcoming(now).take(3).map(|slot| slot.civil_text()).collect();
            let next = if next.is_empty() {
                "none is left".to_owned()
            } else {
                format!("the next are {}", next.join(", "))
            };
            Failure::new(format!(
                "{} has no slot {}; {next}",
                gameday.name,
                firedrill_wire::text::clean(civil, 40)
            ))
            .help("`firedrill gameday list` shows them; --now is a start by hand")
        })?;
        Ok(Self { slot, by_hand: false, once: None })
    }

    /// Returns the name under which agreements to this start are stored.
    pub(super) fn agreed_as(&self) -> String {
        if self.by_hand { record::NOW.to_owned() } else { self.slot.civil_text() }
    }

    /// Returns the name of this start's record.
    pub(super) fn recorded_as(&self) -> String {
        if let Some(key) = &self.once {
            record::once(key)
        } else if self.by_hand {
            format!("{}{}", record::BY_HAND, self.slot.due.timestamp().strftime("%Y%m%dT%H%M%S.%3fZ"))
        } else {
            self.slot.civil_text()
        }
    }

    /// Names the game day and this start for people: `friday of 2026-12-04T14:00`, `friday, start by hand` or `friday, start KEY`.
    pub(super) fn words(&self, gameday: &Gameday) -> String {
        if let Some(key) = &self.once {
            format!("{}, start {key}", gameday.name)
        } else if self.by_hand {
            format!("{}, start by hand", gameday.name)
        } else {
            format!("{} of {}", gameday.name, self.slot.civil_text())
        }
    }

    /// Fails if the slot began more than [`LATE`] ago.
    pub(super) fn not_over(&self, now: Timestamp) -> Result<()> {
        let starts = self.slot.starts();
        if now.duration_since(starts.timestamp()) <= LATE {
            return Ok(());
        }
        Err(Failure::new(format!("this slot is over: it started {}", local(&starts))))
    }

    /// Returns the time for which agreements are counted if the start happens at `now`: the slot's own time if it is started in time, else
    /// `now`.
    pub(super) fn counts_at(&self, now: Timestamp) -> Timestamp {
        let starts = self.slot.starts().timestamp();
        if now.duration_since(starts).abs() <= GRACE { starts } else { now }
    }

    /// Fails if the slot is too far in the future or in the past to be started.
    pub(super) fn in_reach(&self, now: Timestamp) -> Result<()> {
        let starts = self.slot.starts();
        let ahead = starts.timestamp().duration_since(now);
        if ahead <= EARLY && ahead >= -LATE {
            return Ok(());
        }
        Err(Failure::new(format!("this slot starts {}", local(&starts)))
            .help("a slot is started at most 1 h early and 12 h late; --now starts the game day outside of its schedule"))
    }
}

/// Returns a slot that is due at the time `at`.
fn by_hand(at: Zoned) -> Slot {
    Slot { civil: at.datetime(), due: at, delay: SignedDuration::ZERO, note: None }
}

/// Reads a game day for a command that is about one start. If it has errors, prints them and returns `None`.
pub(super) fn gameday(file: &Path, now: Timestamp) -> Option<Gameday> {
    let (gameday, report) = days::read(file, &firedrill_gameday::zones(), now);
    terminal::err(format_args!("{}", report.render(true, days::WIDTH)));
    gameday.filter(|_| !report.failed())
}
