//! Reads objects of nf_tables, and changes none. Opens a new socket each time, so that a long list never delays a renewal.

use std::{collections::BTreeMap, time::Duration};

use firedrill_netlink::{Attrs, Message, NetlinkError, Reason, Socket, attr};

use super::{
    message::{ANY, Kind, SET_TIMEOUT, in_family},
    table::Of,
};

/// An existing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSeen {
    /// The number of the table's family.
    pub family: u8,
    /// The table's name.
    pub name: String,
    /// The netlink address of the table's owner; `None` if it has no owner.
    pub owner: Option<u32>,
}

/// The state of a table of this tool, together with its twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Number of the table's rules.
    pub rules: usize,
    /// Number of packets that the table's counters have counted.
    pub packets: u64,
    /// The remaining time of each gate, by the name of its set; `None` if it is closed.
    pub gates: BTreeMap<String, Option<Duration>>,
}

impl Look {
    /// Returns the remaining time of a gate; `None` if it is closed or does not exist.
    #[must_use]
    pub fn left(&self, gate: &str) -> Option<Duration> {
        self.gates.get(gate).copied().flatten()
    }

    /// Whether the table has an effect: it has rules and gates, and all gates are open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rules > 0 && !self.gates.is_empty() && self.gates.values().all(Option::is_some)
    }
}

/// Lists objects of a kind. The family 0 means all families.
///
/// # Errors
/// The kernel could not list the objects.
pub fn list(family: u8, kind: Kind, attrs: &Attrs) -> Result<Vec<Message>, NetlinkError> {
    let what = format!("list nftables ({kind:?})");
    let Some(request) = in_family(family, kind, 0, attrs) else {
        return Err(NetlinkError { what, reason: Reason::TooLong("a name".to_owned()) });
    };
    Socket::open(libc::NETLINK_NETFILTER)?.dump(&what, &request)
}

/// Returns the tables of all families.
///
/// # Errors
/// The kernel could not list the tables.
pub(super) fn tables() -> Result<Vec<TableSeen>, NetlinkError> {
    match list(ANY, Kind::GetTables, &Attrs::new()) {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        listed => Ok(listed?.iter().filter_map(table).collect()),
    }
}

/// Whether an error means that the kernel has no nf_tables, and therefore no tables.
pub fn is_absent(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT))
}

fn table(message: &Message) -> Option<TableSeen> {
    let (header, attrs) = message.body.split_at_checked(4)?;
    Some(TableSeen { family: header[0], name: attr::text(attrs, 1)?, owner: attr::be32(attrs, 7) })
}

/// Reads a table of this tool; `None` if it does not exist.
///
/// # Errors
/// The kernel could not list its content.
pub(super) fn look(table: &str) -> Result<Option<Look>, NetlinkError> {
    let existing = named(table)?;
    if !existing.iter().any(|seen| seen.family == Of::Traffic.number()) {
        return Ok(None);
    }
    let mut look = Look { rules: 0, packets: 0, gates: BTreeMap::new() };
    for of in Of::BOTH.into_iter().filter(|of| existing.iter().any(|seen| seen.family == of.number())) {
        match look_in(of, table, &mut look) {
            // The table was deleted meanwhile.
            Err(NetlinkError { reason: Reason::Refused { errno: libc::ENOENT, .. }, .. }) => return Ok(None),
            other => other?,
        }
    }
    Ok(Some(look))
}

/// Adds the state of the table in one family to `look`.
fn look_in(of: Of, table: &str, look: &mut Look) -> Result<(), NetlinkError> {
    for message in list(of.number(), Kind::GetRules, &Attrs::new().text(1, table))? {
        // Old kernels list all rules of the family, not only those of the table.
        let attrs = message.body.get(4..).unwrap_or_default();
        if attr::text(attrs, 1).as_deref() == Some(table) {
            look.rules += 1;
            look.packets += counted(attr::find(attrs, 4).unwrap_or_default());
        }
    }
    // Gates are the sets whose elements have timeouts. If both twins have a gate, the shorter time counts.
    for message in list(of.number(), Kind::GetSets, &Attrs::new().text(1, table))? {
        let attrs = message.body.get(4..).unwrap_or_default();
        let timed = attr::be32(attrs, 3).is_some_and(|flags| flags & SET_TIMEOUT != 0);
        if let (true, Some(set)) = (timed, attr::text(attrs, 2)) {
            let left = gate_left(of, table, &set)?;
            // `None` is less than any time, so a closed gate counts.
            look.gates.entry(set).and_modify(|other| *other = left.min(*other)).or_insert(left);
        }
    }
    Ok(())
}

/// Returns the number of packets that the counters in a rule have counted.
fn counted(expressions: &[u8]) -> u64 {
    attr::attributes(expressions)
        .filter(|(_, expression)| attr::text(expression, 1).as_deref() == Some("counter"))
        .filter_map(|(_, expression)| attr::be64(attr::find(expression, 2)?, 2))
        .sum()
}

/// Returns the remaining time of a gate, which is the shortest of its elements' times. `None` if an element does not exist.
fn gate_left(of: Of, table: &str, set: &str) -> Result<Option<Duration>, NetlinkError> {
    let mut left = Vec::new();
    for message in list(of.number(), Kind::GetElements, &Attrs::new().text(1, table).text(2, set))? {
        let elements = message.body.get(4..).and_then(|attrs| attr::find(attrs, 3)).unwrap_or_default();
        left.extend(attr::attributes(elements).filter_map(|(_, element)| attr::be64(element, 5)));
    }
    Ok(if left.len() == of.keys().len() { left.into_iter().min().map(Duration::from_millis) } else { None })
}

/// Returns the tables with this name in the two families that this tool uses.
pub(super) fn named(table: &str) -> Result<Vec<TableSeen>, NetlinkError> {
    let ours = |seen: &TableSeen| seen.name == table && Of::BOTH.iter().any(|of| of.number() == seen.family);
    Ok(tables()?.into_iter().filter(ours).collect())
}
