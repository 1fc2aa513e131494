//! Peers of network faults: names of the scenario and the fleet become addresses; other names stay for the agent.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{model::Host, select::Selected};
use crate::{
    fleet::Fleet,
    scenario::diagnose::{Place, Problem, Sink, nearest},
};

/// Where names of peers are looked up.
pub(crate) struct Peers<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) targets: &'a [(String, Selected)],
}

impl Peers<'_> {
    /// The peers of a fault on `host`, without the host itself. `place` tells where a name stands.
    pub(crate) fn resolve(
        &self,
        names: &[String],
        host: &Host,
        place: &dyn Fn(&str) -> Place,
        sink: &mut Sink,
    ) -> Vec<String> {
        let mut resolved: Vec<String> = Vec::new();
        let mut only_itself = false;
        for name in names {
            let Some(addresses) = self.addresses(name) else {
                match literal(name) {
                    Some(text) => push(&mut resolved, text),
                    None => self.unknown(name, place(name), &mut resolved, sink),
                }
                continue;
            };
            let others: Vec<IpAddr> =
                addresses.into_iter().filter(|address| !host.addresses.contains(address)).collect();
            only_itself |= others.is_empty();
            others.into_iter().for_each(|address| push(&mut resolved, address.to_string()));
        }
        if let Some(name) = names.first().filter(|_| only_itself && resolved.is_empty()) {
            let message = format!("`{name}` is nobody but host `{}` itself", host.name);
            sink.push(Problem::error(message).at(place(name), "no peer is left"));
        }
        resolved
    }

    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let target = self.targets.iter().find(|(target, _)| target == name);
        match target {
            Some((_, selected)) => {
                let hosts = selected.hosts().into_iter().filter_map(|host| self.fleet.host(host));
                Some(hosts.flat_map(|host| host.addresses.clone()).collect())
            }
            None => self.fleet.addresses(name),
        }
    }

    fn unknown(&self, name: &str, place: Place, resolved: &mut Vec<String>, sink: &mut Sink) {
        let names = self.fleet.all_names();
        let known =
            self.targets.iter().map(|(name, _)| name.as_str()).chain(names.keys().map(String::as_str));
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
            push(resolved, name.to_owned());
        }
    }
}

fn push(all: &mut Vec<String>, text: String) {
    if !all.contains(&text) {
        all.push(text);
    }
}

/// An address or CIDR, as agents get it.
fn literal(name: &str) -> Option<String> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    name.parse::<IpNet>().ok().map(|net| net.trunc().to_string())
}

/// Whether a resolver could know the name. What is made of digits and dots only was meant to be an address.
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
    fn names_addresses_and_neither() {
        assert!(is_dns_name("db.example.com.") && is_dns_name("edge1"));
        for wrong in ["", "10.0.0.300", "a b", "-a", "a..b", "10.0.0.1/33", "x;y"] {
            assert!(!is_dns_name(wrong), "{wrong}");
        }
        assert_eq!(literal("10.9.1.1/16").as_deref(), Some("10.9.0.0/16"));
        assert_eq!(literal("fd77::1").as_deref(), Some("fd77::1"));
    }
}
