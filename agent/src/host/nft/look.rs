//! Reading what nf_tables has. Opens a socket of its own each time, so that a long list never holds up a renewal.

use std::{collections::BTreeMap, time::Duration};

use firedrill_netlink::{Attrs, Message, NetlinkError, Reason, Socket, attr};

use super::{
    message::{ANY, Kind, SET_TIMEOUT, in_family},
    named,
    table::Of,
};

/// A table that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSeen {
    /// Its family's number.
    pub family: u8,
    /// Its name.
    pub name: String,
    /// The netlink address of its owner, where it has one.
    pub owner: Option<u32>,
}

/// One of our tables, looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// How many rules it has.
    pub rules: usize,
    /// Packets that its counters saw.
    pub packets: u64,
    /// Its gates by their sets' names, and how long each is open yet; none where it is closed.
    pub gates: BTreeMap<String, Option<Duration>>,
}

impl Look {
    /// Time left of a gate; none where it is closed, or where there is none of that name.
    #[must_use]
    pub fn left(&self, gate: &str) -> Option<Duration> {
        self.gates.get(gate).copied().flatten()
    }

    /// Whether its rules match packets: there are some, and all gates are open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rules > 0 && !self.gates.is_empty() && self.gates.values().all(Option::is_some)
    }
}

/// Lists what nf_tables has of a kind; `family` 0 for all.
///
/// # Errors
/// What the kernel said.
pub(crate) fn list(family: u8, kind: Kind, attrs: &Attrs) -> Result<Vec<Message>, NetlinkError> {
    let what = format!("list nftables ({kind:?})");
    let Some(request) = in_family(family, kind, 0, attrs) else {
        return Err(NetlinkError { what, reason: Reason::TooLong("a name".to_owned()) });
    };
    Socket::open(libc::NETLINK_NETFILTER)?.dump(&what, &request)
}

/// All tables of all families.
///
/// # Errors
/// What the kernel said.
pub(super) fn tables() -> Result<Vec<TableSeen>, NetlinkError> {
    match list(ANY, Kind::GetTables, &Attrs::new()) {
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        listed => Ok(listed?.iter().filter_map(table).collect()),
    }
}

/// Whether the kernel has no nf_tables at all, and so no tables: that is what it says to being asked for them.
pub(crate) fn is_absent(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT))
}

fn table(message: &Message) -> Option<TableSeen> {
    let (header, attrs) = message.body.split_at_checked(4)?;
    Some(TableSeen { family: header[0], name: attr::text(attrs, 1)?, owner: attr::be32(attrs, 7) })
}

/// Looks at one of our tables; `None` where it is not there.
///
/// # Errors
/// What the kernel said.
pub(super) fn look(table: &str) -> Result<Option<Look>, NetlinkError> {
    let there = named(table)?;
    if !there.iter().any(|seen| seen.family == Of::Traffic.number()) {
        return Ok(None);
    }
    let mut look = Look { rules: 0, packets: 0, gates: BTreeMap::new() };
    for of in Of::BOTH.into_iter().filter(|of| there.iter().any(|seen| seen.family == of.number())) {
        match look_in(of, table, &mut look) {
            // The table went away meanwhile.
            Err(NetlinkError { reason: Reason::Refused { errno: libc::ENOENT, .. }, .. }) => return Ok(None),
            other => other?,
        }
    }
    Ok(Some(look))
}

fn look_in(of: Of, table: &str, look: &mut Look) -> Result<(), NetlinkError> {
    for message in list(of.number(), Kind::GetRules, &Attrs::new().text(1, table))? {
        // Old kernels list all rules of the family, whatever was asked.
        let attrs = message.body.get(4..).unwrap_or_default();
        if attr::text(attrs, 1).as_deref() == Some(table) {
            look.rules += 1;
            look.packets += counted(attr::find(attrs, 4).unwrap_or_default());
        }
    }
    // All sets whose elements have times; of twins whose is up first.
    for message in list(of.number(), Kind::GetSets, &Attrs::new().text(1, table))? {
        let attrs = message.body.get(4..).unwrap_or_default();
        let timed = attr::be32(attrs, 3).is_some_and(|flags| flags & SET_TIMEOUT != 0);
        if let (true, Some(set)) = (timed, attr::text(attrs, 2)) {
            let left = gate_left(of, table, &set)?;
            // Nothing left is less than anything.
            look.gates.entry(set).and_modify(|other| *other = left.min(*other)).or_insert(left);
        }
    }
    Ok(())
}

/// Packets that the counters among a rule's expressions saw.
fn counted(expressions: &[u8]) -> u64 {
    attr::attributes(expressions)
        .filter(|(_, expression)| attr::text(expression, 1).as_deref() == Some("counter"))
        .filter_map(|(_, expression)| attr::be64(attr::find(expression, 2)?, 2))
        .sum()
}

/// Time left of a gate: of the family whose time is up first, and none unless all families' elements are there.
fn gate_left(of: Of, table: &str, set: &str) -> Result<Option<Duration>, NetlinkError> {
    let mut left = Vec::new();
    for message in list(of.number(), Kind::GetElements, &Attrs::new().text(1, table).text(2, set))? {
        let elements = message.body.get(4..).and_then(|attrs| attr::find(attrs, 3)).unwrap_or_default();
        left.extend(attr::attributes(elements).filter_map(|(_, element)| attr::be64(element, 5)));
    }
    Ok(if left.len() == of.keys().len() { left.into_iter().min().map(Duration::from_millis) } else { None })
}
