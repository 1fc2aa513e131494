//! The data for judging an attack: its plan, phases and measurements ([`Bench`]), and the measurements of one probe at one vantage
//! ([`View`]). Judges nothing.

use firedrill_plan::plan::{
    Plan,
    model::{Alert, Attack, GOOD_AT, Goal, LogObjective, Metric, Objective, Probe},
    select::arrivals_key,
};
use firedrill_wire::probe::Arrivals;

use super::{
    card::Measured,
    efficacy::Doubt,
    facts::Facts,
    format,
    phases::Phases,
    sample::Sample,
    samples::{Samples, Sight},
    single::Pace,
};
use crate::verdict::Verdict;

/// Share of good requests that a probe must reach if no objective sets one: a probe that has only objectives such as `mitigate_within` and
/// `recover_within`.
const DEFAULT_GOOD: f64 = 0.99;

/// The data that all judges of an attack use.
pub(crate) struct Bench<'f, 'a> {
    pub(crate) facts: &'f Facts<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) attack: &'a Attack,
    /// The place of the attack in the plan.
    pub(crate) attack_index: usize,
    pub(crate) phases: &'f Phases,
    pub(crate) samples: &'f Samples<'f>,
    /// The reasons to doubt verdicts on this attack.
    pub(crate) doubts: Vec<Doubt>,
}

/// The samples of one objective's probe at one vantage.
pub(crate) struct View<'f, 'a> {
    pub(crate) bench: &'f Bench<'f, 'a>,
    pub(crate) probe: &'a Probe,
    /// All that the vantage measured; `None` if it measured nothing.
    pub(crate) sight: Option<&'f Sight>,
    pub(crate) samples: &'f [Sample],
    /// The times at which the probe's requests are due; `None` if the log does not have the run's id.
    pub(crate) pace: Option<Pace>,
}

/// The result at one vantage.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    pub(crate) measured: Measured,
}

/// Returns the share of good requests that a probe must reach, from 0 to 1: the highest that the attack's objectives set, otherwise the
/// highest of all objectives of the plan, otherwise 0.99.
#[must_use]
pub fn good_enough(plan: &Plan, attack: &Attack, probe: &str) -> f64 {
    let strictest = |of_attack_only: bool| {
        plan.objectives
            .iter()
            .filter(|one| one.probe == probe && (!of_attack_only || attack.judge.contains(&one.name)))
            .filter_map(|one| match one.goal {
                Goal::Good(share) => Some(share.fraction()),
                _ => None,
            })
            .reduce(f64::max)
    };
    strictest(true).or_else(|| strictest(false)).unwrap_or(DEFAULT_GOOD)
}

/// Returns the share of good requests from which a probe counts as good again, from 0 to 1: the highest `good_at` of the attack's objectives
/// on times to mitigate or recover, otherwise the default.
fn good_again(plan: &Plan, attack: &Attack, probe: &str) -> f64 {
    let timed = |goal: &Goal| matches!(goal, Goal::MitigateWithin(_) | Goal::RecoverWithin(_));
    let own = plan.objectives.iter().filter(|one| one.probe == probe && attack.judge.contains(&one.name));
    own.filter(|one| timed(&one.goal))
        .map(|one| one.good_at.fraction())
        .reduce(f64::max)
        .unwrap_or(GOOD_AT.fraction())
}

impl<'f, 'a> Bench<'f, 'a> {
    /// Returns the objectives on probes by which this attack is judged.
    pub(crate) fn objectives(&self) -> impl Iterator<Item = &'a Objective> + '_ {
        self.plan.objectives.iter().filter(|objective| self.attack.judge.contains(&objective.name))
    }

    /// Returns the objectives on metrics by which this attack is judged.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &'a Metric> + '_ {
        self.plan.metrics.iter().filter(|metric| self.attack.judge.contains(&metric.name))
    }

    /// Returns the objectives on alerts by which this attack is judged.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &'a Alert> + '_ {
        self.plan.alerts.iter().filter(|alert| self.attack.judge.contains(&alert.name))
    }

    /// Returns the objectives on logs by which this attack is judged.
    pub(crate) fn log_objectives(&self) -> impl Iterator<Item = &'a LogObjective> + '_ {
        self.plan.log_objectives.iter().filter(|one| self.attack.judge.contains(&one.name))
    }

    /// Whether a vantage decides. One on a target of this attack is only shown.
    pub(crate) fn counts(&self, vantage: &str) -> bool {
        !self.attack.injections.iter().any(|one| one.host == vantage)
    }

    /// Returns the doubt that turns a verdict into `unknown`. Any doubt does so to `held`; to `violated` only one that is [`Self::void`].
    pub(crate) fn doubt_about(&self, verdict: Verdict) -> Option<&Doubt> {
        let any = self.doubts.first().filter(|_| verdict == Verdict::Held);
        self.void().or(any)
    }

    /// Returns the first doubt that makes the measurements no evidence about the fault; `None` if there is no such doubt.
    pub(crate) fn void(&self) -> Option<&Doubt> {
        self.doubts.iter().find(|doubt| doubt.void)
    }

    /// Returns the measurements of a probe at a vantage.
    pub(crate) fn view(&'f self, probe: &'a Probe, vantage: &'a str) -> View<'f, 'a> {
        let sight = self.samples.get(&probe.name, vantage);
        let pace = self.facts.run.as_deref().map(|run| Pace {
            rate: probe.rate,
            arrivals: probe.arrivals,
            key: arrivals_key(self.plan.seed, run, &probe.name, vantage),
        });
        View { bench: self, probe, sight, samples: sight.map_or(&[], |sight| &sight.all), pace }
    }

    /// Returns the share of good requests that a probe must reach in this attack, from 0 to 1.
    pub(crate) fn good_enough(&self, probe: &str) -> f64 {
        good_enough(self.plan, self.attack, probe)
    }

    /// Returns the share of good requests from which a probe counts as good again in this attack, from 0 to 1.
    pub(crate) fn good_again(&self, probe: &str) -> f64 {
        good_again(self.plan, self.attack, probe)
    }
}

impl View<'_, '_> {
    /// Returns the total length of [`Self::gaps`], in microseconds.
    pub(crate) fn unmeasured_us(&self, from: i64, until: i64) -> i64 {
        self.gaps(from, until).iter().map(|(from, until)| until.saturating_sub(*from)).sum()
    }

    /// Returns the gaps between bins in a stretch of time, each as its start and its end in microseconds. Gaps up to 50 ms do not count, because
    /// bins do not always meet exactly. At the attack's outer ends, gaps up to 1.2 s do not count: bins of a second do not begin with the attack.
    pub(crate) fn gaps(&self, from: i64, until: i64) -> Vec<(i64, i64)> {
        const JITTER_US: i64 = 50_000;
        const OUTER_US: i64 = 1_200_000;
        let phases = &self.bench.phases.all;
        let is_outer = |at: i64| {
            phases.first().is_some_and(|span| at <= span.from_us)
                || phases.last().is_some_and(|span| at >= span.until_us)
        };
        let mut missing = Vec::new();
        let mut covered_until = from;
        let mut add_gap = |start: i64, end: i64| {
            let size = end.saturating_sub(start);
            let tolerated = if is_outer(start) || is_outer(end) { OUTER_US } else { JITTER_US };
            if size > tolerated {
                missing.push((start, end));
            }
        };
        for bin in self.samples {
            // At random times some bins have no request. At equal distances, a bin without requests that should have some measured nothing.
            let measured_nothing = bin.due() == 0
                && self.probe.arrivals == Arrivals::Even
                && self.probe.rate * bin.until_us.saturating_sub(bin.from_us) as f64 / 1e6 >= 1.0;
            if measured_nothing || bin.until_us <= covered_until || bin.from_us >= until {
                continue;
            }
            add_gap(covered_until, bin.from_us);
            covered_until = bin.until_us;
        }
        if covered_until < until {
            add_gap(covered_until, until);
        }
        missing
    }

    /// Returns the uncertainty of this vantage's clock relative to the targets' clocks in a stretch of time, in microseconds.
    pub(crate) fn unsure_us(&self, from: i64, until: i64) -> i64 {
        let inside = self.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until);
        let own = inside.filter_map(Sample::uncertainty_us).max().unwrap_or(0);
        self.bench.phases.uncertainty_us.saturating_add(own)
    }

    /// Returns the reason why this vantage cannot say `held` over a stretch of time; `stretch` names it, for instance `fault`. `None` if it can.
    pub(crate) fn weakness(&self, from: i64, until: i64, stretch: &str) -> Option<String> {
        let inside = || self.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until);
        if inside().any(|bin| bin.uncertainty_us().is_none()) {
            return Some("its clock was never measured against the run's".to_owned());
        }
        let missing = self.unmeasured_us(from, until);
        if missing > 0 {
            return Some(format!(
                "nothing was measured there for {} of the {stretch}",
                format::time(missing)
            ));
        }
        // Only bins that lie completely within count: the end of the probes may have shortened one across an end.
        let whole = || inside().filter(|bin| bin.from_us >= from && bin.until_us <= until);
        let due: u64 = whole().map(Sample::due).sum();
        let time_us: i64 = whole().map(|bin| bin.until_us.saturating_sub(bin.from_us)).sum();
        let planned = self.probe.rate * time_us as f64 / 1e6;
        // Chance hardly ever takes a Poisson process five standard deviations below its mean.
        let scatter = match self.probe.arrivals {
            Arrivals::Even => 0.02 * planned,
            Arrivals::Poisson => 5.0 * planned.sqrt(),
        };
        if (due as f64) < planned - scatter - 2.0 {
            return Some(format!("it made {due} requests in the {stretch}, and the plan wants {planned:.0}"));
        }
        None
    }
}
