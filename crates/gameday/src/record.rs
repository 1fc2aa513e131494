//! Records of slots. A record says who held a slot with which runs, or why the slot was not held.
//!
//! A record is a file in a hidden folder of the directory of runs. Creating it claims the slot, so two programs
//! cannot hold the same slot. The program that holds the slot keeps the file locked.

mod agreed;
mod line;
mod read;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
};

use firedrill_wire::text::{NAME_MOST, clean};

pub use agreed::{Agreement, Go, agree, agreed_by, agreements, go};
pub use line::{Draw, Event, Firing, Line, Reason};
pub use read::{Record, State, all, beginnings, of_slot};
pub use write::{NotClaimed, Writer};

/// The folder of records in a directory of runs. It is hidden, so it is not taken for a run.
pub const FOLDER: &str = ".gamedays";
/// The record's file in a slot's folder.
const FILE: &str = "record.jsonl";
/// The file of agreements in a slot's folder.
const AGREED: &str = "agreed.jsonl";
/// The file with the output of the program that holds a slot. It exists only if a server started the program.
pub const OUTPUT: &str = "output.txt";
/// The prefix of the names of starts by hand.
pub const BY_HAND: &str = "by-hand-";
/// The prefix of the names of starts with a key. There is only one start for each key.
const ONCE: &str = "once-";
/// The name that stands in place of a slot where people agree to a start by hand.
pub const NOW: &str = "now";
/// Maximum size of a file that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Returns the folder of a slot. `slot` is its civil time, or the name of a start by hand.
///
/// # Errors
/// A name is empty, too long, or has characters that are not allowed.
pub fn folder(reports: &Path, gameday: &str, slot: &str) -> io::Result<PathBuf> {
    let fits = |name: &str| {
        !name.is_empty() && name.len() <= NAME_MOST && !name.starts_with('.') && name.bytes().all(is_allowed)
    };
    match [gameday, slot].into_iter().find(|name| !fits(name)) {
        Some(name) => {
            let why = format!("`{}` names no slot", clean(name, SHOWN_MOST));
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
        None => Ok(reports.join(FOLDER).join(gameday).join(slot)),
    }
}

/// Maximum length of a wrong name in a message, in characters.
const SHOWN_MOST: usize = 40;
/// Maximum length of the key of a start, in bytes.
const KEY_MOST: usize = 40;

/// Checks the key of a start.
///
/// # Errors
/// The text is not valid as a key. The error is a sentence for people.
pub fn check_key(text: &str) -> Result<(), String> {
    if (1..=KEY_MOST).contains(&text.len()) && text.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(format!("`{}` is no key: 1 to {KEY_MOST} letters, digits, `-`, `:` and `.`", clean(text, SHOWN_MOST)))
}

/// Returns the name of the start for a key, which stands in place of a slot.
#[must_use]
pub fn once(key: &str) -> String {
    format!("{ONCE}{key}")
}

/// Whether the name in place of a slot is that of a start outside of the schedule.
pub(crate) fn is_outside_of_schedule(slot: &str) -> bool {
    slot.starts_with(BY_HAND) || slot.starts_with(ONCE)
}

/// Whether this character is allowed in the name of a game day, in that of a slot, and in the key of a start.
const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.')
}

#[cfg(test)]
mod tests;
