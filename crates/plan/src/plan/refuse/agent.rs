//! Limits of one agent: faults at once, faults in a run, peers in a question. Agents enforce them too, but only in a
//! run.

use std::collections::{BTreeMap, HashMap};

use firedrill_wire::{
    Fault,
    api::{Arm, Prepare},
    fault::{Engine, OnTraffic, PeerTable},
};

use crate::{
    alike,
    diagnostic::{Item, Problem, Sink},
    plan::resolve::{Draft, Placed},
    scenario::{Scenario, attack::Attack},
};

/// Maximum size of a question without its peers, in bytes.
const REST_OF_QUESTION: usize = 1 << 20;

/// Refuses attacks that are too much for one of their agents.
pub(super) fn refuse(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    // The number of faults of each host up to this attack.
    let mut in_run: HashMap<&str, usize> = HashMap::new();
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    let mut reported = false;
    for placed in &draft.attacks {
        let item = &scenario.attacks[placed.item];
        let mut at_once: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &placed.attack.injections {
            *at_once.entry(&one.host).or_default() += 1;
        }
        let crowded: Vec<&str> =
            at_once.iter().filter(|(_, count)| **count > Arm::MOST).map(|(host, _)| *host).collect();
        let most = at_once.values().max().copied().unwrap_or(0);
        if !crowded.is_empty() {
            let message = format!(
                "attack `{}` has {most} faults on one host ({}); an agent accepts {} at once",
                placed.attack.name,
                alike::names(&crowded),
                Arm::MOST
            );
            sink.push(
                Problem::error(message)
                    .at(item.place(), "too many at once")
                    .help("spread them over several attacks"),
            );
        }
        let mut over = None;
        for (host, count) in at_once {
            let sum = in_run.entry(host).or_default();
            *sum += count;
            if *sum > Prepare::MOST_OF_RUN {
                over.get_or_insert(host);
            }
        }
        if let Some(host) = over.filter(|_| !reported) {
            reported = true;
            let message = format!(
                "up to attack `{}`, host `{host}` has more than {} faults in this scenario, the maximum of an agent in a run",
                placed.attack.name,
                Prepare::MOST_OF_RUN
            );
            sink.push(
                Problem::error(message)
                    .at(item.place(), "too many in one run")
                    .help("put some of the attacks into a scenario of their own"),
            );
        }
        long_lists(item, placed, &mut sizes, sink);
        many_rules(item, placed, sink);
    }
}

/// Refuses lists of peers that exceed the size of a question. `sizes` caches their lengths in JSON, by their keys.
fn long_lists(item: &Item<Attack>, placed: &Placed, sizes: &mut HashMap<usize, usize>, sink: &mut Sink) {
    let faults = || placed.attack.injections.iter().map(|one| &one.fault);
    let weight = |fault: &Fault| fault.selectors().iter().map(|peers| peers.weight()).sum::<usize>();
    let most = faults().map(weight).max().unwrap_or(0);
    if most > PeerTable::MOST_NAMES {
        let message = format!(
            "a fault of attack `{}` has {most} peers; an agent accepts {} in one request",
            placed.attack.name,
            PeerTable::MOST_NAMES
        );
        sink.push(
            Problem::error(message)
                .at(item.place(), "too many peers")
                .help("name networks, such as 10.0.0.0/8, in place of hosts"),
        );
        return;
    }
    // In JSON a name has two quotes and a comma.
    let longest = faults().flat_map(Fault::selectors).map(|peers| {
        *sizes.entry(peers.key()).or_insert_with(|| peers.all().iter().map(|name| name.len() + 3).sum())
    });
    let longest = longest.max().unwrap_or(0);
    if longest + REST_OF_QUESTION > Prepare::MOST_BYTES {
        let message = format!(
            "the peers of attack `{}` take {} MiB; an agent accepts {} MiB in one request",
            placed.attack.name,
            longest.div_ceil(1 << 20),
            Prepare::MOST_BYTES >> 20
        );
        sink.push(
            Problem::error(message)
                .at(item.place(), "too many peers")
                .help("name networks, such as 10.0.0.0/8, in place of hosts"),
        );
    }
}

/// Refuses more peers than iptables can handle, where no other tool may be used.
fn many_rules(item: &Item<Attack>, placed: &Placed, sink: &mut Sink) {
    let by_iptables = |kind: &&dyn OnTraffic| kind.engine() == Engine::Iptables;
    let faults = placed.attack.injections.iter().map(|one| &one.fault);
    let mut lists = faults.filter_map(Fault::on_traffic).filter(by_iptables).flat_map(|kind| {
        let traffic = kind.traffic();
        [traffic.to, traffic.except]
    });
    // The weight of a list is at least its length and known at once, so that few lists have to be counted.
    let too_many = |count: &usize| *count > Engine::IPTABLES_PEERS;
    let most =
        lists.find_map(|peers| Some(peers.weight()).filter(too_many).map(|_| peers.len()).filter(too_many));
    if let Some(most) = most {
        let message = format!(
            "a fault of attack `{}` has {most} peers; iptables needs a rule for each, {} at most",
            placed.attack.name,
            Engine::IPTABLES_PEERS
        );
        sink.push(
            Problem::error(message)
                .at(item.place(), "too many peers for iptables")
                .help("name networks, such as 10.0.0.0/8, in place of hosts, or leave `engine` out"),
        );
    }
}
