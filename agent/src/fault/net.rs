//! What faults on traffic share: who the peers are, what is never touched, and the rules themselves.

use firedrill_wire::Share;

use crate::host::impair::Chance;

pub mod detour;
pub mod dns;
mod iptables;
pub mod kernel;
pub mod peers;
pub mod rules;
pub mod service;
pub mod shape;
pub mod table_fault;
pub mod user_space;
pub mod words;

/// A share of packets, as engines take it.
pub(super) fn chance(share: Share, correlation: Share) -> Chance {
    Chance { share: share.fraction(), correlation: correlation.fraction() }
}
