//! The nftables rules of faults on traffic: they choose packets, let the exempt ones pass and harm the rest.
//!
//! Each hook has a base chain that chooses packets, and a second chain that judges the chosen ones: exemptions first,
//! then the harm with its counter. Packets that are not chosen cost only the choice. An exemption accepts a packet for
//! our table alone; other tables still judge it. Only `replies` uses connection tracking, which switches tracking on
//! for the whole host.

mod choosing;
mod exempt;
mod selector;
mod twin;

pub(super) use choosing::{End, SERVICE, choosing, peer_ends, peers_set, protocols};
pub use exempt::{METADATA, control_ports, exempt};
pub(super) use exempt::{Spared, exceptions, exemptions, spared};
pub use selector::{Action, PacketRule, Selector};

use std::time::Duration;

use firedrill_wire::{
    InjectionId,
    fault::{Connections, Direction},
};

use crate::host::{
    Host,
    nft::{
        expr::{Base, Compare, Exprs, Family, Meta},
        interval::Intervals,
        table::{ALIVE, Chain, EARLY, Gate, Hook, Place, Table},
        table_name,
    },
    queue,
};
use choosing::{ICMP, ICMP6, LOCAL_PORTS, REMOTE_PORTS, TCP, of_family, set_name, transport};

/// The priority of the first queue's chains; each further queue has the next priority. Queues come before faults that drop,
/// so that these also see the packets that a queue reinjects.
const QUEUES: i32 = EARLY - 100;
/// The priority of rules that use connection tracking: after tracking, before an administrator's tables.
const TRACKED: i32 = -190;
/// Time for which packets still go to a queue after the last sign of life of its loop.
pub const ALIVE_FOR: Duration = Duration::from_secs(2);

/// The hooks, each with the names of its base chain and of its chain that judges.
const HOOKS: [(Hook, &str, &str); 3] = [
    (Hook::Input, "input", "judge_input"),
    (Hook::Output, "output", "judge_output"),
    (Hook::Forward, "forward", "judge_forward"),
];

/// Returns the table with the rule of a fault and its gates.
#[must_use]
pub fn table(host: &Host, id: &InjectionId, rule: &PacketRule, lease: Duration, hold: Duration) -> Table {
    let mut sets = Vec::new();
    let mut peers = Intervals::networks(rule.selector.peers.iter().copied());
    // Names among the peers may get addresses of either family later, so both sets must exist.
    if rule.selector.followed {
        for family in Family::BOTH {
            peers.entry(family).or_insert_with(|| Intervals::none_of(family));
        }
    }
    let except = Intervals::networks(rule.except.iter().copied());
    let mut direction = rule.selector.direction;
    for (by_family, set) in [(&peers, "peers"), (&except, "except")] {
        sets.extend(by_family.iter().map(|(family, networks)| (set_name(set, *family), networks.clone())));
    }
    for (name, ports) in
        [(LOCAL_PORTS, &rule.selector.local_ports), (REMOTE_PORTS, &rule.selector.remote_ports)]
    {
        if !ports.is_empty() {
            sets.push((name.to_owned(), Intervals::ports(ports.iter().copied())));
        }
    }
    if let Some(service) = &rule.selector.service {
        sets.push((SERVICE.to_owned(), Intervals::numbers(service.numbers.iter().copied())));
    }
    let mut gates = Gate::usual(lease, hold);
    let mut priority = if rule.selector.connections == Some(Connections::Replies) { TRACKED } else { EARLY };
    if let Action::Queue(number) = rule.action {
        gates.push(Gate { set: ALIVE, left: ALIVE_FOR });
        priority = QUEUES + i32::from(number.saturating_sub(queue::FIRST));
    }
    // A packet that a queue reinjects belongs to the agent, not to its first owner. So faults by owner that drop or
    // reject look at packets before the queues. Other faults recognise the owner by the packet's tag.
    let service = rule.selector.service.as_ref().map(|service| service.path.as_str());
    let owner = host.packet_owners.of(rule.selector.user, service);
    if owner.is_some() && matches!(rule.action, Action::Drop | Action::Reject) && priority == EARLY {
        priority = QUEUES - 1;
    }
    // The second table of the fault, with chains at interfaces.
    let mut twin = None;
    if let Action::Line(detour) = &rule.action {
        twin = Some(Box::new(twin::twin(detour, host, rule, &peers, &except, &gates)));
        // Arriving packets are marked at the interfaces, by the twin.
        direction = Direction::Out;
    }
    let mut judges = Vec::new();
    let mut choosers = Vec::new();
    for (hook, name, judge) in HOOKS {
        if twin.is_some() && rule.selector.direction == Direction::In {
            // The twin alone chooses arriving packets.
            break;
        }
        let mut rules = choosing(hook, judge, &rule.selector, direction, &peers, &gates);
        // Chains at or after the first queue also see the owner's packets that a queue has reinjected, and choose them by tag.
        if let Some(owner) = owner
            && hook == Hook::Output
            && priority >= QUEUES
        {
            let reinjected = Selector {
                user: None,
                service: None,
                reinjected: Some(queue::tag_of(owner)),
                ..rule.selector.clone()
            };
            rules.extend(choosing(hook, judge, &reinjected, direction, &peers, &gates));
        }
        if !rules.is_empty() {
            if let (&Action::Queue(number), Hook::Output) = (&rule.action, hook) {
                rules.insert(0, queued_already(number));
            }
            let mut verdicts = exemptions(host, hook, rule.loopback);
            verdicts.extend(exceptions(hook, &except));
            verdicts.extend(harming(&rule.action));
            judges.push(Chain { name: judge.to_owned(), place: None, rules: verdicts });
            choosers.push(Chain { name: name.to_owned(), place: Some(Place::at(hook, priority)), rules });
        }
    }
    judges.extend(choosers);
    let mut table = Table {
        name: table_name(id),
        comment: comment(id),
        sets,
        chains: judges,
        gates,
        twin,
        ..Table::default()
    };
    if let Some(twin) = &mut table.twin {
        twin.name = table.name.clone();
        twin.comment = table.comment.clone();
        if rule.selector.direction != Direction::Out {
            twin.sets = table.sets.clone();
        }
    }
    table
}

/// Returns the comment by which people see whose table this is.
fn comment(id: &InjectionId) -> String {
    format!("firedrill {id}")
}

/// Returns the rule that lets the packets pass that this queue or a later one has reinjected, because they have been in this
/// queue already.
fn queued_already(number: u16) -> Exprs {
    let own_tag = queue::TAG + u32::from(number.saturating_sub(queue::FIRST));
    let last_tag = queue::TAG + u32::from(queue::MOST) - 1;
    let rule = Exprs::new().meta(Meta::Priority).mask(&queue::QUEUE_BITS.to_ne_bytes()).network_order();
    rule.between(&own_tag.to_be_bytes(), &last_tag.to_be_bytes()).accept()
}

/// Returns the rules that harm the packets that no exemption let pass.
fn harming(action: &Action) -> Vec<Exprs> {
    match action {
        Action::Line(detour) => detour.marking(),
        Action::Drop => vec![Exprs::new().counter().drop()],
        Action::Queue(number) => vec![Exprs::new().counter().queue(*number)],
        Action::Reject => {
            // Byte 13 of a TCP header has the flags.
            let tcp_flags = transport(Exprs::new(), TCP).payload(Base::Transport, 13, 1);
            // The first two bytes of an ICMP header are its type and its code.
            let unreachable = |family, protocol, type_and_code: &[u8]| {
                transport(of_family(Exprs::new(), Hook::Output, family), protocol)
                    .payload(Base::Transport, 0, 2)
                    .compare(Compare::Is, type_and_code)
                    .accept()
            };
            vec![
                // The kernel's own rejecting answers must pass, because they tell the sender of the rejection: TCP packets with RST
                // (4), and ICMP "port unreachable".
                tcp_flags.mask(&[4]).compare(Compare::IsNot, &[0]).accept(),
                unreachable(Family::V4, ICMP, &[3, 3]),
                unreachable(Family::V6, ICMP6, &[1, 4]),
                transport(Exprs::new(), TCP).counter().reject_tcp(),
                Exprs::new().counter().reject(),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::Paths, injection::Cgroup};

    #[test]
    fn packets_of_a_service_are_chosen_only_at_hooks_where_they_have_sockets() {
        let host = Host::new("here", Paths::default(), 7790, vec![22]);
        let cgroup = Cgroup { path: "/system.slice/a.service".to_owned(), numbers: [196, 7].into() };
        let selector = Selector { service: Some(cgroup), ..Selector::default() };
        let id: InjectionId = "a-run-1".parse().expect("an id");
        let table = |action| {
            let rule = PacketRule { selector: selector.clone(), except: Vec::new(), loopback: false, action };
            super::table(&host, &id, &rule, Duration::from_secs(1), Duration::from_secs(1))
        };
        let places = |table: &Table| -> Vec<_> {
            table
                .chains
                .iter()
                .filter_map(|chain| Some((chain.place.as_ref()?.hook, chain.place.as_ref()?.priority)))
                .collect()
        };
        let dropped = table(Action::Drop);
        // Forwarded packets belong to no service, so there is no forward hook. The chains come before the queues, which
        // reinject packets as their own.
        assert_eq!(places(&dropped), [(Hook::Input, QUEUES - 1), (Hook::Output, QUEUES - 1)]);
        let sets: Vec<_> =
            dropped.sets.iter().map(|(name, elements)| (name.as_str(), elements.clone())).collect();
        assert_eq!(sets, [("service", Intervals::numbers([7, 196]))]);
        let rules =
            dropped.chains.iter().filter(|chain| chain.place.is_some()).flat_map(|chain| &chain.rules);
        // Each rule that chooses loads the cgroup of the packet's socket.
        let loads_cgroup = Exprs::new().cgroup(2).encoded().after(&[]).expect("short");
        for rule in rules {
            let bytes = rule.encoded().after(&[]).expect("short");
            assert!(bytes.windows(loads_cgroup.len()).any(|part| part == loads_cgroup), "{bytes:?}");
        }
        assert_eq!(
            places(&table(Action::Queue(queue::FIRST))),
            [(Hook::Input, QUEUES), (Hook::Output, QUEUES)]
        );
    }
}
