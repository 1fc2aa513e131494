//! Makes requests about whole tables, and the error of an attribute that is too long. Sends nothing.

use firedrill_netlink::{Attrs, NetlinkError, Reason, Request};

use super::{
    message::{self, Kind},
    table::{Making, Table},
};

/// Makes the error of a request with an attribute that is too long.
pub(super) fn too_long(what: &str) -> NetlinkError {
    NetlinkError { what: what.to_owned(), reason: Reason::TooLong("an attribute beyond 64 KiB".to_owned()) }
}

/// Returns the messages that make a table.
pub(super) fn making(what: &str, table: &Table) -> Result<Making, NetlinkError> {
    table.making().ok_or_else(|| too_long(what))
}

/// Returns the message that deletes a table.
pub(super) fn delete(what: &str, family: u8, table: &str) -> Result<Request, NetlinkError> {
    let named = Attrs::new().text(1, table);
    message::in_family(family, Kind::DeleteTable, 0, &named).ok_or_else(|| too_long(what))
}
