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

/// Returns a share with its correlation for people: `5%`, or `5% (correlation 25%)`.
pub(super) fn share_words(share: Share, correlation: Share) -> String {
    if correlation.is_none() { share.to_string() } else { format!("{share} (correlation {correlation})") }
}

/// Returns what people should know of a correlation: the share that comes of it, unless it is about the one that was asked for.
pub(super) fn share_notes(share: Share, correlation: Share) -> Vec<String> {
    let found = chance(share, correlation).in_the_long_run();
    if (found - share.fraction()).abs() <= share.fraction() / 10.0 {
        return Vec::new();
    }
    vec![format!(
        "with a correlation of {correlation}, netem's arithmetic makes {share} about {:.2} % of the packets in the long run; leave `correlation` \
         out for the share itself",
        found * 100.0
    )]
}
