//! Makes the probes of each vantage from the plan, and computes their maximum duration. Starts none.

use std::collections::BTreeMap;

use firedrill_wire::{RunId, Span, api::StartProbes, probe::ProbeSpec};

use super::tracked::UNDO_MOST;
use super::wish::PAUSES_MOST;
use crate::plan::{
    Plan,
    model::{Goal, Step},
    select::arrivals_key,
};

/// Returns the probes of each vantage.
pub(super) fn specs<'p>(plan: &'p Plan, run: &RunId) -> BTreeMap<&'p str, Vec<ProbeSpec>> {
    let mut by_vantage: BTreeMap<&str, Vec<ProbeSpec>> = BTreeMap::new();
    for probe in &plan.probes {
        for vantage in &probe.from {
            by_vantage.entry(vantage).or_default().push(ProbeSpec {
                name: probe.name.clone(),
                kind: probe.kind.clone(),
                rate: probe.rate,
                arrivals: probe.arrivals,
                key: arrivals_key(plan.seed, run.as_str(), &probe.name, vantage),
                timeout: probe.timeout,
                connection: probe.connection,
                names: probe.names.clone(),
            });
        }
    }
    by_vantage
}

/// Time for arming an attack, and for the last answers of its baseline and its recovery, in addition to the probes'
/// time-outs.
const AROUND: Span = Span::secs(30);

/// Time in which an attack's writes are read back, before the fault and after the recovery.
const READING: Span = Span::secs(320);

/// Returns the time after which probes on agents stop by themselves. It is longer than any run of the plan: twice the maximum duration of
/// all attacks, each with the longest start, read-backs and undo, and the steps, pauses and approvals. It is at most the agents' limit.
pub(super) fn at_most(plan: &Plan) -> Span {
    let slowest = plan.slowest();
    // The newest samples are waited for in the baseline and after the recovery.
    let overdue = plan.metrics.iter().map(|metric| metric.overdue_after(plan.timeout_of(metric)));
    let samples = overdue.max().unwrap_or_default();
    let writes = plan.objectives.iter().any(|one| matches!(one.goal, Goal::LostWrites(_)));
    let reading = if writes { READING } else { Span::ZERO };
    let around = reading + AROUND + slowest + slowest + samples + samples + plan.lease + UNDO_MOST;
    let attacks: Span = plan
        .turns()
        .map(|(_, attack)| {
            let longest = attack
                .injections
                .iter()
                .map(|injection| injection.at + injection.fault.ramp(injection.hold) + injection.hold)
                .max()
                .unwrap_or(attack.hold);
            let waiting = attack.approve.as_ref().map_or(Span::ZERO, |approve| approve.expires);
            attack.baseline
                + longest.max(attack.hold)
                + attack.recovery
                + attack.settle_within
                + waiting
                + around
        })
        .sum();
    let steps: Span = plan.steps.iter().map(Step::longest).sum();
    (attacks + attacks + steps + PAUSES_MOST + Span::secs(60)).min(StartProbes::LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_judge::testing::Drill;

    #[test]
    fn probes_run_longer_than_attacks_with_slow_starts_and_undos() {
        let mut plan = Drill::good().plan();
        let short = Span::secs(5);
        for attack in &mut plan.attacks {
            (attack.baseline, attack.hold, attack.recovery) = (short, short, short);
            attack.settle_within = Span::ZERO;
            attack.injections.iter_mut().for_each(|injection| injection.hold = short);
        }
        let slowest = plan.probes.iter().map(|probe| probe.timeout).max().expect("it has probes");
        // Baseline and its last answers, start, hold, undo, recovery and its last answers.
        let one = short + slowest + short + short + UNDO_MOST + short + slowest;
        let all: Span = plan.attacks.iter().map(|_| one).sum();
        assert!(at_most(&plan) > all, "{} is less than {all}", at_most(&plan));
    }
}
