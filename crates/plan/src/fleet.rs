//! The fleet: the hosts, their labels, and the connections to their agents; from a TOML file, or from a command that
//! prints JSON.
//!
//! Only describes hosts. `plan` decides which hosts a drill touches.

mod command;
mod file;
mod read;
mod salvage;

pub use command::split as split_command;
pub use file::{Defaults, FleetFile, HostFile};
use firedrill_files::text::{self, Text};
pub use salvage::Wrong;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::PathBuf,
};

use firedrill_wire::hide;

use crate::{
    diagnostic::{Place, Problem, Sink},
    plan::model::Host,
};

/// Returns the JSON Schema of fleet files (draft 2020-12).
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(FleetFile).to_value();
    crate::scenario::set_schema_title(&mut schema, "Firedrill fleet");
    schema
}

/// Whether a file is a fleet: it has tables that only fleets have, and none that only scenarios have.
#[must_use]
pub fn is_fleet(file: &std::path::Path) -> bool {
    let Ok(text) = text::read(file, MAX_BYTES) else { return false };
    let (table, _) = toml::de::DeTable::parse_recoverable(&text.text);
    let has = |key: &&str| table.get_ref().contains_key(*key);
    read::KEYS.iter().filter(|key| **key != "schema").any(has)
        && !crate::scenario::KEYS.iter().filter(|key| **key != "schema").any(has)
}

/// Maximum size of a fleet's file, in bytes; ten thousand hosts take some two megabytes.
const MAX_BYTES: u64 = 64 << 20;

fn note_mark(text: &Text, sink: &mut Sink) {
    if text.mark {
        sink.push(Problem::warning(format!("the fleet: {}", text::MARK)).help(text::MARK_HELP));
    }
}

/// The source of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetSource {
    /// A TOML file.
    File(PathBuf),
    /// A program, as an argument vector, that prints the same structure as JSON. No shell is involved.
    Command(Vec<String>),
}

/// The handling of errors in a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Errors are final.
    All,
    /// Valid entries are used.
    Salvage,
}

/// The hosts, and names that stand for addresses.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The hosts, in the fleet's order.
    pub hosts: Vec<Host>,
    /// Further names and their addresses.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// Entries that are no valid hosts.
    pub wrong: Vec<Wrong>,
    pub(crate) places: BTreeMap<String, Place>,
    /// Index in `hosts` by name.
    index: HashMap<String, usize>,
}

impl Fleet {
    /// Reads a fleet. Errors go to `sink`; returns `None` if nothing can be used.
    #[must_use]
    pub fn load(source: &FleetSource, sink: &mut Sink) -> Option<Self> {
        Self::read(source, Care::All, sink)
    }

    /// Reads the valid entries of a fleet, for healing: an error in one entry must not keep other hosts from being
    /// asked. Errors go to `sink` all the same, and into [`Self::wrong`].
    #[must_use]
    pub fn salvage(source: &FleetSource, sink: &mut Sink) -> Option<Self> {
        Self::read(source, Care::Salvage, sink)
    }

    fn read(source: &FleetSource, care: Care, sink: &mut Sink) -> Option<Self> {
        match source {
            FleetSource::File(path) => match text::read(path, MAX_BYTES) {
                Ok(text) => {
                    note_mark(&text, sink);
                    Some(read::from_toml(&path.display().to_string(), &text.text, care, sink))
                }
                Err(error) => {
                    let message = format!("the fleet {} could not be read: {error}", path.display());
                    sink.push(Problem::error(message).help("name the fleet's file with --fleet FILE"));
                    None
                }
            },
            FleetSource::Command(command) => match command::output(command, command::TIME_OUT) {
                Ok(text) => {
                    note_mark(&text, sink);
                    read::from_json(&hide::argv(command).join(" "), &text.text, care, sink)
                }
                Err(error) => {
                    sink.push(Problem::error(format!("the fleet's command failed: {error}")));
                    None
                }
            },
        }
    }

    /// Returns the host of that name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(*self.index.get(name)?)
    }

    /// Adds a host whose name is unique.
    fn add(&mut self, host: Host) {
        self.index.insert(host.name.clone(), self.hosts.len());
        self.hosts.push(host);
    }

    /// Returns the addresses that a name stands for: one of `[names]`, a host, or all hosts of a role.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(addresses) = self.names.get(name) {
            return Some(addresses.clone());
        }
        if let Some(host) = self.host(name) {
            return Some(host.addresses.clone());
        }
        let role = self.hosts.iter().filter(|host| host.roles.iter().any(|role| role == name));
        let all: Vec<IpAddr> = role.flat_map(|host| host.addresses.iter().copied()).collect();
        (!all.is_empty()).then_some(all)
    }

    /// Returns all names that stand for addresses here, together with these: for a resolver.
    #[must_use]
    pub fn all_names(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let mut all: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for host in &self.hosts {
            for role in &host.roles {
                all.entry(role.clone()).or_default().extend(&host.addresses);
            }
        }
        all.retain(|_, addresses| !addresses.is_empty());
        all.extend(self.hosts.iter().map(|host| (host.name.clone(), host.addresses.clone())));
        all.extend(self.names.clone());
        all
    }

    /// Returns all keys that a selector may use and for which some host has a value.
    pub(crate) fn label_keys(&self) -> Vec<&str> {
        let labels = self.hosts.iter().flat_map(|host| host.labels.keys().map(String::as_str));
        let own = ["name", "role", "tag"].into_iter();
        let own = own.filter(|key| self.hosts.iter().any(|host| !values_of(host, key).is_empty()));
        let mut keys: Vec<&str> = own.chain(labels).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Returns the values that a host has for a selector's key.
#[must_use]
pub fn values_of<'h>(host: &'h Host, key: &str) -> Vec<&'h str> {
    match key {
        "name" => vec![&host.name],
        "role" => host.roles.iter().map(String::as_str).collect(),
        "tag" => host.tags.iter().map(String::as_str).collect(),
        label => host.labels.get(label).map(String::as_str).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;
