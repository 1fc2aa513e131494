//! The list of logs: files by whole path, with `*` for any text.

use std::path::Path;

use super::pattern::like;
use crate::secrets::is_plain;

/// Splits an entry into its directory, which has no `*`, and the rest.
pub(crate) fn split(entry: &str) -> (&str, &str) {
    let plain = entry.find('*').map_or(entry, |star| &entry[..star]);
    entry.split_at(plain.rfind('/').map_or(0, |slash| slash + 1))
}

/// Returns the entry that lists a path, as it is written.
pub(crate) fn entry_of<'e>(entries: &'e [String], path: &str) -> Option<&'e str> {
    let listed = |entry: &&String| like(entry, path);
    entries.iter().find(listed).filter(|_| is_plain(Path::new(path))).map(String::as_str)
}

/// Checks an entry of the list of logs.
pub(super) fn check(entry: &str) -> Result<(), String> {
    if entry.starts_with("unit:") {
        return Err(format!("policy.logs: \"{entry}\" is a unit; this version reads files only"));
    }
    if !is_plain(Path::new(entry)) || entry.ends_with('/') {
        return Err(format!(
            "policy.logs: \"{entry}\" is not a whole path; write it from / on, without `.` and `..`, such as \"/var/log/app/*\""
        ));
    }
    if split(entry).0 == "/" {
        return Err(format!("policy.logs: \"{entry}\" lists files of the whole host; name a directory"));
    }
    Ok(())
}
