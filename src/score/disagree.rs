//! Vantages, or probes of one address, that saw one phase differently by more than chance. Judges nothing.
//!
//! Where they do, they saw different parts of the system (a balancer that takes turns, a cut between regions), and no share
//! over both of them means anything.

use super::{
    card::{DisagreementCard, Sight},
    judge::Bench,
    share,
};
use crate::{
    plan::model::{Phase, Probe},
    statistics::apart,
};

/// False alarms in an attack are at most so frequent.
const ALARMS: f64 = 0.01;

/// All pairs of vantages that count and disagree, by phase.
pub(super) fn all(bench: &Bench<'_, '_>) -> Vec<DisagreementCard> {
    let mut pairs = Vec::new();
    for phase in [Phase::Baseline, Phase::Fault, Phase::Recovery] {
        let mut sights: Vec<(usize, Sight)> = Vec::new();
        for (place, probe) in bench.plan.probes.iter().enumerate() {
            // Probes that ask for the same and judge it alike are one group, whatever their rates.
            let same = |other: &Probe| {
                (&other.kind, other.timeout, other.connection)
                    == (&probe.kind, probe.timeout, probe.connection)
            };
            let group = bench.plan.probes.iter().position(same).unwrap_or(place);
            for vantage in probe.from.iter().filter(|vantage| bench.counts(vantage)) {
                let (bad, all) = share::good(&bench.view(probe, vantage), phase).counts();
                sights.push((group, Sight { probe: probe.name.clone(), vantage: vantage.clone(), bad, all }));
            }
        }
        for (place, (group, one)) in sights.iter().enumerate() {
            let others = sights[place + 1..].iter().filter(|(other, _)| other == group);
            pairs.extend(others.map(|(_, other)| {
                let chance = apart((one.bad, one.all), (other.bad, other.all));
                DisagreementCard { phase, one: one.clone(), other: other.clone(), chance }
            }));
        }
    }
    let limit = ALARMS / pairs.len().max(1) as f64;
    pairs.retain(|pair| pair.chance < limit);
    pairs
}
