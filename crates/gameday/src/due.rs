//! Decides which slots of a game day a server has to start, and which were missed. Reads no clock: the caller gives the times.

use jiff::{SignedDuration, Timestamp};

use crate::{gameday::Gameday, schedule::Slot};

/// Maximum time after a slot's start at which the slot is still started. It allows for a server that restarts at that time, and for a busy
/// machine.
pub const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// Maximum number of slots of a game day that are returned. If there are more, the newest are returned.
const TOLD: usize = 20;

/// The decision about a slot whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It is due: start it.
    Start,
    /// It was not started at its time, for this reason. It is not started later either.
    Missed(String),
}

/// Returns the slots whose start is after `since` and not after `now`, with the decision about each. `since` is the `now` of the caller's previous
/// call; `changed` is the time of the last change to the game day's file.
#[must_use]
pub fn due(gameday: &Gameday, changed: Timestamp, since: Timestamp, now: Timestamp) -> Vec<(Slot, Fate)> {
    let mut slots: Vec<(Slot, Fate)> = Vec::new();
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
        if slots.len() == TOLD {
            slots.remove(0);
        }
        slots.push((slot, fate));
    }
    slots
}

/// Returns the start of the next slot after a moment; `None` if there is none.
#[must_use]
pub fn next(gameday: &Gameday, after: Timestamp) -> Option<Timestamp> {
    Some(gameday.schedule.upcoming(after).next()?.starts().timestamp())
}

#[cfg(test)]
mod tests;
