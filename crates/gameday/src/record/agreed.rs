//! Go or no-go: who agreed to the start of a slot. Agreements organise people; agents do not see them.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use firedrill_files::text;
use firedrill_wire::Span;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AGREED, MOST_BYTES, folder, line::VERSION, write::written};
use crate::{file::GoNoGo, gameday::Gameday};

/// An agreement, or its withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The version of the format, that of records.
    pub v: u32,
    /// The time, RFC 3339 UTC, by the writer's clock.
    pub at: String,
    /// The person.
    pub by: String,
    /// Whether the person agrees; `false` withdraws an earlier agreement.
    pub go: bool,
}

/// The state of the agreements to a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Go {
    /// The people whose agreement counts.
    pub agreed: Vec<String>,
    /// The number of people who are asked for.
    pub people: u32,
    /// The people who may still agree, each with a role.
    pub missing: Vec<(String, String)>,
}

impl Go {
    /// Whether enough people have agreed.
    #[must_use]
    pub fn is_go(&self) -> bool {
        u32::try_from(self.agreed.len()).is_ok_and(|agreed| agreed >= self.people)
    }

    /// Returns the state for people: `1 of 2 agreed (alice); missing: carol (oncall)`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = format!("{} of {} agreed", self.agreed.len(), self.people);
        if !self.agreed.is_empty() {
            words += &format!(" ({})", self.agreed.join(", "));
        }
        if !self.is_go() {
            let missing: Vec<String> =
                self.missing.iter().map(|(person, role)| format!("{person} ({role})")).collect();
            words += &format!("; missing: {}", missing.join(", "));
        }
        words
    }
}

/// Writes an agreement to a slot, or its withdrawal.
///
/// # Errors
/// It could not be written, or the names are those of no slot.
pub fn agree(
    reports: &Path,
    (gameday, slot): (&str, &str),
    (by, go): (&str, bool),
    now: Timestamp,
) -> io::Result<()> {
    let folder =
        folder(reports, gameday, slot).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    fs::create_dir_all(&folder)?;
    let agreement = Agreement { v: VERSION, at: written(now), by: by.to_owned(), go };
    let mut line = serde_json::to_vec(&agreement)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join(AGREED))?;
    file.write_all(&line)?;
    file.sync_data()
}

/// Writes the agreement of a person to a slot, or its withdrawal, and returns the state of all agreements for people.
///
/// # Errors
/// The game day asks for no agreement, not for that of this person, not yet, or it cannot be written: in words for people.
pub fn agreed_by(
    reports: &Path,
    gameday: &Gameday,
    (slot, starts): (&str, Timestamp),
    (by, is_go): (&str, bool),
    now: Timestamp,
) -> Result<String, String> {
    let Some(wanted) = &gameday.go_no_go else {
        return Err(format!("{} asks for no agreement: it has no `go_no_go`", gameday.name));
    };
    let may = |role: &&String| gameday.roles.get(*role).is_some_and(|person| person == by);
    if !wanted.of.iter().any(|role| may(&role)) {
        let of: Vec<String> = wanted
            .of
            .iter()
            .map(|role| format!("{} ({role})", gameday.roles.get(role).map_or("nobody", String::as_str)))
            .collect();
        return Err(format!("{by} is not asked; {} asks {}", gameday.name, of.join(", ")));
    }
    if is_go && starts.duration_since(now) > signed(wanted.expires) {
        let from = starts.checked_sub(signed(wanted.expires)).unwrap_or(starts);
        let from = from.to_zoned(gameday.schedule.zone().clone()).strftime("%Y-%m-%d %H:%M %:z");
        return Err(format!(
            "it is too early: an agreement expires after {}, so agree from {from} on",
            wanted.expires
        ));
    }
    let failed = |error: io::Error| format!("the agreement cannot be written: {error}");
    agree(reports, (&gameday.name, slot), (by, is_go), now).map_err(failed)?;
    let all = agreements(reports, &gameday.name, slot).map_err(failed)?;
    Ok(go(wanted, &gameday.roles, &all, starts.max(now)).words())
}

/// Reads the agreements to a slot, in the order of time. A line that cannot be read, or is of another version, is left out.
///
/// # Errors
/// The file is there and cannot be read, or the names are those of no slot.
pub fn agreements(reports: &Path, gameday: &str, slot: &str) -> io::Result<Vec<Agreement>> {
    let folder =
        folder(reports, gameday, slot).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    let path = folder.join(AGREED);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = text::read(&path, MOST_BYTES).map_err(io::Error::other)?.text;
    let all = text.lines().filter_map(|line| serde_json::from_str::<Agreement>(line).ok());
    Ok(all.filter(|one| one.v == VERSION).collect())
}

/// Decides whether a start at `starts` may go ahead. An agreement counts from its time until it expires, if its person has one of the
/// roles; the last word of each person counts.
#[must_use]
pub fn go(
    wanted: &GoNoGo,
    roles: &BTreeMap<String, String>,
    agreements: &[Agreement],
    starts: Timestamp,
) -> Go {
    let mut last: BTreeMap<&str, &Agreement> = BTreeMap::new();
    for agreement in agreements {
        last.insert(&agreement.by, agreement);
    }
    let counts = |person: &str| {
        let Some(agreement) = last.get(person).filter(|agreement| agreement.go) else { return false };
        let Ok(at) = agreement.at.parse::<Timestamp>() else { return false };
        at <= starts && starts.duration_since(at) <= signed(wanted.expires)
    };
    let mut go = Go { agreed: Vec::new(), people: wanted.people, missing: Vec::new() };
    for role in &wanted.of {
        let Some(person) = roles.get(role) else { continue };
        if !counts(person) {
            go.missing.push((person.clone(), role.clone()));
        } else if !go.agreed.contains(person) {
            go.agreed.push(person.clone());
        }
    }
    go
}

fn signed(span: Span) -> SignedDuration {
    SignedDuration::try_from(span.0).unwrap_or(SignedDuration::MAX)
}
