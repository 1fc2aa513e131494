//! The material for judging an attack: its plan, phases and measurements, and the view of one vantage. Judges nothing.

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

/// Share of good requests that a probe must reach where no objective sets one: for `mitigate_within` and
/// `recover_within` without a good share.
const DEFAULT_GOOD: f64 = 0.99;

/// The context for judging an attack.
pub(crate) struct Bench<'f, 'a> {
    pub(crate) facts: &'f Facts<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) attack: &'a Attack,
    /// The place of the attack in the plan.
    pub(crate) attack_index: usize,
    pub(crate) phases: &'f Phases,
    pub(crate) samples: &'f Samples<'f>,
    pub(crate) doubts: Vec<Doubt>,
}

/// The samples of one objective's probe at one vantage.
pub(crate) struct View<'f, 'a> {
    pub(crate) bench: &'f Bench<'f, 'a>,
    pub(crate) probe: &'a Probe,
    pub(crate) sight: Option<&'f Sight>,
    pub(crate) samples: &'f [Sample],
    /// Its random moments; `None` if the log does not have the run's id.
    pub(crate) pace: Option<Pace>,
}

/// The result at one vantage.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
    pub(crate) measured: Measured,
}

/// Returns the share of good requests that a probe must reach: the strictest of the attack's objectives, otherwise of
/// the plan's.
#[must_use]
pub fn good_enough(plan: &Plan, attack: &Attack, probe: &str) -> f64 {
    let strictest = |judged_only: bool| {
        plan.objectives
            .iter()
            .filter(|one| one.probe == probe && (!judged_only || attack.judge.contains(&one.name)))
            .filter_map(|one| match one.goal {
                Goal::Good(share) => Some(share.fraction()),
                _ => None,
            })
            .reduce(f64::max)
    };
    strictest(true).or_else(|| strictest(false)).unwrap_or(DEFAULT_GOOD)
}

/// Returns the share of good requests from which a probe is good again: the strictest of the attack's objectives,
/// otherwise the default.
fn good_again(plan: &Plan, attack: &Attack, probe: &str) -> f64 {
    let timed = |goal: &Goal| matches!(goal, Goal::MitigateWithin(_) | Goal::RecoverWithin(_));
    let own = plan.objectives.iter().filter(|one| one.probe == probe && attack.judge.contains(&one.name));
    own.filter(|one| timed(&one.goal))
        .map(|one| one.good_at.fraction())
        .reduce(f64::max)
        .unwrap_or(GOOD_AT.fraction())
}

impl<'f, 'a> Bench<'f, 'a> {
    pub(crate) fn objectives(&self) -> impl Iterator<Item = &'a Objective> + '_ {
        self.plan.objectives.iter().filter(|objective| self.attack.judge.contains(&objective.name))
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &'a Metric> + '_ {
        self.plan.metrics.iter().filter(|metric| self.attack.judge.contains(&metric.name))
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &'a Alert> + '_ {
        self.plan.alerts.iter().filter(|alert| self.attack.judge.contains(&alert.name))
    }

    pub(crate) fn log_objectives(&self) -> impl Iterator<Item = &'a LogObjective> + '_ {
        self.plan.log_objectives.iter().filter(|one| self.attack.judge.contains(&one.name))
    }

    /// Vantages on targets of this attack are shown and do not count.
    pub(crate) fn counts(&self, vantage: &str) -> bool {
        !self.attack.injections.iter().any(|one| one.host == vantage)
    }

    /// Returns the doubt that keeps a verdict from standing: `held` falls by any, and every verdict by one for which the measurements say
    /// nothing about the fault.
    pub(crate) fn doubt_about(&self, verdict: Verdict) -> Option<&Doubt> {
        let any = self.doubts.first().filter(|_| verdict == Verdict::Held);
        self.void().or(any)
    }

    /// Returns the doubt for which the measurements say nothing about the fault, if there is one.
    pub(crate) fn void(&self) -> Option<&Doubt> {
        self.doubts.iter().find(|doubt| doubt.void)
    }

    pub(crate) fn view(&'f self, probe: &'a Probe, vantage: &'a str) -> View<'f, 'a> {
        let sight = self.samples.get(&probe.name, vantage);
        let pace = self.facts.run.as_deref().map(|run| Pace {
            rate: probe.rate,
            arrivals: probe.arrivals,
            key: arrivals_key(self.plan.seed, run, &probe.name, vantage),
        });
        View { bench: self, probe, sight, samples: sight.map_or(&[], |sight| &sight.all), pace }
    }

    pub(crate) fn good_enough(&self, probe: &str) -> f64 {
        good_enough(self.plan, self.attack, probe)
    }

    pub(crate) fn good_again(&self, probe: &str) -> f64 {
        good_again(self.plan, self.attack, probe)
    }
}

impl View<'_, '_> {
    /// Returns the time without bins in a stretch of time, in microseconds. At the attack's outer ends a gap of one
    /// bin's length does not count, because bins do not begin with the attack.
    pub(crate) fn unmeasured_us(&self, from: i64, until: i64) -> i64 {
        self.gaps(from, until).iter().map(|(from, until)| until.saturating_sub(*from)).sum()
    }

    /// Returns the gaps without bins in a stretch of time.
    pub(crate) fn gaps(&self, from: i64, until: i64) -> Vec<(i64, i64)> {
        const JITTER_US: i64 = 50_000;
        const END_US: i64 = 1_200_000;
        let phases = &self.bench.phases.all;
        let outer = |at: i64| {
            phases.first().is_some_and(|span| at <= span.from_us)
                || phases.last().is_some_and(|span| at >= span.until_us)
        };
        let mut missing = Vec::new();
        let mut covered = from;
        let mut gap = |start: i64, end: i64| {
            let size = end.saturating_sub(start);
            let forgiven = if outer(start) || outer(end) { END_US } else { JITTER_US };
            if size > forgiven {
                missing.push((start, end));
            }
        };
        for bin in self.samples {
            // Random moments leave some seconds without requests; equal distances do not.
            let idle = bin.due() == 0
                && self.probe.arrivals == Arrivals::Even
                && self.probe.rate * bin.until_us.saturating_sub(bin.from_us) as f64 / 1e6 >= 1.0;
            if idle || bin.until_us <= covered || bin.from_us >= until {
                continue;
            }
            gap(covered, bin.from_us);
            covered = bin.until_us;
        }
        if covered < until {
            gap(covered, until);
        }
        missing
    }

    /// Returns the uncertainty of this vantage's clock relative to the targets' clocks, in microseconds.
    pub(crate) fn unsure_us(&self, from: i64, until: i64) -> i64 {
        let inside = self.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until);
        let own = inside.filter_map(Sample::uncertainty_us).max().unwrap_or(0);
        self.bench.phases.uncertainty_us.saturating_add(own)
    }

    /// Returns the reason why this vantage cannot say `held` over a stretch of time.
    pub(crate) fn weakness(&self, from: i64, until: i64, what: &str) -> Option<String> {
        let inside = || self.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until);
        if inside().any(|bin| bin.uncertainty_us().is_none()) {
            return Some("its clock was never measured against the run's".to_owned());
        }
        let missing = self.unmeasured_us(from, until);
        if missing > 0 {
            return Some(format!("nothing was measured there for {} of the {what}", format::time(missing)));
        }
        // A bin across an end may be shortened by the end of the probes.
        let whole = || inside().filter(|bin| bin.from_us >= from && bin.until_us <= until);
        let due: u64 = whole().map(Sample::due).sum();
        let time: i64 = whole().map(|bin| bin.until_us.saturating_sub(bin.from_us)).sum();
        let planned = self.probe.rate * time as f64 / 1e6;
        // Five standard deviations below the mean are no longer chance.
        let scatter = match self.probe.arrivals {
            Arrivals::Even => 0.02 * planned,
            Arrivals::Poisson => 5.0 * planned.sqrt(),
        };
        if (due as f64) < planned - scatter - 2.0 {
            return Some(format!("it made {due} requests in the {what}, the plan wants {planned:.0}"));
        }
        None
    }
}
