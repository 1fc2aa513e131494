//! The complete description of a table of this tool (sets, chains, rules and the gates that the kernel closes by itself), and its encoding as
//! messages. Sends nothing.

use std::time::Duration;

use firedrill_netlink::{Attrs, Request};
pub use firedrill_packets::Hook;

use super::{
    expr::{Exprs, Family, Meta},
    interval::Intervals,
    message::{self as msg, Kind},
};

/// The gate that is open as long as the lease lasts.
pub const LEASE: &str = "lease";
/// The gate that is open as long as the hold lasts.
pub const HOLD: &str = "hold";
/// The gate that is open as long as the process that serves the packets renews it.
pub const ALIVE: &str = "alive";
/// Length of a list of elements, in bytes, above which the next element goes into another message.
const CHUNK: usize = 60_000;
/// A priority before the usual priorities of an administrator's tables and before connection tracking.
pub const EARLY: i32 = -300;

/// A gate: a set whose elements expire in the kernel. After that, no rule that uses the set matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The set's name.
    pub set: &'static str,
    /// The time for which the gate is open, unless it is renewed.
    pub left: Duration,
}

impl Gate {
    /// Makes the gates that every table has: the lease, which can be renewed, and the hold, which is never renewed.
    #[must_use]
    pub fn usual(lease: Duration, hold: Duration) -> Vec<Self> {
        vec![Self { set: LEASE, left: lease }, Self { set: HOLD, left: hold }]
    }
}

/// Returns a hook's number in its family.
const fn number(hook: Hook) -> u32 {
    match hook {
        Hook::Ingress => 0,
        Hook::Input | Hook::Egress => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
    }
}

/// The place at which the kernel evaluates a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hook.
    pub hook: Hook,
    /// The priority: lower is earlier ([`EARLY`]).
    pub priority: i32,
    /// The interfaces to which the hook is bound; empty for all traffic.
    pub interfaces: Vec<String>,
}

impl Place {
    /// Makes a place for all traffic.
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
    /// Both families, in the order in which a table and its twin are made and deleted.
    pub const BOTH: [Self; 2] = [Self::Traffic, Self::Interfaces];

    /// Returns the family's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Traffic => msg::INET,
            Self::Interfaces => msg::NETDEV,
        }
    }

    /// Returns the values of `meta nfproto` in tables of this family. They are the elements of gates.
    pub(super) const fn keys(self) -> &'static [u8] {
        const BOTH: [u8; 2] = [Family::V4.key(), Family::V6.key()];
        match self {
            Self::Traffic => &BOTH,
            Self::Interfaces => &[msg::NETDEV],
        }
    }

    /// Returns the family's name in `nft`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Traffic => "inet",
            Self::Interfaces => "netdev",
        }
    }
}

/// A chain of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The chain's name.
    pub name: String,
    /// The place of a base chain; `None` for a chain that rules jump to.
    pub place: Option<Place>,
    /// The chain's rules, in order.
    pub rules: Vec<Exprs>,
}

/// A complete table of this tool. Rules of base chains that affect traffic begin with [`gated`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The table's name, from [`super::table_name`].
    pub name: String,
    /// The table's family.
    pub of: Of,
    /// The comment that `nft list ruleset` shows.
    pub comment: String,
    /// The table's sets of ranges or numbers, by name.
    pub sets: Vec<(String, Intervals)>,
    /// The table's chains. A chain that rules jump to comes before the chains with those rules.
    pub chains: Vec<Chain>,
    /// The table's gates.
    pub gates: Vec<Gate>,
    /// A table with the same name and the same gates in the family `netdev`, which is made and opened in the same transactions.
    pub twin: Option<Box<Table>>,
}

/// Returns the beginning of a base chain's rule: the rule does not match as soon as one of the gates has closed. Leaves the packet's family in
/// the register.
#[must_use]
pub fn gated(gates: &[Gate]) -> Exprs {
    gates.iter().fold(Exprs::new().meta(Meta::Family), |rule, gate| rule.in_set(gate.set))
}

/// The messages that make a table.
pub(super) struct Making {
    /// The table, its sets and their elements. They have no effect until there are chains.
    pub(super) material: Vec<Request>,
    /// The closed gates, the chains and the rules.
    pub(super) effect: Vec<Request>,
    /// The elements that open the gates. Without them no packet matches.
    pub(super) open: Vec<Request>,
}

impl Table {
    /// Returns the number of rules of the table and its twin.
    #[must_use]
    pub fn rules(&self) -> usize {
        let twin = self.twin.as_ref().map_or(0, |twin| twin.rules());
        twin + self.chains.iter().map(|chain| chain.rules.len()).sum::<usize>()
    }

    /// Returns the families of the table and its twin.
    #[must_use]
    pub fn families(&self) -> Vec<Of> {
        std::iter::once(self.of).chain(self.twin.iter().map(|twin| twin.of)).collect()
    }

    /// Returns the messages that make the table and its twin; `None` if an attribute is too long.
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

    /// Returns the messages that make the table without its twin.
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
        // The user data is a list of type, length and text. Type 0 is the comment that nft shows.
        let comment = [self.comment.as_bytes(), &[0]].concat();
        if let Ok(length) = u8::try_from(comment.len()) {
            attrs = attrs.bytes(6, &[&[0, length], &comment[..]].concat());
        }
        self.message(Kind::NewTable, msg::CREATE | msg::EXCL, &attrs)
    }

    fn new_set(&self, name: &str, flags: u32, width: usize, id: u32) -> Option<Request> {
        // The type of the keys matters only for the display in nft.
        let key_type = match width {
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
            .be32(4, key_type)
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

/// Encodes the messages that add ranges to a set.
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

/// Encodes the messages that open the gates of the tables with this name in these families.
pub(super) fn open_gates(families: &[Of], table: &str, gates: &[Gate]) -> Option<Vec<Request>> {
    families
        .iter()
        .flat_map(|of| gates.iter().map(move |gate| gate_elements(Kind::NewElements, *of, table, *gate)))
        .collect()
}

/// Encodes the messages that renew an open gate of the tables with this name in these families. Adding an element again does not extend its
/// time, so it is deleted first. If it has expired, deleting fails, and with it the whole transaction.
pub(super) fn keep_open(families: &[Of], table: &str, gate: Gate) -> Option<Vec<Request>> {
    families
        .iter()
        .flat_map(|of| {
            [Kind::DeleteElements, Kind::NewElements].map(|kind| gate_elements(kind, *of, table, gate))
        })
        .collect()
}

/// Encodes the message that adds or deletes the elements of a gate.
fn gate_elements(kind: Kind, of: Of, table: &str, gate: Gate) -> Option<Request> {
    let milliseconds = u64::try_from(gate.left.as_millis()).ok()?.max(1);
    let mut list = Attrs::new();
    for key in of.keys() {
        let mut entry = element(&[*key]);
        if kind == Kind::NewElements {
            entry = entry.be64(4, milliseconds);
        }
        list = list.nest(1, &entry);
    }
    elements_request(kind, of, table, gate.set, &list)
}

/// The staged tables by name: each table's number of rules, its families and its gates.
pub(super) type Staged = std::collections::BTreeMap<String, (usize, Vec<Of>, Vec<Gate>)>;
