//! The list of logs that may be read: files by whole path, and units of systemd by `unit:` and their name. `*` matches any text. Never
//! opens a file.

use std::path::Path;

use firedrill_wire::{logs::UNIT, pattern::like};

use crate::secrets::is_plain;

/// Splits an entry into a directory without `*`, up to its last `/`, and the rest.
pub(crate) fn split(entry: &str) -> (&str, &str) {
    let plain = entry.find('*').map_or(entry, |star| &entry[..star]);
    entry.split_at(plain.rfind('/').map_or(0, |slash| slash + 1))
}

/// Whether an entry lists units.
pub(crate) fn is_of_units(entry: &str) -> bool {
    entry.starts_with(UNIT)
}

/// Returns the first entry that lists a log; `None` if there is none, or if `log` is neither a plain whole path nor a unit.
pub(crate) fn entry_of<'e>(entries: &'e [String], log: &str) -> Option<&'e str> {
    let is_valid = match log.strip_prefix(UNIT) {
        Some(unit) => firedrill_wire::logs::unit(unit).is_ok(),
        None => is_plain(Path::new(log)),
    };
    if !is_valid {
        return None;
    }
    entries.iter().find(|entry| like(entry, log)).map(String::as_str)
}

/// Checks an entry of the list of logs.
pub(super) fn check(entry: &str) -> Result<(), String> {
    if let Some(pattern) = entry.strip_prefix(UNIT) {
        return units(pattern).map_err(|why| format!("policy.logs: \"{entry}\" {why}"));
    }
    if !is_plain(Path::new(entry)) || entry.ends_with('/') {
        return Err(format!(
            "policy.logs: \"{entry}\" is not a whole path; write it from / on, without `.` and `..`, such as \"/var/log/app/*\", or \
             \"{UNIT}\" and a unit"
        ));
    }
    if split(entry).0 == "/" {
        return Err(format!("policy.logs: \"{entry}\" lists files of the whole host; name a directory"));
    }
    Ok(())
}

/// Checks a pattern of units.
fn units(pattern: &str) -> Result<(), String> {
    if pattern.starts_with('*') {
        return Err(
            "lists units of the whole host; name how they begin, such as \"unit:app-*.service\"".to_owned()
        );
    }
    // An example of a name that the pattern matches: each `*` becomes `x`, and one at the end may also match the suffix.
    let name = pattern.replace('*', "x");
    let name = if pattern.ends_with('*') { format!("{name}.service") } else { name };
    firedrill_wire::logs::unit(&name)
        .map_err(|why| format!("lists no unit that can be read: {why}; such as \"unit:app-*.service\""))
}
