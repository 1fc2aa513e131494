//! Decides what is due: which slots a server starts, and which it has missed. Knows no clock: the times are given.

use jiff::{SignedDuration, Timestamp};

use crate::{gameday::Gameday, schedule::Slot};

/// The longest delay with which a slot is still started: a server that is restarted at that moment, or a machine that is busy.
pub const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Number of missed slots of a game day that are told; of more, the newest.
const TOLD: usize = 20;

/// The action that a slot needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is due: start it.
    Start,
    /// It was not started at its time, for this reason. It is never made up for.
    Missed(String),
}

/// Returns the slots whose start lies after `since` and not after `now`, with what is to be done. `since` is the moment at which somebody
/// looked before; `changed` is the time at which the game day's file was changed last.
#[must_use]
pub fn due(gameday: &Gameday, changed: Timestamp, since: Timestamp, now: Timestamp) -> Vec<(Slot, Fate)> {
    let mut all: Vec<(Slot, Fate)> = Vec::new();
    for slot in gameday.schedule.upcoming(since) {
        let starts = slot.starts().timestamp();
        if starts > now {
            break;
        }
        let fate = if changed > starts {
            Fate::Missed("its file was changed after its time".to_owned())
        } else if now.duration_since(starts) > GRACE {
            Fate::Missed("no control room ran at its time".to_owned())
        } else {
            Fate::Start
        };
        if all.len() == TOLD {
            all.remove(0);
        }
        all.push((slot, fate));
    }
    all
}

/// Returns the start of the next slot after a moment.
#[must_use]
pub fn next(gameday: &Gameday, after: Timestamp) -> Option<Timestamp> {
    Some(gameday.schedule.upcoming(after).next()?.starts().timestamp())
}

#[cfg(test)]
mod tests;
