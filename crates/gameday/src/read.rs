//! Reads a game day and reports all errors in it that need neither its scenarios nor its fleet.

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

use crate::{closed::Closed, file::GamedayFile, gameday::Gameday, not_on};

/// Name of the folder of game days. Paths in its files are relative to its parent.
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
/// The other keys at the top of a game day.
const SHARED_KEYS: [&str; 3] = ["schema", "name", "sources"];

/// Whether a file is a game day: it has tables that only game days have, and none that only scenarios or fleets have.
#[must_use]
pub fn is_gameday(file: &Path) -> bool {
    let keys = typed::keys(file, typed::MAX_BYTES);
    let others = scenario::KEYS.iter().chain(&fleet::KEYS);
    let others: Vec<&str> =
        others.copied().filter(|key| !SHARED_KEYS.contains(key) && !OWN_KEYS.contains(key)).collect();
    let is_other = |key: &str| others.contains(&key);
    keys.iter().any(|key| OWN_KEYS.contains(&key.as_str())) && !keys.iter().any(|key| is_other(key))
}

/// Reads a game day. All errors go to `sink`; returns `None` if there are any. A schedule without a slot after `now` is a
/// warning.
#[must_use]
pub fn read(path: &Path, zones: &TimeZoneDatabase, now: Timestamp, sink: &mut Sink) -> Option<Gameday> {
    let before = sink.errors();
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
    if item.broken || sink.errors() > before {
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

/// Returns the folder that paths are relative to: that above `gamedays`, or else the file's own.
fn base(path: &Path) -> PathBuf {
    let own = path.parent().unwrap_or(Path::new(""));
    if own.file_name().is_some_and(|name| name == FOLDER) {
        return own.parent().unwrap_or(Path::new("")).to_owned();
    }
    let real = path.canonicalize().ok();
    let in_folder = real.as_deref().and_then(Path::parent).is_some_and(|own| own.ends_with(FOLDER));
    if in_folder { own.join("..") } else { own.to_owned() }
}

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

    /// Returns the place of a value. An element of a list that could not be read is missing, so that later elements have other indexes:
    /// then the place is that of the list.
    fn place(&self, path: &[&str]) -> Place {
        match path.iter().position(|step| step.parse::<usize>().is_ok()).filter(|_| self.item.broken) {
            Some(index) => self.item.place_at(&path[..index], true),
            None => self.item.place_at(path, false),
        }
    }

    fn wrong(&mut self, path: &[&str], message: impl Into<String>, label: &str, help: impl Into<String>) {
        let place = self.place(path);
        self.sink.push(Problem::error(message).at(place, label).help(help));
    }

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

    fn closed(&mut self) -> Vec<Closed> {
        let entries = self.file().not_on.clone();
        let mut all = Vec::new();
        for (index, text) in entries.iter().enumerate() {
            let place = self.place(&["not_on", &index.to_string()]);
            all.extend(not_on::read(text, self.base, place, self.zones, self.sink));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_keys_that_tell_a_game_day_are_those_of_the_schema() {
        let schema = crate::schema();
        let keys = schema["properties"].as_object().expect("it describes a table").keys();
        let own: BTreeSet<&str> = OWN_KEYS.into_iter().chain(SHARED_KEYS).collect();
        assert_eq!(own, keys.map(String::as_str).collect());
        let others: Vec<&str> = scenario::KEYS.into_iter().chain(fleet::KEYS).collect();
        assert!(SHARED_KEYS.iter().all(|key| others.contains(key)), "other files have them, too: {others:?}");
    }
}
