//! Peers of network faults: names of the scenario and the fleet become addresses; other names stay for the agent.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use firedrill_wire::fault::PeerSet;
use ipnet::IpNet;

use super::{model::Host, select::Selected};
use crate::{
    diagnostic::{Place, Problem, Sink, nearest},
    fleet::Fleet,
};

/// Resolves names of peers.
pub(crate) struct Peers<'a> {
    pub(crate) fleet: &'a Fleet,
    /// The hosts that targets have selected, by the target's name.
    pub(crate) targets: &'a BTreeMap<String, Selected>,
}

/// The peers of some names: one list for all hosts that have the fault.
#[derive(Clone)]
pub(crate) struct Resolved {
    set: PeerSet,
    /// The addresses in `set` that names of targets, hosts and roles stand for. A host that has one of them leaves it out.
    of_hosts: Arc<HashSet<IpAddr>>,
    /// Whether some name stands for addresses of the fleet.
    known: bool,
}

impl Resolved {
    /// Returns the peers of a fault on `host`, without the host itself; `None` if it is the only peer.
    pub(crate) fn on(&self, host: &Host) -> Option<PeerSet> {
        let own: Vec<String> = host
            .addresses
            .iter()
            .filter(|address| self.of_hosts.contains(address))
            .map(ToString::to_string)
            .collect();
        if self.known && own.len() == self.set.all().len() {
            return None;
        }
        Some(self.set.without(&own.into()))
    }
}

/// Resolved lists, which serve every fault with the same names.
#[derive(Default)]
pub(crate) struct Known {
    /// Keyed by the attack's index in the scenario, because problems are reported at its place, and the names.
    resolved: HashMap<(usize, Vec<String>), Resolved>,
    lists: HashMap<Vec<String>, Arc<[String]>>,
}

impl Peers<'_> {
    /// Returns the peers that `names` stand for in the attack with that index in the scenario. `place` returns the
    /// place of a name in the file.
    pub(crate) fn resolve(
        &self,
        names: &PeerSet,
        attack: usize,
        known: &mut Known,
        place: &dyn Fn(&str) -> Place,
        sink: &mut Sink,
    ) -> Resolved {
        let key = (attack, names.to_vec());
        if let Some(resolved) = known.resolved.get(&key) {
            return resolved.clone();
        }
        let mut resolved = Texts::default();
        let (mut of_hosts, mut literals) = (HashSet::new(), HashSet::new());
        let mut any_known = false;
        for name in names {
            let Some(addresses) = self.addresses(name) else {
                match literal(name) {
                    Some(text) => {
                        literals.insert(text.clone());
                        resolved.push(text);
                    }
                    None => self.unknown(name, place(name), &mut resolved, sink),
                }
                continue;
            };
            any_known = true;
            addresses.iter().for_each(|address| resolved.push(address.to_string()));
            of_hosts.extend(addresses);
        }
        // An address that the file itself gives is kept.
        of_hosts.retain(|address| literals.is_empty() || !literals.contains(&address.to_string()));
        let texts = resolved.list;
        let list = known.lists.entry(texts).or_insert_with_key(|texts| texts.as_slice().into());
        let set = PeerSet::from(Arc::clone(list));
        let resolved = Resolved { set, of_hosts: Arc::new(of_hosts), known: any_known };
        known.resolved.insert(key, resolved.clone());
        resolved
    }

    /// Returns the addresses of a target, a name of the fleet, a host or a role; `None` if it is none of them.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        match self.targets.get(name) {
            Some(selected) => {
                let hosts = selected.hosts().into_iter().filter_map(|host| self.fleet.host(host));
                Some(hosts.flat_map(|host| host.addresses.iter().copied()).collect())
            }
            None => self.fleet.addresses(name),
        }
    }

    /// Refuses a name that is not in the scenario or fleet, or leaves it to the agents as a DNS name.
    fn unknown(&self, name: &str, place: Place, resolved: &mut Texts, sink: &mut Sink) {
        let names = self.fleet.all_names();
        let known = self.targets.keys().map(String::as_str).chain(names.keys().map(String::as_str));
        let near = nearest(name, known);
        if !is_dns_name(name) {
            let help = near.map_or_else(
                || "a target, host, role, address, CIDR such as 10.9.0.0/16, or a DNS name".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            sink.push(
                Problem::error(format!("`{name}` is no peer")).at(place, "not a name or address").help(help),
            );
        } else if let Some(near) = near.filter(|_| !name.contains('.')) {
            sink.push(
                Problem::error(format!("there is no target, host or role `{name}`"))
                    .at(place, "not in the scenario or the fleet")
                    .help(format!("did you mean `{near}`?")),
            );
        } else {
            if !name.contains('.') {
                let message =
                    format!("`{name}` is not in the fleet: the agents will look it up as a DNS name");
                sink.push(Problem::warning(message).at(place, "looked up by agents"));
            }
            resolved.push(name.to_owned());
        }
    }
}

/// Texts in order, each once.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Texts {
    /// Adds a text that is not yet in the list.
    fn push(&mut self, text: String) {
        if self.seen.insert(text.clone()) {
            self.list.push(text);
        }
    }
}

/// Returns an address or CIDR as agents get it; `None` if the text is neither.
fn literal(name: &str) -> Option<String> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    name.parse::<IpNet>().ok().map(|net| net.trunc().to_string())
}

/// Whether a resolver could know the name. A text of digits and dots only was meant to be an address.
pub(crate) fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').all(label) && name.chars().any(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_and_addresses_are_recognised() {
        assert!(is_dns_name("db.example.com.") && is_dns_name("edge1"));
        for wrong in ["", "10.0.0.300", "a b", "-a", "a..b", "10.0.0.1/33", "x;y"] {
            assert!(!is_dns_name(wrong), "{wrong}");
        }
        assert_eq!(literal("10.9.1.1/16").as_deref(), Some("10.9.0.0/16"));
        assert_eq!(literal("fd77::1").as_deref(), Some("fd77::1"));
    }
}
