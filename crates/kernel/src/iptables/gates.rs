//! Gates: the rules of a fault have an effect only while all its gates are open. A gate is a list of the kernel's xt_recent with one entry,
//! which counts only for some seconds after it was written.
//!
//! The kernel counts in ticks since boot, so that setting a clock changes nothing. Writing the entry opens a gate, and writing it again
//! renews the gate; emptying the list closes the gate. Writing an expired entry would open the gate again. This must never happen, so the
//! time of the last write is remembered here, and checked before each write and once more after it.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use firedrill_wire::InjectionId;

use super::program::IptablesError;
use crate::nft::{expr::Family, table_name};

/// Directory of the lists. It is that of the calling thread, because threads may be in different network namespaces.
const LISTS: &str = "/proc/thread-self/net/xt_recent";

/// A gate: its name, and the time for which it stays open after it was opened or renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The gate's name: `lease`, `hold` or `alive`.
    pub name: &'static str,
    /// The time in whole seconds, because rules have no other unit.
    pub seconds: u64,
}

impl Gate {
    /// Makes a gate that stays open for this time, rounded up to whole seconds.
    #[must_use]
    pub fn new(name: &'static str, left: Duration) -> Self {
        Self { name, seconds: (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1) }
    }

    /// Returns the match in a rule of an injection that asks whether the gate is open.
    #[must_use]
    pub fn asked(&self, id: &InjectionId, family: Family) -> String {
        let mask = match family {
            Family::V4 => "0.0.0.0",
            Family::V6 => "::",
        };
        let list = list(id, family, self.name);
        format!("-m recent --name {list} --rcheck --seconds {} --mask {mask}", self.seconds)
    }
}

/// The gates of an injection, with their state as far as this process knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    /// The families for which the gates have lists.
    pub families: Vec<Family>,
    /// All gates, each with the time of its last write; `None` if it was never opened.
    all: Vec<(Gate, Option<Instant>)>,
}

impl Gates {
    /// Makes the gates, all closed.
    #[must_use]
    pub fn closed(families: Vec<Family>, gates: &[Gate]) -> Self {
        Self { families, all: gates.iter().map(|gate| (*gate, None)).collect() }
    }

    /// Returns the remaining time of each gate, by name; `None` for a gate that is closed.
    pub fn left(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> + '_ {
        self.all.iter().map(|(gate, written)| {
            let whole = Duration::from_secs(gate.seconds);
            (gate.name, written.and_then(|written| whole.checked_sub(written.elapsed())))
        })
    }

    /// Whether all gates are open.
    #[must_use]
    pub fn are_open(&self) -> bool {
        self.left().all(|(_, left)| left.is_some_and(|left| !left.is_zero()))
    }

    /// Whether one gate is open.
    #[must_use]
    pub fn is_open(&self, name: &str) -> bool {
        self.left().any(|(gate, left)| gate == name && left.is_some_and(|left| !left.is_zero()))
    }

    /// Opens all gates that were never opened, in reverse order.
    ///
    /// # Errors
    /// A list does not exist or cannot be written.
    pub fn open(&mut self, id: &InjectionId) -> Result<(), IptablesError> {
        for (gate, written) in self.all.iter_mut().rev() {
            if written.is_none() {
                open(id, &self.families, gate.name)?;
                *written = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// Renews an open gate for its whole time. An expired gate stays closed.
    ///
    /// # Errors
    /// The gate has expired, or its list cannot be written.
    pub fn keep(&mut self, id: &InjectionId, name: &str) -> Result<(), IptablesError> {
        let over =
            |why: &str| IptablesError::of(format!("keep the {name} gate of {id} open"), why.to_owned());
        let Some((gate, written)) = self.all.iter_mut().find(|(gate, _)| gate.name == name) else {
            return Err(over("it has no such gate"));
        };
        let whole = Duration::from_secs(gate.seconds);
        let Some(before) = *written else { return Err(over("it was not opened")) };
        if before.elapsed() >= whole {
            return Err(over("it has closed already"));
        }
        open(id, &self.families, gate.name)?;
        // If this process was stopped between the check and the write, the write has opened an expired gate, so it is closed again.
        if before.elapsed() >= whole {
            shut(id, &self.families, gate.name)?;
            return Err(over("it has closed meanwhile"));
        }
        *written = Some(Instant::now());
        Ok(())
    }
}

/// Returns the name of a gate's list. It has the family, because the lists of both families are in one directory.
fn list(id: &InjectionId, family: Family, gate: &str) -> String {
    let table = table_name(id);
    let digit = match family {
        Family::V4 => '4',
        Family::V6 => '6',
    };
    // fd_ID becomes fd4_ID.
    format!("fd{digit}{}_{gate}", table.strip_prefix("fd").unwrap_or(&table))
}

/// Whether a list has its entry, even an expired one. False if the list does not exist.
///
/// # Errors
/// The list cannot be read.
fn has_entry(list: &str) -> Result<bool, IptablesError> {
    let path = format!("{LISTS}/{list}");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(!text.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(IptablesError::of(format!("read gate {path}"), error.to_string())),
    }
}

impl Gates {
    /// Whether the lists of all gates have their entries.
    ///
    /// # Errors
    /// A list cannot be read, and no other list lacks its entry.
    pub fn have_entries(&self, id: &InjectionId) -> Result<bool, IptablesError> {
        let mut unreadable = None;
        for (gate, _) in &self.all {
            for family in &self.families {
                match has_entry(&list(id, *family, gate.name)) {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(error) => unreadable = Some(error),
                }
            }
        }
        unreadable.map_or(Ok(true), Err)
    }
}

/// Opens a gate by writing its entry.
///
/// # Errors
/// Its list does not exist or cannot be written.
pub fn open(id: &InjectionId, families: &[Family], gate: &str) -> Result<(), IptablesError> {
    families.iter().try_for_each(|family| {
        let entry = match family {
            Family::V4 => "+0.0.0.0\n",
            Family::V6 => "+::\n",
        };
        write(&list(id, *family, gate), entry)
            .map_err(|(path, error)| IptablesError::of(format!("open gate {path}"), error.to_string()))
    })
}

/// Closes a gate at once. Succeeds if the list does not exist, because then no rule uses it.
///
/// # Errors
/// A list cannot be written.
pub fn shut(id: &InjectionId, families: &[Family], gate: &str) -> Result<(), IptablesError> {
    families.iter().try_for_each(|family| match write(&list(id, *family, gate), "/\n") {
        Err((path, error)) if error.kind() != io::ErrorKind::NotFound => {
            Err(IptablesError::of(format!("close gate {path}"), error.to_string()))
        }
        _ => Ok(()),
    })
}

fn write(list: &str, text: &str) -> Result<(), (String, io::Error)> {
    use std::io::Write as _;
    let path = format!("{LISTS}/{list}");
    // The file is never created: the kernel makes a list when a rule uses it.
    let written =
        fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| (path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds_and_never_shorter() {
        for (left, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (60_500, 61)] {
            assert_eq!(Gate::new("lease", Duration::from_millis(left)).seconds, seconds, "{left} ms");
        }
    }

    #[test]
    fn the_name_of_a_list_has_the_injection_and_the_family() {
        let id: InjectionId = "20261120-1402-cut-1".parse().expect("an id");
        let lease = Gate { name: "lease", seconds: 5 };
        assert_eq!(
            lease.asked(&id, Family::V6),
            "-m recent --name fd6_20261120_1402_cut_1_lease --rcheck --seconds 5 --mask ::"
        );
    }
}
