//! Finds valid hosts in a fleet with errors: healing asks all hosts that can be read, and reports the entries that
//! are invalid.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::file::{Defaults, FleetFile, HostFile};
use crate::plan::model::Host;

/// The handling of errors in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// The fleet has to be valid as a whole.
    All,
    /// Valid entries are used, whatever errors there are.
    Salvage,
}

/// An entry that is no valid host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The host's name if it is known; otherwise the entry's number, as `host 3`.
    pub name: String,
    /// The error.
    pub why: String,
    /// The host that the entry names, if that can be read.
    pub host: Option<Host>,
}

impl Wrong {
    pub(super) fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into(), host: None }
    }
}

/// Reads the valid hosts from a command's output that is JSON but no valid fleet; returns the invalid entries, too. `None` if
/// the output has no list of hosts.
pub(super) fn from_json(text: &str) -> Option<(FleetFile, Vec<Wrong>)> {
    let Ok(Value::Object(root)) = serde_json::from_str(text) else { return None };
    let mut wrong = Vec::new();
    let defaults = root.get("defaults").and_then(|value| piecewise::<Defaults>(value, &[]));
    let mut host = Vec::new();
    for (index, value) in root.get("host").and_then(Value::as_array)?.iter().enumerate() {
        match piecewise::<HostFile>(value, &["name"]) {
            Some(read) => host.push(read),
            None => wrong.push(Wrong::new(format!("host {}", index + 1), "it names no host")),
        }
    }
    Some((
        FleetFile { schema: 1, defaults: defaults.unwrap_or_default(), host, ..FleetFile::default() },
        wrong,
    ))
}

/// Reads the valid keys of an object: adds one after the other, and leaves out each with which it cannot be read. `None` if
/// it cannot be read by the `required` keys alone.
fn piecewise<T: DeserializeOwned>(value: &Value, required: &[&str]) -> Option<T> {
    let object = value.as_object()?;
    let mut kept = Map::new();
    for key in required {
        kept.insert((*key).to_owned(), object.get(*key)?.clone());
    }
    let read = |object: &Map<String, Value>| serde_json::from_value::<T>(Value::Object(object.clone()));
    let mut best = read(&kept).ok()?;
    for (key, value) in object.iter().filter(|(key, _)| !required.contains(&key.as_str())) {
        kept.insert(key.clone(), value.clone());
        match read(&kept) {
            Ok(better) => best = better,
            Err(_) => _ = kept.remove(key),
        }
    }
    Some(best)
}
