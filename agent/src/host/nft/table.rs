//! A table of ours, described whole: sets, chains, rules and the two gates that the kernel closes by itself.

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
/// An attribute holds 64 KiB at most.
const CHUNK: usize = 60_000;
/// Before everything that an administrator's tables usually do, and before connection tracking.
const PRIORITY: i32 = -300;

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
    /// Where packets enter it; none for one that rules go to.
    pub hook: Option<Hook>,
    /// Its rules, in order.
    pub rules: Vec<Exprs>,
}

/// A table of ours in family `inet`, whole. The gates are always part of it; rules of base chains begin with
/// [`gate`].
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
    /// Silence for so long lifts it, unless renewed.
    pub lease: Duration,
    /// It is lifted after so long, whatever is renewed.
    pub hold: Duration,
}

/// How the rules of a base chain begin: nothing matches once the lease or the hold is over. Leaves the packet's family
/// loaded.
#[must_use]
pub fn gate() -> Exprs {
    Exprs::new().meta(Meta::Family).in_set(LEASE).in_set(HOLD)
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
        for (id, set) in [(1, LEASE), (2, HOLD)] {
            effect.push(self.new_set(set, msg::SET_TIMEOUT, 1, id)?);
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
        Some(Making { material, effect, open: open_gates(&self.name, self.lease, self.hold)? })
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
        if let Some(hook) = chain.hook {
            let place = Attrs::new().be32(1, hook as u32).bytes(2, &PRIORITY.to_be_bytes());
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

/// What opens both gates of a table.
pub(super) fn open_gates(table: &str, lease: Duration, hold: Duration) -> Option<Vec<Request>> {
    [(LEASE, lease), (HOLD, hold)]
        .into_iter()
        .map(|(set, timeout)| gate_elements(Kind::NewElements, table, set, timeout))
        .collect()
}

/// The elements of a gate, to be made or (whatever the timeout) to be deleted.
pub(super) fn gate_elements(kind: Kind, table: &str, set: &str, timeout: Duration) -> Option<Request> {
    let milliseconds = u64::try_from(timeout.as_millis()).ok()?.max(1);
    let mut list = Attrs::new();
    for family in Family::BOTH {
        let mut one = element(&[family.key()]);
        if kind == Kind::NewElements {
            one = one.be64(4, milliseconds);
        }
        list = list.nest(1, &one);
    }
    elements_request(kind, table, set, &list)
}
