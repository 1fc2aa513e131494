//! The hosts of a fleet, and the addresses of its names. Never reads a file.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{salvage::Wrong, service::ServiceFile};
use crate::{diagnostic::Place, plan::model::Host};

/// The hosts, and names that stand for addresses.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The origins of the control rooms in which people may approve by passkey.
    pub origins: Vec<String>,
    /// The hosts, in the fleet's order.
    pub hosts: Vec<Host>,
    /// Further names and their addresses.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    /// The services of hosts that have any, by the host's name. Only a lab runs them; they are no part of a plan.
    pub services: BTreeMap<String, Vec<ServiceFile>>,
    /// Entries that are no valid hosts.
    pub wrong: Vec<Wrong>,
    pub(crate) places: BTreeMap<String, Place>,
    /// Index in `hosts` by name.
    index: HashMap<String, usize>,
}

impl Fleet {
    /// Returns the host of that name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(*self.index.get(name)?)
    }

    /// Adds a host whose name is unique.
    pub(super) fn add(&mut self, host: Host) {
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
        let addresses: Vec<IpAddr> = role.flat_map(|host| host.addresses.iter().copied()).collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    /// Returns all names that stand for addresses, with the addresses, for a resolver. As in [`Self::addresses`], one of
    /// `[names]` counts before a host, and a host before a role.
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
        let has_values = |key: &&str| self.hosts.iter().any(|host| !values_of(host, key).is_empty());
        let mut keys: Vec<&str> =
            ["name", "role", "tag"].into_iter().filter(has_values).chain(labels).collect();
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
