//! A table of ours, described whole: sets, chains, rules and the gates that the kernel closes by itself.

use std::time::Duration;

use super::{
    expr::{Exprs, Family, Meta},
    interval::Intervals,
    message::{self as msg, Kind},
};
use crate::host::netlink::{Attrs, Request};

/// The set whose elements live as long as the lease.
pub const LEASE: &str = "lease";
/// The set whose elements live as long as the hold.
pub const HOLD: &str = "hold";
/// The set whose elements live as long as whoever works on the packets says that it does.
pub const ALIVE: &str = "alive";
/// An attribute holds 64 KiB at most.
const CHUNK: usize = 60_000;
/// Before everything that an administrator's tables usually do, and before connection tracking.
pub const EARLY: i32 = -300;

/// A set whose elements the kernel takes away after a time; then no rule that asks for it matches any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The set's name.
    pub set: &'static str,
    /// Open for so long, unless renewed.
    pub left: Duration,
}

impl Gate {
    /// What every table has: silence for as long as the lease lifts it, and it is lifted after the hold, whatever is
    /// renewed.
    #[must_use]
    pub fn usual(lease: Duration, hold: Duration) -> Vec<Self> {
        vec![Self { set: LEASE, left: lease }, Self { set: HOLD, left: hold }]
    }
}

/// Where a base chain sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Hook {
    /// Packets for this host.
    Input = 1,
    /// Packets that pass through: containers, guests, routed traffic.
    Forward = 2,
    /// Packets that this host sends.
    Output = 3,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it and how early (lower is earlier, [`EARLY`]); none for one that rules go to.
    pub hook: Option<(Hook, i32)>,
    /// Its rules, in order.
    pub rules: Vec<Exprs>,
}

/// A table of ours in family `inet`, whole. Rules of base chains that do harm begin with [`gated`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, as [`super::table_name`] gives it.
    pub name: String,
    /// What `nft list ruleset` shows to people beside it.
    pub comment: String,
    /// Sets of ranges, by name.
    pub sets: Vec<(String, Intervals)>,
    /// Chains; those that rules go to before the rules that do.
    pub chains: Vec<Chain>,
    /// Its gates; each closes by itself.
    pub gates: Vec<Gate>,
}

/// How the rules of a base chain begin: nothing matches once one of the gates has closed. Leaves the packet's family
/// loaded.
#[must_use]
pub fn gated(gates: &[Gate]) -> Exprs {
    gates.iter().fold(Exprs::new().meta(Meta::Family), |rule, gate| rule.in_set(gate.set))
}

/// Messages that make a table.
pub(super) struct Making {
    /// Sets and their elements: without effect until there are chains.
    pub(super) material: Vec<Request>,
    /// Closed gates, chains and rules.
    pub(super) effect: Vec<Request>,
    /// What opens the gates; without it no packet is matched.
    pub(super) open: Vec<Request>,
}

impl Table {
    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len()).sum()
    }

    pub(super) fn making(&self) -> Option<Making> {
        let mut material = vec![self.new_table()?];
        for (position, (name, intervals)) in self.sets.iter().enumerate() {
            let id = u32::try_from(position).ok()?.checked_add(10)?;
            material.push(self.new_set(name, msg::SET_INTERVAL, intervals.width(), id)?);
            material.extend(self.elements(name, intervals)?);
        }
        let mut effect = Vec::new();
        for (id, gate) in (1..).zip(&self.gates) {
            effect.push(self.new_set(gate.set, msg::SET_TIMEOUT, 1, id)?);
        }
        for chain in &self.chains {
            effect.push(self.new_chain(chain)?);
        }
        for chain in &self.chains {
            for rule in &chain.rules {
                let attrs = Attrs::new().text(1, &self.name).text(2, &chain.name).nest(4, rule.encoded());
                effect.push(msg::request(Kind::NewRule, msg::CREATE | msg::APPEND, &attrs)?);
            }
        }
        Some(Making { material, effect, open: open_gates(&self.name, &self.gates)? })
    }

    fn new_table(&self) -> Option<Request> {
        let mut attrs = Attrs::new().text(1, &self.name).be32(2, msg::TABLE_OWNER);
        // A list of type, length, text: type 0 is the comment that nft shows.
        let comment = [self.comment.as_bytes(), &[0]].concat();
        if let Ok(length) = u8::try_from(comment.len()) {
            attrs = attrs.bytes(6, &[&[0, length], &comment[..]].concat());
        }
        msg::request(Kind::NewTable, msg::CREATE | msg::EXCL, &attrs)
    }

    fn new_set(&self, name: &str, flags: u32, width: usize, id: u32) -> Option<Request> {
        // What the key means is told only for people who list it.
        let meaning = match width {
            1 => 2,
            2 => 13,
            4 => 7,
            _ => 8,
        };
        let attrs = Attrs::new()
            .text(1, &self.name)
            .text(2, name)
            .be32(3, flags)
            .be32(4, meaning)
            .be32(5, u32::try_from(width).ok()?)
            .be32(10, id);
        msg::request(Kind::NewSet, msg::CREATE, &attrs)
    }

    fn elements(&self, set: &str, intervals: &Intervals) -> Option<Vec<Request>> {
        let mut requests = Vec::new();
        let mut list = Attrs::new();
        for (first, after) in intervals.keys() {
            list = list.nest(1, &element(&first));
            if let Some(after) = after {
                list = list.nest(1, &element(&after).be32(3, msg::ELEMENT_END));
            }
            if list.len() > CHUNK {
                requests.push(elements_request(Kind::NewElements, &self.name, set, &list)?);
                list = Attrs::new();
            }
        }
        if !list.is_empty() {
            requests.push(elements_request(Kind::NewElements, &self.name, set, &list)?);
        }
        Some(requests)
    }

    fn new_chain(&self, chain: &Chain) -> Option<Request> {
        let mut attrs = Attrs::new().text(1, &self.name).text(3, &chain.name);
        if let Some((hook, priority)) = chain.hook {
            let place = Attrs::new().be32(1, hook as u32).bytes(2, &priority.to_be_bytes());
            attrs = attrs.nest(4, &place).be32(5, 1).text(7, "filter");
        }
        msg::request(Kind::NewChain, msg::CREATE, &attrs)
    }
}

fn element(key: &[u8]) -> Attrs {
    Attrs::new().nest(1, &Attrs::new().bytes(1, key))
}

fn elements_request(kind: Kind, table: &str, set: &str, list: &Attrs) -> Option<Request> {
    let create = if kind == Kind::NewElements { msg::CREATE } else { 0 };
    msg::request(kind, create, &Attrs::new().text(1, table).text(2, set).nest(3, list))
}

/// What opens the gates of a table.
pub(super) fn open_gates(table: &str, gates: &[Gate]) -> Option<Vec<Request>> {
    gates.iter().map(|gate| gate_elements(Kind::NewElements, table, *gate)).collect()
}

/// What keeps a gate open that is open. Adding does not prolong an element; deleting one that has ended fails, and with
/// it all of the transaction.
pub(super) fn keep_open(table: &str, gate: Gate) -> Option<Vec<Request>> {
    [Kind::DeleteElements, Kind::NewElements]
        .into_iter()
        .map(|kind| gate_elements(kind, table, gate))
        .collect()
}

/// The elements of a gate, to be made or (whatever its time) to be deleted.
fn gate_elements(kind: Kind, table: &str, gate: Gate) -> Option<Request> {
    let milliseconds = u64::try_from(gate.left.as_millis()).ok()?.max(1);
    let mut list = Attrs::new();
    for family in Family::BOTH {
        let mut one = element(&[family.key()]);
        if kind == Kind::NewElements {
            one = one.be64(4, milliseconds);
        }
        list = list.nest(1, &one);
    }
    elements_request(kind, table, gate.set, &list)
}
