//! Records of slots: which were held, by whom and with which runs, and which were not, and why.
//!
//! A record is a file in a hidden folder of the directory of runs. Creating it claims the slot, so no slot is held twice, whoever
//! starts it. The program that holds the slot keeps the file locked.

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

/// The folder of records in a directory of runs. Hidden folders are no runs.
pub const FOLDER: &str = ".gamedays";
/// The record's file in a slot's folder.
const FILE: &str = "record.jsonl";
/// The file of agreements in a slot's folder.
const AGREED: &str = "agreed.jsonl";
/// The file that has the output of the program that holds a slot, where a server started it.
pub const OUTPUT: &str = "output.txt";
/// The names of records of starts by hand begin with this.
pub const BY_HAND: &str = "by-hand-";
/// The names of records of starts that happen once for a key begin with this.
const ONCE: &str = "once-";
/// The name that stands for a start by hand, which has no slot, where people agree to it.
pub const NOW: &str = "now";
/// Maximum size of a file that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Returns the folder of a slot. `slot` is its civil time, or the name of a start by hand.
///
/// # Errors
/// One of the names cannot be that of a folder.
pub fn folder(reports: &Path, gameday: &str, slot: &str) -> io::Result<PathBuf> {
    let fits = |name: &str| {
        !name.is_empty() && name.len() <= NAME_MOST && !name.starts_with('.') && name.bytes().all(is_sign)
    };
    match [gameday, slot].into_iter().find(|name| !fits(name)) {
        Some(name) => {
            let why = format!("`{}` names no slot", clean(name, 40));
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
        None => Ok(reports.join(FOLDER).join(gameday).join(slot)),
    }
}

/// Maximum length of a key of a start that happens once, in bytes.
const KEY_MOST: usize = 40;

/// Checks the key of a start that happens once.
///
/// # Errors
/// The text is no key: in words for people.
pub fn check_key(text: &str) -> Result<(), String> {
    if (1..=KEY_MOST).contains(&text.len()) && text.bytes().all(is_sign) {
        return Ok(());
    }
    Err(format!("`{}` is no key: 1 to {KEY_MOST} letters, digits, `-`, `:` and `.`", clean(text, KEY_MOST)))
}

/// Returns the name of the record of a start that happens once for a key.
#[must_use]
pub fn once(key: &str) -> String {
    format!("{ONCE}{key}")
}

/// Whether the name of a record is that of a start outside of the schedule.
pub(crate) fn is_outside_of_schedule(slot: &str) -> bool {
    slot.starts_with(BY_HAND) || slot.starts_with(ONCE)
}

/// Whether the name of a game day or of a slot may have this sign.
const fn is_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.')
}

#[cfg(test)]
mod tests;
