//! Warns of attacks on hosts through which other hosts are reached: a bastion in `connect`, or an address of other
//! hosts' agents.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use crate::{
    alike,
    diagnostic::{Problem, Sink},
    fleet::Fleet,
    plan::{
        model::{Host, Reach},
        resolve::Draft,
    },
    scenario::Scenario,
};

/// Checks the hosts of every attack.
pub(super) fn warn(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    let behind = behind(fleet);
    if behind.is_empty() {
        return;
    }
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        let hit: BTreeSet<&str> = placed.attack.injections.iter().map(|one| one.host.as_str()).collect();
        for (way, others) in hit.into_iter().filter_map(|host| behind.get_key_value(host)) {
            let message = format!(
                "attack `{}` targets `{way}`, through which other hosts are reached: {}",
                placed.attack.name,
                alike::names(others)
            );
            sink.push(
                Problem::warning(message)
                    .at(item.place_of(&item.value.on.at), "others are reached through it")
                    .help("while it is down, probes, `status` and `undo` do not reach them; faults on them end with the lease"),
            );
        }
    }
}

/// Returns the hosts that are reached through each host.
fn behind(fleet: &Fleet) -> HashMap<&str, Vec<&str>> {
    let addresses: HashMap<IpAddr, &Host> = fleet
        .hosts
        .iter()
        .flat_map(|host| host.addresses.iter().map(move |address| (*address, host)))
        .collect();
    let mut behind: HashMap<&str, Vec<&str>> = HashMap::new();
    // Most hosts have the same words; each word is looked up once.
    let mut known: HashMap<&str, Option<&Host>> = HashMap::new();
    for host in &fleet.hosts {
        let texts = match &host.agent {
            Reach::Tcp(address) => std::slice::from_ref(address),
            Reach::Command(words) => words.as_slice(),
        };
        let parts = texts.iter().flat_map(|text| names_in(text));
        let ways: BTreeSet<&str> = parts
            .filter_map(|part| {
                let named = || fleet.host(part).or_else(|| addresses.get(&address(part)?).copied());
                *known.entry(part).or_insert_with(named)
            })
            .map(|way| way.name.as_str())
            .filter(|way| *way != host.name)
            .collect();
        for way in ways {
            behind.entry(way).or_default().push(&host.name);
        }
    }
    behind
}

/// Returns the possible names and addresses in a word of a command: `-Jroot@bastion:22` has `bastion:22` and
/// `bastion`.
fn names_in(word: &str) -> impl Iterator<Item = &str> {
    let within = |c: char| c.is_ascii_alphanumeric() || ".:-_".contains(c);
    let parts = word.split(move |c| !within(c)).filter(|part| !part.is_empty());
    parts.flat_map(|part| {
        let port = part.rsplit_once(':').map(|(host, _)| host);
        let option = part.strip_prefix("-J");
        [Some(part), port, option].into_iter().flatten()
    })
}

/// Parses an address, with or without a port.
fn address(part: &str) -> Option<IpAddr> {
    part.parse().ok().or_else(|| part.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::FleetSource;

    #[test]
    fn bastions_and_shared_addresses_are_ways() {
        let host = |n: usize, connect: &str| {
            format!("[[host]]\nname = \"app{n}\"\naddress = \"10.0.0.{n}\"\nconnect = {connect}\n")
        };
        let text = [
            "schema = 1\n[[host]]\nname = \"bastion\"\naddress = \"10.0.0.100\"\n".to_owned(),
            host(1, r#"["ssh", "-W", "%h:%p", "root@bastion"]"#),
            host(2, r#"["ssh", "-J", "ops@10.0.0.100:22", "%n", "nc", "%h", "%p"]"#),
            host(3, r#"["ssh", "-o", "ProxyJump=app1", "%h"]"#),
            "[[host]]\nname = \"app4\"\naddress = \"10.0.0.4\"\nagent = \"10.0.0.1:7791\"\n".to_owned(),
        ];
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("fleet.toml");
        std::fs::write(&file, text.concat()).expect("writes");
        let mut sink = Sink::default();
        let fleet = Fleet::load(&FleetSource::File(file), &mut sink).expect("reads");
        assert!(!sink.failed());
        let behind = behind(&fleet);
        assert_eq!(behind["bastion"], ["app1", "app2"]);
        assert_eq!(behind["app1"], ["app3", "app4"]);
        assert_eq!(behind.len(), 2);
    }
}
