//! The types of nf_tables' messages, and their encoding. Sends nothing.

use firedrill_netlink::{Attrs, Request, flag};

/// A request to nf_tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Make a table.
    NewTable = 0,
    /// List tables.
    GetTables = 1,
    /// Delete a table with all its content.
    DeleteTable = 2,
    /// Make a chain.
    NewChain = 3,
    /// List chains.
    GetChains = 4,
    /// Make a rule.
    NewRule = 6,
    /// List rules.
    GetRules = 7,
    /// Make a set.
    NewSet = 9,
    /// List sets.
    GetSets = 10,
    /// Put elements into a set.
    NewElements = 12,
    /// List the elements of a set.
    GetElements = 13,
    /// Take elements out of a set.
    DeleteElements = 14,
    /// List stateful objects.
    GetObjects = 19,
    /// List flow tables.
    GetFlowtables = 23,
}

pub(super) const CREATE: u16 = flag(libc::NLM_F_CREATE);
pub(super) const EXCL: u16 = flag(libc::NLM_F_EXCL);
pub(super) const APPEND: u16 = flag(libc::NLM_F_APPEND);
/// The flag of a table that is deleted when the socket that made it is closed.
pub(super) const TABLE_OWNER: u32 = 2;
pub(super) const SET_INTERVAL: u32 = 4;
pub(super) const SET_TIMEOUT: u32 = 0x10;
/// The flag of an element that is the end of an interval.
pub(super) const INTERVAL_END: u32 = 1;

const SUBSYSTEM: u8 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// All families.
pub const ANY: u8 = 0;
/// IPv4 and IPv6 together.
pub const INET: u8 = 1;
/// IPv4 alone.
pub(super) const IPV4: u8 = 2;
/// The packets of single interfaces (ingress hooks).
pub const NETDEV: u8 = 5;

/// Encodes a message for a family, with its attributes; `None` if an attribute is too long.
pub fn in_family(family: u8, kind: Kind, flags: u16, attrs: &Attrs) -> Option<Request> {
    let kind = u16::from_be_bytes([SUBSYSTEM, kind as u8]);
    Some(Request { kind, flags, body: attrs.after(&[family, 0, 0, 0])? })
}

/// Encodes the beginning of a transaction.
pub(super) fn begin() -> Request {
    Request { kind: BATCH_BEGIN, flags: 0, body: vec![0, 0, 0, SUBSYSTEM] }
}

/// Encodes the end of a transaction, which commits it.
pub(super) fn end() -> Request {
    Request { kind: BATCH_END, flags: 0, body: vec![0, 0, 0, SUBSYSTEM] }
}
