//! Reads a game day, and reports all errors that can be found without reading its scenarios and its fleet.

mod drills;
mod incidents;
mod people;
mod when;

use std::path::{Path, PathBuf};

use firedrill_plan::{
    diagnostic::{Item, Place, Problem, Sink},
    fleet, scenario, typed,
};
use firedrill_wire::text::is_simple_name;
use jiff::{Timestamp, tz::TimeZoneDatabase};

use crate::{
    closed::Closed,
    file::GamedayFile,
    gameday::{Gameday, OF_KEY, OF_VALUE},
    not_on,
};

/// Name of the folder of game days. Paths in a game day are relative to the parent of this folder.
const FOLDER: &str = "gamedays";
/// Keys that only game days have.
const OWN_KEYS: [&str; 13] = [
    "scenarios",
    "monkey",
    "fleet",
    "schedule",
    "not_on",
    "announce",
    "notify",
    "channels",
    "roles",
    "go_no_go",
    "approvals",
    "requires",
    "skip_if",
];
/// The top-level keys of a game day that scenarios or fleets have, too.
const SHARED_KEYS: [&str; 3] = ["schema", "name", "sources"];

/// Whether a file is a game day: it has a key that game days have, and no key that only scenarios or fleets have.
#[must_use]
pub fn is_gameday(file: &Path) -> bool {
    let keys = typed::keys(file, typed::MAX_BYTES);
    let is_own = |key: &str| OWN_KEYS.contains(&key);
    let is_foreign = |key: &str| {
        let is_known = scenario::KEYS.contains(&key) || fleet::KEYS.contains(&key);
        is_known && !is_own(key) && !SHARED_KEYS.contains(&key)
    };
    keys.iter().any(|key| is_own(key)) && !keys.iter().any(|key| is_foreign(key))
}

/// Reads a game day. All errors go to `sink`; returns `None` if there are any. A schedule without a slot after `now` is a
/// warning.
#[must_use]
pub fn read(path: &Path, zones: &TimeZoneDatabase, now: Timestamp, sink: &mut Sink) -> Option<Gameday> {
    let errors_before = sink.errors();
    let read = typed::read::<GamedayFile>(path, "game day", sink)?;
    let item = read.item?;
    let base = base(path);
    let mut reader = Reader { item: &item, zones, base: &base, sink };
    reader.name();
    let drills = reader.drills();
    let monkey = reader.monkey();
    let schedule = reader.schedule();
    let closed = reader.closed();
    let announce = reader.announce();
    reader.roles();
    reader.go_no_go();
    reader.requires();
    let skip_if = reader.skip_if();
    let schedule = schedule?;
    reader.is_due(&schedule, &closed, now);
    if item.broken || sink.errors() > errors_before {
        return None;
    }
    let file = item.value.clone();
    let approvals = base.join(file.approvals).join(&file.name);
    Some(Gameday {
        file: path.to_owned(),
        name: file.name,
        drills,
        monkey,
        fleet: base.join(file.fleet),
        schedule,
        closed,
        announce,
        notify: file.notify,
        channels: base.join(file.channels),
        roles: file.roles,
        go_no_go: file.go_no_go,
        approvals,
        requires: file.requires,
        skip_if,
        text: read.text,
        item,
    })
}

/// Returns the folder to which paths in a game day are relative: the parent of the folder `gamedays`, or, for a file elsewhere, its own folder.
fn base(path: &Path) -> PathBuf {
    let own = path.parent().unwrap_or(Path::new(""));
    if own.file_name().is_some_and(|name| name == FOLDER) {
        return own.parent().unwrap_or(Path::new("")).to_owned();
    }
    // The path may not show the folder's name, for instance `friday.toml` from inside of `gamedays`.
    let real = path.canonicalize().ok();
    let in_folder = real.as_deref().and_then(Path::parent).is_some_and(|own| own.ends_with(FOLDER));
    if in_folder { own.join("..") } else { own.to_owned() }
}

/// The parts that all checks need.
struct Reader<'a> {
    item: &'a Item<GamedayFile>,
    zones: &'a TimeZoneDatabase,
    base: &'a Path,
    sink: &'a mut Sink,
}

impl Reader<'_> {
    fn file(&self) -> &GamedayFile {
        &self.item.value
    }

    /// Returns the place of a value in the file. In a broken file an element of a list may be missing, and later elements have other indexes. Then
    /// the place of the whole list is returned.
    fn place(&self, path: &[&str]) -> Place {
        match path.iter().position(|step| step.parse::<usize>().is_ok()).filter(|_| self.item.broken) {
            Some(index) => self.item.place_at(&path[..index], OF_KEY),
            None => self.item.place_at(path, OF_VALUE),
        }
    }

    /// Reports an error at a value.
    fn wrong(&mut self, path: &[&str], message: impl Into<String>, label: &str, help: impl Into<String>) {
        let place = self.place(path);
        self.sink.push(Problem::error(message).at(place, label).help(help));
    }

    /// Checks the name.
    fn name(&mut self) {
        let name = self.item.value.name.clone();
        if !is_simple_name(&name) {
            let message = format!("`{name}` cannot be the name of a game day");
            self.wrong(
                &["name"],
                message,
                "not a name",
                "lower-case letters, digits and `-`, such as \"payments-friday\"",
            );
        }
    }

    /// Reads `not_on`.
    fn closed(&mut self) -> Vec<Closed> {
        let entries = self.file().not_on.clone();
        let mut closed = Vec::new();
        for (index, text) in entries.iter().enumerate() {
            let place = self.place(&["not_on", &index.to_string()]);
            closed.extend(not_on::read(text, self.base, place, self.zones, self.sink));
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_lists_of_keys_are_complete() {
        let schema = crate::schema();
        let keys = schema["properties"].as_object().expect("it describes a table").keys();
        let own: BTreeSet<&str> = OWN_KEYS.into_iter().chain(SHARED_KEYS).collect();
        assert_eq!(own, keys.map(String::as_str).collect());
        let others: Vec<&str> = scenario::KEYS.into_iter().chain(fleet::KEYS).collect();
        assert!(SHARED_KEYS.iter().all(|key| others.contains(key)), "other files have them, too: {others:?}");
    }
}
