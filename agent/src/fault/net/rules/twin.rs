//! The second table of a fault that redirects packets to an ifb: its chains are attached to interfaces.

use std::collections::BTreeMap;

use firedrill_wire::fault::Direction;

use super::{
    choosing::choosing,
    exempt::{exceptions, exemptions},
    selector::PacketRule,
};
use crate::{
    fault::net::detour::{Detour, INTERFACES, LATE},
    host::{
        Host,
        nft::{
            expr::{Base, Compare, Exprs, Family},
            interval::Intervals,
            table::{Chain, EARLY, Gate, Hook, Of, Place, Table},
        },
    },
};

const JUDGE: &str = "judge_ingress";

/// Returns the table with the chains on interfaces. The caller fills in its name and sets.
pub(super) fn twin(
    detour: &Detour,
    host: &Host,
    rule: &PacketRule,
    peers: &BTreeMap<Family, Intervals>,
    except: &BTreeMap<Family, Intervals>,
    gates: &[Gate],
) -> Table {
    let mut chains = Vec::new();
    let mut base = |name: &str, hook, priority, interfaces: &[String], rules: Vec<Exprs>| {
        if !interfaces.is_empty() {
            let place = Some(Place { hook, priority, interfaces: interfaces.to_vec() });
            chains.push(Chain { name: name.to_owned(), place, rules });
        }
    };
    if rule.selector.direction != Direction::In {
        base("egress", Hook::Egress, LATE, &detour.sending, detour.sending_on(gates));
    }
    if rule.selector.direction != Direction::Out {
        let choose = choosing(Hook::Ingress, JUDGE, &rule.selector, Direction::In, peers, gates);
        base("ingress", Hook::Ingress, EARLY, &detour.ethernet, untagged().chain(choose.clone()).collect());
        base("bare_ingress", Hook::Ingress, EARLY, &detour.bare, choose);
        let getting: Vec<_> = detour.ethernet.iter().chain(&detour.bare).take(INTERFACES).cloned().collect();
        base("ingress_line", Hook::Ingress, LATE, &getting, detour.sending_on(gates));
        let mut rules = exemptions(host, Hook::Ingress, false);
        rules.extend(exceptions(Hook::Ingress, except));
        rules.extend(detour.marking());
        chains.insert(0, Chain { name: JUDGE.to_owned(), place: None, rules });
    }
    Table { of: Of::Interfaces, chains, gates: gates.to_vec(), ..Table::default() }
}

/// Returns the rules that let frames with a VLAN tag pass. These frames appear again, without the tag, at the VLAN's
/// own interface.
fn untagged() -> impl Iterator<Item = Exprs> {
    [libc::ETH_P_8021Q, libc::ETH_P_8021AD].into_iter().map(|tag| {
        let [_, _, high, low] = tag.to_be_bytes();
        Exprs::new().payload(Base::Link, 12, 2).compare(Compare::Is, &[high, low]).accept()
    })
}
