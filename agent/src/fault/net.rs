//! The common parts of faults on traffic and on interfaces: the peers, the traffic that is never touched, the rules, and
//! the engines that shape packets.

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

/// Returns a note with the share that a correlation gives in the long run. Returns no note if that differs from the wanted share by at most a
/// tenth.
pub(super) fn share_notes(share: Share, correlation: Share) -> Vec<String> {
    let in_the_long_run = chance(share, correlation).in_the_long_run();
    if (in_the_long_run - share.fraction()).abs() <= share.fraction() / 10.0 {
        return Vec::new();
    }
    vec![format!(
        "with a correlation of {correlation}, netem's arithmetic makes {share} about {:.2} % in the long run; without `correlation` it stays {share}",
        in_the_long_run * 100.0
    )]
}
