//! A complete description of a table of ours: sets, chains, rules and the gates that the kernel closes by itself.

use std::time::Duration;

use firedrill_netlink::{Attrs, Request};
pub use firedrill_packets::Hook;

use super::{
    expr::{Exprs, Family, Meta},
    interval::Intervals,
    message::{self as msg, Kind},
};

/// The set whose elements live as long as the lease.
pub const LEASE: &str = "lease";
/// The set whose elements live as long as the hold.
pub const HOLD: &str = "hold";
/// The set whose elements live as long as the process that serves the packets renews them.
pub const ALIVE: &str = "alive";
/// Maximum length of an attribute's contents, in bytes.
const CHUNK: usize = 60_000;
/// Before the usual priorities of an administrator's tables, and before connection tracking.
pub const EARLY: i32 = -300;

/// A set whose elements time out in the kernel; from then on no rule that uses it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The set's name.
    pub set: &'static str,
    /// The time for which it is open, unless renewed.
    pub left: Duration,
}

impl Gate {
    /// Makes the gates of every table: one that closes with the lease unless renewed, and one that closes with the
    /// hold, whatever is renewed.
    #[must_use]
    pub fn usual(lease: Duration, hold: Duration) -> Vec<Self> {
        vec![Self { set: LEASE, left: lease }, Self { set: HOLD, left: hold }]
    }
}

/// Returns a hook's number, which each family counts from zero.
const fn number(hook: Hook) -> u32 {
    match hook {
        Hook::Ingress => 0,
        Hook::Input | Hook::Egress => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
    }
}

/// The hook of a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hook.
    pub hook: Hook,
    /// The priority: lower is earlier ([`EARLY`]).
    pub priority: i32,
    /// The interfaces, if the hook is bound to some.
    pub interfaces: Vec<String>,
}

impl Place {
    /// Makes a hook for all traffic.
    #[must_use]
    pub const fn at(hook: Hook, priority: i32) -> Self {
        Self { hook, priority, interfaces: Vec::new() }
    }

    fn encoded(&self) -> Attrs {
        let place = Attrs::new().be32(1, number(self.hook)).bytes(2, &self.priority.to_be_bytes());
        if self.interfaces.is_empty() {
            return place;
        }
        let names = self.interfaces.iter().fold(Attrs::new(), |names, name| names.text(1, name));
        place.nest(4, &names)
    }
}

/// The family of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// `inet`: IPv4 and IPv6 traffic.
    #[default]
    Traffic,
    /// `netdev`: packets that interfaces send and receive.
    Interfaces,
}

impl Of {
    /// Both, in the order in which tables of one name are made and deleted.
    pub const BOTH: [Self; 2] = [Self::Traffic, Self::Interfaces];

    /// Returns the family's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Traffic => msg::INET,
            Self::Interfaces => msg::NETDEV,
        }
    }

    /// Returns the values of `meta nfproto` in this family, which are the elements of gates.
    pub(super) const fn keys(self) -> &'static [u8] {
        const BOTH: [u8; 2] = [Family::V4.key(), Family::V6.key()];
        match self {
            Self::Traffic => &BOTH,
            Self::Interfaces => &[msg::NETDEV],
        }
    }

    /// Returns the name that `nft` uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Traffic => "inet",
            Self::Interfaces => "netdev",
        }
    }
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its hook; `None` for a chain that rules jump to.
    pub place: Option<Place>,
    /// Its rules, in order.
    pub rules: Vec<Exprs>,
}

/// A complete table of ours. Rules of base chains that do harm begin with [`gated`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name, from [`super::table_name`].
    pub name: String,
    /// Its family.
    pub of: Of,
    /// The comment that `nft list ruleset` shows.
    pub comment: String,
    /// Sets of ranges and of numbers, by name.
    pub sets: Vec<(String, Intervals)>,
    /// Chains; those that rules jump to come before those rules.
    pub chains: Vec<Chain>,
    /// Its gates; each closes by itself.
    pub gates: Vec<Gate>,
    /// A table of the same name with the same gates in family `netdev`, made and opened in the same transactions.
    pub twin: Option<Box<Table>>,
}

/// Returns the begin of a base chain's rules: nothing matches once one of the gates has closed. Leaves the packet's
/// family in the register.
#[must_use]
pub fn gated(gates: &[Gate]) -> Exprs {
    gates.iter().fold(Exprs::new().meta(Meta::Family), |rule, gate| rule.in_set(gate.set))
}

/// The messages that make a table.
pub(super) struct Making {
    /// Sets and their elements, which have no effect until there are chains.
    pub(super) material: Vec<Request>,
    /// Closed gates, chains and rules.
    pub(super) effect: Vec<Request>,
    /// The elements that open the gates; without them no packet matches.
    pub(super) open: Vec<Request>,
}

impl Table {
    /// Returns the number of its rules, including its twin's.
    #[must_use]
    pub fn rules(&self) -> usize {
        let twin = self.twin.as_ref().map_or(0, |twin| twin.rules());
        twin + self.chains.iter().map(|chain| chain.rules.len()).sum::<usize>()
    }

    /// Returns its family and its twin's.
    #[must_use]
    pub fn families(&self) -> Vec<Of> {
        std::iter::once(self.of).chain(self.twin.iter().map(|twin| twin.of)).collect()
    }

    pub(super) fn making(&self) -> Option<Making> {
        let mut making = self.making_alone()?;
        if let Some(twin) = &self.twin {
            let twin = twin.making_alone()?;
            making.material.extend(twin.material);
            making.effect.extend(twin.effect);
            making.open.extend(twin.open);
        }
        Some(making)
    }

    fn making_alone(&self) -> Option<Making> {
        let mut material = vec![self.new_table()?];
        for (position, (name, intervals)) in self.sets.iter().enumerate() {
            let id = u32::try_from(position).ok()?.checked_add(10)?;
            let flags = if intervals.are_numbers() { 0 } else { msg::SET_INTERVAL };
            material.push(self.new_set(name, flags, intervals.width(), id)?);
            material.extend(elements(self.of, &self.name, name, intervals)?);
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
                effect.push(self.message(Kind::NewRule, msg::CREATE | msg::APPEND, &attrs)?);
            }
        }
        Some(Making { material, effect, open: open_gates(&[self.of], &self.name, &self.gates)? })
    }

    fn message(&self, kind: Kind, flags: u16, attrs: &Attrs) -> Option<Request> {
        msg::in_family(self.of.number(), kind, flags, attrs)
    }

    fn new_table(&self) -> Option<Request> {
        let mut attrs = Attrs::new().text(1, &self.name).be32(2, msg::TABLE_OWNER);
        // A list of type, length, text: type 0 is the comment that nft shows.
        let comment = [self.comment.as_bytes(), &[0]].concat();
        if let Ok(length) = u8::try_from(comment.len()) {
            attrs = attrs.bytes(6, &[&[0, length], &comment[..]].concat());
        }
        self.message(Kind::NewTable, msg::CREATE | msg::EXCL, &attrs)
    }

    fn new_set(&self, name: &str, flags: u32, width: usize, id: u32) -> Option<Request> {
        // The key's type is used only for display.
        let meaning = match width {
            1 => 2,
            2 => 13,
            4 => 7,
            8 => 46,
            _ => 8,
        };
        let attrs = Attrs::new()
            .text(1, &self.name)
            .text(2, name)
            .be32(3, flags)
            .be32(4, meaning)
            .be32(5, u32::try_from(width).ok()?)
            .be32(10, id);
        self.message(Kind::NewSet, msg::CREATE, &attrs)
    }

    fn new_chain(&self, chain: &Chain) -> Option<Request> {
        let mut attrs = Attrs::new().text(1, &self.name).text(3, &chain.name);
        if let Some(place) = &chain.place {
            attrs = attrs.nest(4, &place.encoded()).be32(5, 1).text(7, "filter");
        }
        self.message(Kind::NewChain, msg::CREATE, &attrs)
    }
}

fn element(key: &[u8]) -> Attrs {
    Attrs::new().nest(1, &Attrs::new().bytes(1, key))
}

/// Encodes the message that adds ranges to a set.
pub(super) fn elements(of: Of, table: &str, set: &str, intervals: &Intervals) -> Option<Vec<Request>> {
    let mut requests = Vec::new();
    let mut list = Attrs::new();
    for (first, after) in intervals.keys() {
        list = list.nest(1, &element(&first));
        if let Some(after) = after {
            list = list.nest(1, &element(&after).be32(3, msg::INTERVAL_END));
        }
        if list.len() > CHUNK {
            requests.push(elements_request(Kind::NewElements, of, table, set, &list)?);
            list = Attrs::new();
        }
    }
    if !list.is_empty() {
        requests.push(elements_request(Kind::NewElements, of, table, set, &list)?);
    }
    Some(requests)
}

fn elements_request(kind: Kind, of: Of, table: &str, set: &str, list: &Attrs) -> Option<Request> {
    let create = if kind == Kind::NewElements { msg::CREATE } else { 0 };
    msg::in_family(of.number(), kind, create, &Attrs::new().text(1, table).text(2, set).nest(3, list))
}

/// Encodes the messages that open the gates of the tables of a name.
pub(super) fn open_gates(families: &[Of], table: &str, gates: &[Gate]) -> Option<Vec<Request>> {
    families
        .iter()
        .flat_map(|of| gates.iter().map(move |gate| gate_elements(Kind::NewElements, *of, table, *gate)))
        .collect()
}

/// Encodes the messages that renew an open gate in all tables of a name. Adding does not extend an element; deleting
/// one that has expired fails, and with it the whole transaction.
pub(super) fn keep_open(families: &[Of], table: &str, gate: Gate) -> Option<Vec<Request>> {
    families
        .iter()
        .flat_map(|of| {
            [Kind::DeleteElements, Kind::NewElements].map(|kind| gate_elements(kind, *of, table, gate))
        })
        .collect()
}

/// Encodes the elements of a gate, to be added or (whatever its time) to be deleted.
fn gate_elements(kind: Kind, of: Of, table: &str, gate: Gate) -> Option<Request> {
    let milliseconds = u64::try_from(gate.left.as_millis()).ok()?.max(1);
    let mut list = Attrs::new();
    for key in of.keys() {
        let mut one = element(&[*key]);
        if kind == Kind::NewElements {
            one = one.be64(4, milliseconds);
        }
        list = list.nest(1, &one);
    }
    elements_request(kind, of, table, gate.set, &list)
}

/// The number of rules of each staged table, with its families and gates, by its name.
pub(super) type Staged = std::collections::BTreeMap<String, (usize, Vec<Of>, Vec<Gate>)>;
