//! Go or no-go: the agreements of people to the start of a slot. Agreements only organise people: agents neither see nor check them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use firedrill_files::regular;
use firedrill_wire::Span;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AGREED, MOST_BYTES, NOW, folder, is_outside_of_schedule,
    line::VERSION,
    read::{State, all, of_slot},
    write::written,
};
use crate::{file::GoNoGo, gameday::Gameday};

/// An agreement, or its withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The version of the format, which is the same as that of records.
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
    /// The number of people who have to agree.
    pub people: u32,
    /// The people who have not agreed, each with those of their roles that may agree, as text.
    pub missing: Vec<(String, String)>,
}

impl Go {
    /// Whether enough people have agreed.
    #[must_use]
    pub fn is_go(&self) -> bool {
        u32::try_from(self.agreed.len()).is_ok_and(|agreed| agreed >= self.people)
    }

    /// Returns the state for people, such as `1 of 2 agreed (alice); missing: carol (oncall)`.
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

/// Writes that the person `by` agrees to a slot (`is_go`), or withdraws an earlier agreement.
///
/// # Errors
/// It could not be written, or the names cannot be those of a slot.
pub fn agree(
    reports: &Path,
    (gameday, slot): (&str, &str),
    (by, is_go): (&str, bool),
    now: Timestamp,
) -> io::Result<()> {
    let folder = folder(reports, gameday, slot)?;
    fs::create_dir_all(&folder)?;
    let mut file = regular::append(&folder.join(AGREED))?;
    let old = content(&file)?;
    // An unfinished last line, left by a crash, is ended first. Otherwise the new line would be a part of it.
    let mut text = if old.is_empty() || old.ends_with(b"\n") { String::new() } else { "\n".to_owned() };
    let agreement = Agreement { v: VERSION, at: written(now), by: by.to_owned(), go: is_go };
    text += &serde_json::to_string(&agreement)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// Reads a whole file of agreements. A file of more than [`MOST_BYTES`] is an error.
fn content(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Checks that a person may agree to a slot, writes the agreement or its withdrawal, and returns the state of all agreements for people.
///
/// # Errors
/// The agreement does not count, or cannot be written. It does not count if the game day does not ask this person, if it is too early, or if the
/// slot cannot be started any more. The error is a sentence for people.
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
        let asked: Vec<String> = wanted
            .of
            .iter()
            .map(|role| format!("{} ({role})", gameday.roles.get(role).map_or("nobody", String::as_str)))
            .collect();
        return Err(format!("{by} is not asked; {} asks {}", gameday.name, asked.join(", ")));
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
    let record = of_slot(reports, &gameday.name, slot).map_err(failed)?;
    if let Some(decided) = record.and_then(|record| decided(&record.state)) {
        return Err(format!(
            "{} of {slot} is decided already, so that no agreement counts any more: {decided}",
            gameday.name
        ));
    }
    agree(reports, (&gameday.name, slot), (by, is_go), now).map_err(failed)?;
    let agreements = agreements(reports, &gameday.name, slot).map_err(failed)?;
    let own = agreements.iter().rev().find(|agreement| agreement.by == by);
    if own.is_none_or(|own| own.go != is_go) {
        return Err("the agreement was written and cannot be read again".to_owned());
    }
    Ok(go(wanted, &gameday.roles, &agreements, starts.max(now)).words())
}

/// Returns the reason why agreements to a slot with a record do not count any more; `None` if the slot can still be started.
fn decided(state: &State) -> Option<String> {
    Some(match state {
        State::Missed(_) => return None,
        State::GoesOn => "it goes on".to_owned(),
        State::Ended(exit) => format!("it was held, with exit code {exit}"),
        State::NotHeld(why) => format!("it was not held: {why}"),
        State::Died => "its program ended, and its record has no end".to_owned(),
        State::Unreadable(why) => format!("it has a record that cannot be read: {why}"),
    })
}

/// Reads the agreements to a slot, in the order of time. A line that cannot be read, or has another version, is left out. An agreement to a start by
/// hand counts for one start only: agreements from before the last such start are left out.
///
/// # Errors
/// The file exists and cannot be read, or the names cannot be those of a slot.
pub fn agreements(reports: &Path, gameday: &str, slot: &str) -> io::Result<Vec<Agreement>> {
    let file = match regular::open(&folder(reports, gameday, slot)?.join(AGREED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let text = content(&file)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Agreement>(line).ok());
    let agreements = lines.filter(|agreement| agreement.v == VERSION);
    let last = if slot == NOW { last_by_hand(reports, gameday)? } else { None };
    Ok(agreements.filter(|agreement| last.as_ref().is_none_or(|last| agreement.at > *last)).collect())
}

/// Returns the time at which the last start outside of the schedule began, RFC 3339 UTC; `None` if there was none.
fn last_by_hand(reports: &Path, gameday: &str) -> io::Result<Option<String>> {
    let records = all(reports, usize::MAX)?;
    let by_hand =
        records.iter().filter(|record| record.gameday == gameday && is_outside_of_schedule(&record.slot));
    Ok(by_hand.filter_map(|record| record.begun()).max().map(str::to_owned))
}

/// Counts the agreements to a start at `starts`. An agreement counts from its time until it expires, if the person has one of the roles. Only the
/// last line of each person counts.
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
            match go.missing.iter_mut().find(|(missing, _)| missing == person) {
                Some((_, roles)) => *roles += &format!(", {role}"),
                None => go.missing.push((person.clone(), role.clone())),
            }
        } else if !go.agreed.contains(person) {
            go.agreed.push(person.clone());
        }
    }
    go
}

/// Converts a duration for calculations with timestamps. One that is too long becomes the maximum.
fn signed(span: Span) -> SignedDuration {
    SignedDuration::try_from(span.0).unwrap_or(SignedDuration::MAX)
}
