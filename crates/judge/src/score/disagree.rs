//! Finds vantages, or probes of one address, whose results in one phase differ by more than chance. Judges nothing.
//!
//! Such vantages reached different parts of the system (a round-robin balancer, a partition between regions), and a
//! share over both of them would be meaningless.

use std::collections::BTreeMap;

use firedrill_plan::plan::model::{Phase, Probe};
use firedrill_statistics::apart;

use super::{
    bench::Bench,
    card::{DisagreementCard, Sight},
    share,
};

/// Maximum probability of a false alarm in an attack.
const ALARMS: f64 = 0.01;

/// Maximum number of results that are all compared with each other. Of more, only the best and the worst are compared: otherwise the
/// work and the report would grow quadratically with the number of vantages.
const ALL_PAIRS: usize = 16;

/// Returns the pairs of vantages that count and disagree, by phase.
pub(super) fn all(bench: &Bench<'_, '_>) -> Vec<DisagreementCard> {
    let (mut found, mut pairs) = (Vec::new(), 0_usize);
    for phase in [Phase::Baseline, Phase::Fault, Phase::Recovery] {
        for sights in groups(bench, phase).into_values() {
            pairs += sights.len() * sights.len().saturating_sub(1) / 2;
            let compare = |one: &Sight, other: &Sight| DisagreementCard {
                phase,
                one: one.clone(),
                other: other.clone(),
                chance: apart((one.bad, one.all), (other.bad, other.all)),
            };
            if sights.len() <= ALL_PAIRS {
                for (place, one) in sights.iter().enumerate() {
                    found.extend(sights[place + 1..].iter().map(|other| compare(one, other)));
                }
            } else {
                let measured = || sights.iter().filter(|sight| sight.all > 0);
                let share = |sight: &&Sight| sight.bad as f64 / sight.all as f64;
                let by_share = |a: &&Sight, b: &&Sight| share(a).total_cmp(&share(b));
                let ends = measured().min_by(by_share).zip(measured().max_by(by_share));
                found.extend(ends.map(|(best, worst)| compare(best, worst)));
            }
        }
    }
    let limit = ALARMS / pairs.max(1) as f64;
    found.retain(|pair| pair.chance < limit);
    found
}

/// Returns the results of one phase, grouped by the first probe that sends the same request and has the same
/// criteria. Rates may differ.
fn groups(bench: &Bench<'_, '_>, phase: Phase) -> BTreeMap<usize, Vec<Sight>> {
    let mut groups = BTreeMap::<usize, Vec<Sight>>::new();
    for (place, probe) in bench.plan.probes.iter().enumerate() {
        let same = |other: &Probe| {
            (&other.kind, other.timeout, other.connection) == (&probe.kind, probe.timeout, probe.connection)
        };
        let group = bench.plan.probes.iter().position(same).unwrap_or(place);
        for vantage in probe.from.iter().filter(|vantage| bench.counts(vantage)) {
            let (bad, all) = share::good(&bench.view(probe, vantage), phase).counts();
            let sight = Sight { probe: probe.name.clone(), vantage: vantage.clone(), bad, all };
            groups.entry(group).or_default().push(sight);
        }
    }
    groups
}
