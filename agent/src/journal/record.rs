//! The records of the journal: one per line, preceded by its checksum.
//!
//! A line is eight hexadecimal digits (CRC-32 of the rest), a space, and JSON. Nothing here opens a file.

use firedrill_wire::{InjectionId, RunId, api::About, journal::AgentEvent};
use serde::{Deserialize, Serialize};

use crate::{identity::Identity, injection::Live, undo::Undo};

/// The format that this build writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// A run or injection that must never start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tombstone {
    /// One injection.
    Injection(InjectionId),
    /// All injections of a run.
    Run(RunId),
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The machine and agent that wrote the following records. Each start of an agent writes one.
    Header {
        /// The format's version.
        format: u32,
        /// The machine and boot.
        identity: Identity,
        /// The agent's version.
        version: String,
        /// The number of the newest event so far; the next event has the number after it.
        #[serde(default)]
        last_seq: u64,
    },
    /// An injection is armed. From here on it will be undone, whichever process dies.
    Intent(Box<Intent>),
    /// A more exact undo, known once the effect was made; replaces the intent's.
    BetterUndo {
        /// The injection.
        injection: InjectionId,
        /// The actions of the undo.
        undo: Vec<Undo>,
    },
    /// A tombstone: a delayed request to arm this run or injection is refused.
    Tombstone {
        /// The run or injection that must never start.
        #[serde(flatten)]
        stone: Tombstone,
        /// Whether the run or injection was unknown to this agent.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stray: bool,
    },
    /// An event, which is sent on to coordinators.
    Event(AgentEvent),
}

/// An injection as it was armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The machine and boot in which it was armed. In another boot, also of a clone of the disk, only effects on disk
    /// are undone: all others ended with their kernel.
    pub identity: Identity,
    /// Its run.
    pub run: RunId,
    /// The plan's digest.
    pub plan_digest: String,
    /// Texts for people.
    pub about: About,
    /// The time of its start, by CLOCK_BOOTTIME in microseconds.
    pub start_boot_us: u64,
    /// The prepared injection with its end: the planned one until the effect is in force, then the real one.
    pub live: Live,
}

impl Intent {
    /// Returns the injection's id.
    #[must_use]
    pub const fn id(&self) -> &InjectionId {
        &self.live.ask.id
    }

    /// Sets the time since which it is in force (CLOCK_BOOTTIME, microseconds), from which its hold is counted.
    pub fn in_force_at(&mut self, boot_us: u64) {
        self.live.ends_boot_us = boot_us.saturating_add(self.live.ask.hold.as_micros());
    }
}

/// Encodes a record as a line with its line break.
///
/// # Errors
/// It cannot be encoded as JSON.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(record)?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// Decodes a line without its line break.
///
/// # Errors
/// A description of the damage.
pub(super) fn decode(line: &[u8]) -> Result<Record, String> {
    // Eight digits of the checksum, and a space.
    let (sum, json) = line.split_at_checked(9).ok_or("shorter than its checksum")?;
    if format!("{:08x} ", crc32fast::hash(json)).as_bytes() != sum {
        return Err("its checksum does not match".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("not a record that this version knows ({error})"))
}

/// Returns the record of a line, or of a damaged line the complete records in it, as [`replay`](super::replay::replay) does.
#[must_use]
pub(super) fn records_of(line: &[u8]) -> Vec<Record> {
    decode(line).map_or_else(|_| salvage(line), |record| vec![record])
}

/// Finds complete records in a damaged line: a damaged line break joins two records.
#[must_use]
pub(super) fn salvage(line: &[u8]) -> Vec<Record> {
    let mut found = Vec::new();
    // A record begins with its checksum, a space, and the brace of its JSON.
    let starts: Vec<usize> = (0..line.len())
        .filter(|&at| {
            line[at..].get(8..10) == Some(b" {") && line[at..at + 8].iter().all(u8::is_ascii_hexdigit)
        })
        .collect();
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(line.len());
        // The byte before the next record may be a damaged line break.
        if let Some(record) = [end, end.saturating_sub(1)]
            .into_iter()
            .filter(|&end| end > start)
            .find_map(|end| decode(&line[start..end]).ok())
        {
            found.push(record);
        }
    }
    found
}
