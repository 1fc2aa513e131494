//! Describes exchanges of packets over the paths of faults as rows of a table.

use firedrill_wire::exchange::Exchanged;
use serde::Serialize;

use crate::score::{
    card::{AttackCard, ExchangeCard, InjectionCard},
    format,
};

/// An exchange over the path of a fault.
#[derive(Debug, Serialize)]
pub(crate) struct ExchangeView {
    pub(crate) fault: String,
    pub(crate) path: String,
    /// The protocol, and the address of the peer.
    pub(crate) way: String,
    pub(crate) before: String,
    pub(crate) during: String,
    pub(crate) after: String,
    /// The contradiction between exchange and fault, or the reason why it was not measured; empty if there is neither.
    pub(crate) says: String,
}

impl ExchangeView {
    /// Returns one row for each exchange of an attack.
    pub(super) fn all(attack: &AttackCard) -> Vec<Self> {
        let figure = |exchanged: &Option<Exchanged>| {
            exchanged.as_ref().map_or_else(|| "not measured".to_owned(), format::exchanged)
        };
        let view = |fault: &InjectionCard, card: &ExchangeCard| Self {
            fault: format!("{} on {}", fault.kind, fault.host),
            path: format!("{} to {}", card.from, card.to),
            way: format!("{}, {}", card.way, card.address),
            before: figure(&card.before),
            during: figure(&card.during),
            after: figure(&card.after),
            says: card.contradiction.clone().or_else(|| card.failed.clone()).unwrap_or_default(),
        };
        let rows = |fault| move |card| view(fault, card);
        attack.injections.iter().flat_map(|fault| fault.exchanges.iter().map(rows(fault))).collect()
    }
}
