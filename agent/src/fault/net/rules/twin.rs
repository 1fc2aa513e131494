//! The second table of a fault that redirects packets to an ifb. Its chains are attached to interfaces, which only tables of
//! the family `netdev` can have. The first table is in [`super`].

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

/// The name of the chain that judges arriving packets.
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
    let mut add_base_chain = |name: &str, hook, priority, interfaces: &[String], rules: Vec<Exprs>| {
        if !interfaces.is_empty() {
            let place = Some(Place { hook, priority, interfaces: interfaces.to_vec() });
            chains.push(Chain { name: name.to_owned(), place, rules });
        }
    };
    if rule.selector.direction != Direction::In {
        add_base_chain("egress", Hook::Egress, LATE, &detour.sending, detour.redirecting(gates));
    }
    if rule.selector.direction != Direction::Out {
        let choose = choosing(Hook::Ingress, JUDGE, &rule.selector, Direction::In, peers, gates);
        let untagged = pass_tagged().chain(choose.clone()).collect();
        add_base_chain("ingress", Hook::Ingress, EARLY, &detour.ethernet, untagged);
        add_base_chain("bare_ingress", Hook::Ingress, EARLY, &detour.bare, choose);
        let receiving: Vec<_> =
            detour.ethernet.iter().chain(&detour.bare).take(INTERFACES).cloned().collect();
        add_base_chain("ingress_line", Hook::Ingress, LATE, &receiving, detour.redirecting(gates));
        let mut rules = exemptions(host, Hook::Ingress, false);
        rules.extend(exceptions(Hook::Ingress, except));
        rules.extend(detour.marking());
        chains.insert(0, Chain { name: JUDGE.to_owned(), place: None, rules });
    }
    Table { of: Of::Interfaces, chains, gates: gates.to_vec(), ..Table::default() }
}

/// Returns the rules that let frames with a VLAN tag pass. These frames appear again, without the tag, at the VLAN's
/// own interface.
fn pass_tagged() -> impl Iterator<Item = Exprs> {
    [libc::ETH_P_8021Q, libc::ETH_P_8021AD].into_iter().map(|ethertype| {
        let [_, _, high, low] = ethertype.to_be_bytes();
        // Bytes 12 and 13 of an Ethernet header are its type.
        Exprs::new().payload(Base::Link, 12, 2).compare(Compare::Is, &[high, low]).accept()
    })
}
