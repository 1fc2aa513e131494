//! Judges whether the system is healthy before an attack, separately for each vantage that is not a target. A baseline that was not
//! measured does not pass.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::probe::Bin;

use super::super::clock::signed;
use crate::{
    plan::{
        Plan,
        model::{Attack, Goal, Objective, Probe},
    },
    score::{self, causes, format, latency::Latencies},
};

/// The measurements around one baseline.
pub(super) struct Baseline<'a> {
    plan: &'a Plan,
    attack: &'a Attack,
    from_us: i64,
    until_us: i64,
    /// The bins by probe and vantage, each with its start on the run's clock.
    bins: BTreeMap<(&'a str, &'a str), Vec<(i64, &'a Bin)>>,
}

/// The judgement of a baseline by the bins that have arrived.
pub(super) struct Judged {
    /// Whether all relevant bins have arrived, except perhaps a bin across the end of the phase, which weighs little.
    settled: bool,
    /// Whether all relevant bins have arrived.
    complete: bool,
    /// Reasons why the baseline does not hold, each with objective, vantage and causes.
    pub(super) against: Vec<String>,
}

impl Judged {
    /// Whether later bins cannot change the result.
    pub(super) fn is_final(&self) -> bool {
        self.complete || (self.settled && self.against.is_empty())
    }
}

/// The requests of one objective's probe at one vantage.
#[derive(Default)]
struct Sum {
    /// Number of requests that meet the objective.
    fit: u64,
    /// Number of requests that were answered or failed.
    total: u64,
    /// Number of requests that the vantage could not send in time.
    slipped: u64,
    /// Number of failed requests by cause.
    causes: BTreeMap<String, u64>,
}

impl<'a> Baseline<'a> {
    /// Collects the measurements of a phase from `from_us` to `until_us` on the run's clock. `measured` has vantage, start and bin.
    pub(super) fn of(
        plan: &'a Plan,
        attack: &'a Attack,
        (from_us, until_us): (i64, i64),
        measured: impl Iterator<Item = (&'a str, i64, &'a Bin)>,
    ) -> Self {
        let mut bins: BTreeMap<_, Vec<(i64, &Bin)>> = BTreeMap::new();
        for (vantage, start_us, bin) in measured {
            let so_far = bins.entry((bin.probe.as_str(), vantage)).or_default();
            // After a broken link, some bins arrive twice.
            if !so_far.iter().any(|(start, _)| *start == start_us) {
                so_far.push((start_us, bin));
            }
        }
        Self { plan, attack, from_us, until_us, bins }
    }

    /// Judges every objective of the attack from every vantage that counts.
    pub(super) fn judge(&self) -> Judged {
        let mut judged = Judged { settled: true, complete: true, against: Vec::new() };
        // Each finding with the objectives that have it, so that equal findings are listed once.
        let mut found: Vec<(String, Vec<&str>)> = Vec::new();
        let mut add =
            |text: String, objective: &'a Objective| match found.iter_mut().find(|(t, _)| *t == text) {
                Some((_, names)) => names.push(&objective.name),
                None => found.push((text, vec![&objective.name])),
            };
        let injections = &self.attack.injections;
        let targets: BTreeSet<&str> = injections.iter().map(|injection| injection.host.as_str()).collect();
        let is_judged = |objective: &&Objective| self.attack.judge.contains(&objective.name);
        for objective in self.plan.objectives.iter().filter(is_judged) {
            let Some(probe) = self.plan.probes.iter().find(|probe| probe.name == objective.probe) else {
                continue;
            };
            let counts = |vantage: &&String| !targets.contains(vantage.as_str());
            let mut vantages = probe.from.iter().filter(counts).peekable();
            if vantages.peek().is_none() {
                add(format!("no vantage of {} counts, all are on targeted hosts", probe.name), objective);
            }
            for vantage in vantages {
                let until_us = self.measured_until_us(probe, vantage);
                judged.complete &= until_us >= self.until_us;
                let settled = until_us.saturating_add(HALF_US) >= self.until_us;
                judged.settled &= settled;
                if let Some(text) = self.against(objective, probe, vantage, settled) {
                    add(format!("from {vantage} {text}"), objective);
                }
            }
        }
        judged.against = found
            .into_iter()
            .map(|(text, names)| {
                let s = if names.len() > 1 { "s" } else { "" };
                format!("objective{s} {}: {text}", format::list(&names))
            })
            .collect();
        judged
    }

    /// Returns the end of the last bin of a vantage; the beginning of the phase if it has none.
    fn measured_until_us(&self, probe: &Probe, vantage: &str) -> i64 {
        let bins = self.bins.get(&(probe.name.as_str(), vantage));
        let ends = bins.into_iter().flatten().map(|(start_us, bin)| start_us + signed(bin.length_us));
        ends.max().unwrap_or(self.from_us)
    }

    /// Sums up the requests in the phase.
    fn sum(&self, objective: &Objective, probe: &Probe, vantage: &str) -> Sum {
        let mut sum = Sum::default();
        let bins = self.bins.get(&(probe.name.as_str(), vantage));
        for (start_us, bin) in bins.into_iter().flatten() {
            let until_us = start_us + signed(bin.length_us);
            let last_bad_us = bin.last_bad_us.map(|after| start_us + signed(after));
            // A bin counts for the phase in which its place lies.
            let at = causes::placed_us(*start_us, until_us, last_bad_us);
            if !(self.from_us..self.until_us).contains(&at) {
                continue;
            }
            sum.fit += match objective.goal {
                // Unreadable latencies do not count as short.
                Goal::Latency { below, .. } => {
                    Latencies::of(bin).unwrap_or_default().at_most(below.as_micros())
                }
                _ => bin.good,
            };
            sum.total += bin.good + bin.bad_total();
            sum.slipped += bin.slipped;
            for (cause, count) in &bin.bad {
                *sum.causes.entry(cause.clone()).or_default() += count;
            }
        }
        sum
    }

    /// Returns the reason why an objective does not hold at a vantage. `is_settled` is whether the vantage's bins reach to the end of the phase.
    fn against(
        &self,
        objective: &Objective,
        probe: &Probe,
        vantage: &str,
        is_settled: bool,
    ) -> Option<String> {
        let sum = self.sum(objective, probe, vantage);
        let lost = match sum.slipped {
            0 => String::new(),
            count => format!(" ({count} requests slipped: the vantage could not send them in time)"),
        };
        if sum.total == 0 {
            return Some(format!("nothing was measured of {}{lost}", probe.name));
        }
        let share = sum.fit as f64 / sum.total as f64;
        let (wanted, good) = match objective.goal {
            Goal::Latency { quantile, below } => (quantile, format!("good within {below}")),
            Goal::Good(share) => (share.fraction(), "good".to_owned()),
            _ => (score::good_enough(self.plan, self.attack, &probe.name), "good".to_owned()),
        };
        if share < wanted {
            let causes = match causes::text(&sum.causes) {
                text if text.is_empty() => String::new(),
                text => format!(" ({text})"),
            };
            return Some(format!(
                "{} of {} requests of {} {good}, {} wanted{causes}",
                format::percent(share),
                sum.total,
                probe.name,
                format::percent(wanted)
            ));
        }
        let missing = self.until_us.saturating_sub(self.measured_until_us(probe, vantage));
        (!is_settled).then(|| {
            format!("nothing was measured of {} in the last {} of it", probe.name, format::time(missing))
        })
    }
}

/// Half of a bin's length, in microseconds. If a bin ends this close to the end of the phase, no later bin has its middle in the phase.
const HALF_US: i64 = 500_000;

#[cfg(test)]
mod tests;
