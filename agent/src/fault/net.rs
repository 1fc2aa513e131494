//! The common parts of faults on traffic: the peers, the traffic that is never touched, and the rules themselves.

use firedrill_wire::Share;

use crate::host::impair::Chance;

pub mod detour;
pub mod dns;
pub(super) mod interface;
pub(super) mod packet_rules;
pub mod peers;
pub mod rules;
pub mod service;
pub mod shape;
pub mod shaper;
pub mod words;

/// Converts a share of packets to the form that engines take.
pub(super) fn chance(share: Share, correlation: Share) -> Chance {
    Chance { share: share.fraction(), correlation: correlation.fraction() }
}
