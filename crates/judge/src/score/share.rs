//! Goals for a share of requests: good ones, or ones that were good and fast enough.
//!
//! A latency quantile is such a share, too: "p99 at most 300 ms" means "99 % of all requests are good within 300 ms".
//! So a request without an answer counts as infinitely slow, and both kinds of goals use the same ranges.

use std::sync::Arc;

use firedrill_plan::plan::model::{Goal, Phase};
use firedrill_probe::cells::{Counts, Grid};
use firedrill_statistics::quantile_ranks;

use super::{
    bench::{Finding, View},
    card::{Measured, Unit},
    format,
    interval::{Block, Estimate, estimate},
    part::{Cut, Cutter, Part},
    phases::planned_us,
    sample::Sample,
};
use crate::verdict::Verdict;

/// The requests of some phases, counted for one goal.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The share that the goal needs.
    pub(crate) goal: f64,
    /// For latencies: the limit in microseconds, and the quantile.
    limit: Option<(u64, f64)>,
    /// The requests of each bin that certainly belong to the phases; those that meet the goal count as good.
    blocks: Vec<Block>,
    /// The requests that may belong to the phases, with everything uncertain counted as bad.
    worst: Vec<Block>,
    /// The requests that may belong to the phases, with everything uncertain counted as good.
    best: Vec<Block>,
    /// The merged latencies of whole bins.
    latencies: Counts,
    /// Number of requests without a good answer, whose latency is infinite.
    endless: u64,
    /// Number of bins with unreadable latencies.
    without_latencies: usize,
    /// Number of bins with unreadable latencies that the goal needs.
    unreadable: usize,
    /// Slipped requests: bad in `worst`, good in `best`.
    slipped: u64,
    /// Bins across an edge whose bad requests may belong to either side.
    unsure: usize,
}

impl Tally {
    /// Estimates the share of requests that meet the goal; `None` without any request.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        estimate(&self.blocks)
    }

    /// Returns the measured share; `None` without any request.
    pub(crate) fn share(&self) -> Option<f64> {
        self.estimate().map(|sure| sure.share)
    }

    /// Returns the word for requests that meet the goal: `good`, or `good within 300 ms`.
    pub(crate) fn adjective(&self) -> String {
        match self.limit {
            Some((limit, _)) => format!("good within {}", format::time(signed(limit))),
            None => "good".to_owned(),
        }
    }

    /// Returns the numbers of bad requests, and of all requests.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let bad = self.blocks.iter().map(|block| block.all - block.good).sum::<f64>();
        (firedrill_statistics::whole(bad), self.samples())
    }

    /// Returns a latency quantile in microseconds; `None` if it is infinite or was not measured.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<u64> {
        if self.without_latencies > 0 { None } else { self.latencies.quantile(quantile, self.endless) }
    }

    /// Returns the number of requests.
    pub(crate) fn samples(&self) -> u64 {
        self.blocks.iter().map(|block| firedrill_statistics::whole(block.all)).sum()
    }

    /// Returns the blocks with everything uncertain counted as bad.
    pub(crate) fn worst(&self) -> &[Block] {
        &self.worst
    }

    /// Returns the blocks with everything uncertain counted as good.
    pub(crate) fn best(&self) -> &[Block] {
        &self.best
    }

    /// Whether latencies that the goal needs cannot be read.
    pub(crate) const fn unreadable(&self) -> bool {
        self.unreadable > 0
    }

    /// Returns the figure: the share, or the quantile of a goal on latency.
    fn measured(&self) -> Measured {
        let samples = self.samples();
        let Some(sure) = self.estimate() else { return Measured { samples, ..Measured::default() } };
        let Some((_, quantile)) = self.limit else {
            return Measured {
                unit: Unit::Share,
                value: Some(sure.share),
                endless: false,
                low: Some(sure.low),
                high: Some(sure.high),
                samples,
            };
        };
        // The true quantile lies between these values for any distribution; bad requests rank last.
        let (low, high) = quantile_ranks(self.latencies.total() + self.endless, quantile);
        let at = |rank: u64| self.latencies.ranked(rank).map(|us| us as f64);
        let value = self.latencies.quantile(quantile, self.endless).map(|us| us as f64);
        Measured {
            unit: Unit::Latency,
            value,
            endless: value.is_none(),
            low: at(low),
            high: at(high),
            samples,
        }
    }
}

/// Counts the good requests of a vantage in one phase.
pub(crate) fn good(view: &View<'_, '_>, phase: Phase) -> Tally {
    tally(view, Goal::Good(firedrill_wire::Share::ALL), &[phase])
}

/// Counts the requests of a vantage in some phases.
pub(crate) fn tally(view: &View<'_, '_>, goal: Goal, during: &[Phase]) -> Tally {
    let (goal, limit) = match goal {
        Goal::Good(share) => (share.fraction(), None),
        Goal::Latency { quantile, below } => (quantile, Some((below.as_micros(), quantile))),
        Goal::MitigateWithin(_) | Goal::RecoverWithin(_) | Goal::LostWrites(_) => (1.0, None),
    };
    let grid = view.sight.map_or_else(|| Arc::new(Grid::new(&[])), |sight| Arc::clone(&sight.grid));
    let mut tally = Tally::new(goal, limit, Counts::new(Arc::clone(&grid)));
    // The latencies of seconds across an edge of any phase; latencies of whole seconds are counted already.
    let (mut whole, mut cut_only) = (Counts::new(Arc::clone(&grid)), Counts::new(grid));
    let mut cutter = Cutter::new(view.bench.phases, view.pace, during);
    for sample in view.samples {
        let part = cutter.part(sample);
        if matches!(part, Part::None) {
            continue;
        }
        if !sample.readable {
            tally.without_latencies += 1;
            tally.unreadable += usize::from(limit.is_some());
        }
        // Unknown requests may all have been good.
        if sample.uncertainty_us().is_none() || (limit.is_some() && !sample.readable) {
            let all = (sample.good() + sample.bad() + sample.slipped()) as f64;
            tally.best.push(Block { good: all, all, length_us: length_us(sample) });
            continue;
        }
        match part {
            Part::None => {}
            Part::Whole(sample) => {
                tally.count(fit(view, sample, limit) as f64, sample, 1.0);
                tally.endless += sample.bad();
                whole.add(sample.cells());
            }
            Part::Cut(sample, cut) => {
                tally.cut(sample, cut, fit(view, sample, limit));
                cut_only.add(sample.cells());
                tally.endless += cut.sure.bad;
            }
            Part::Side(sample, side) => {
                let (good, _) = counts(sample, side);
                // The share of the bin's good requests that meet the goal.
                let fitting = if sample.good() == 0 {
                    0.0
                } else {
                    fit(view, sample, limit) as f64 / sample.good() as f64
                };
                tally.count((good * fitting).round(), sample, side);
                tally.endless += sample.bad();
            }
            Part::Unsure(sample) => {
                tally.unsure += 1;
                let (good, all) = (sample.good() as f64, (sample.good() + sample.bad()) as f64);
                let all = all + sample.slipped() as f64;
                let length_us = length_us(sample);
                tally.worst.push(Block { good, all, length_us });
                tally.best.push(Block { good: all, all, length_us });
            }
        }
    }
    // It is not known which latencies of a second across an edge are inside the phase. If a phase has no whole
    // second, all of them are shown.
    let in_one = |phase: &&Phase| view.bench.phases.get(**phase).is_some();
    for phase in during.iter().filter(in_one) {
        if let Some(sight) = view.sight {
            whole.merge(sight.whole(*phase));
        }
    }
    tally.latencies = if whole.total() == 0 { cut_only } else { whole };
    tally
}

/// Returns the numbers of good requests and of all requests in a part of a bin, `side` of its time. All bad requests are in that part,
/// because their times are known; good ones are counted in proportion.
pub(crate) fn counts(sample: &Sample, side: f64) -> (f64, f64) {
    let bad = sample.bad() as f64;
    let all = ((sample.good() as f64 + bad) * side).floor().max(bad);
    (all - bad, all)
}

/// Returns the length of a bin in microseconds.
fn length_us(sample: &Sample) -> f64 {
    sample.until_us.saturating_sub(sample.from_us).max(1) as f64
}

impl Tally {
    const fn new(goal: f64, limit: Option<(u64, f64)>, latencies: Counts) -> Self {
        Self {
            goal,
            limit,
            blocks: Vec::new(),
            worst: Vec::new(),
            best: Vec::new(),
            latencies,
            endless: 0,
            without_latencies: 0,
            unreadable: 0,
            slipped: 0,
            unsure: 0,
        }
    }

    /// Adds a part of a bin, `side` of its time, of which `good` requests meet the goal. All slipped requests may have been in it.
    fn count(&mut self, good: f64, sample: &Sample, side: f64) {
        let (_, all) = counts(sample, side);
        let (slipped, length_us) = (sample.slipped() as f64, length_us(sample) * side);
        self.blocks.push(Block { good, all, length_us });
        self.slipped += sample.slipped();
        self.worst.push(Block { good, all: all + slipped, length_us });
        self.best.push(Block { good: good + slipped, all: all + slipped, length_us });
    }

    /// Adds the requests of a bin across an edge; `fit` of its good requests meet the goal. It is not known which good requests were
    /// slow, so `worst` counts as many slow ones inside as possible, and `best` as few.
    fn cut(&mut self, sample: &Sample, cut: Cut, fit: u64) {
        let Cut { sure, near, time } = cut;
        let length_us = (length_us(sample) * time).max(1.0);
        // Good requests of the whole bin that were too slow.
        let slow = sample.good() - fit.min(sample.good());
        let block = |good: u64, all: u64| Block { good: good as f64, all: all as f64, length_us };
        if sure.good + sure.bad > 0 {
            let slow = slow as f64 * sure.good as f64 / sample.good().max(1) as f64;
            let good = (sure.good as f64 - slow).round().max(0.0);
            self.blocks.push(Block { good, ..block(0, sure.good + sure.bad) });
        }
        // At worst the slow ones are inside, and requests near the edge are inside only if they are bad or slow.
        let most_slow = slow.min(sure.good + near.good);
        let quick = (sure.good + near.good - most_slow).min(sure.good);
        let lost = sure.bad + sure.slipped + near.bad + near.slipped;
        let late = most_slow.min(sure.good + near.good - quick);
        self.worst.push(block(quick, quick + late + lost));
        // At best the slow ones are outside as far as there is room for them, and slipped requests were good.
        let least_slow = slow.saturating_sub(sample.good() - sure.good);
        let fine = sure.good - least_slow + sure.slipped + near.slipped;
        self.best.push(block(fine, fine + least_slow + sure.bad));
        self.slipped += sure.slipped + near.slipped;
        self.unsure += usize::from(near.bad > 0);
    }
}

/// Returns the number of a bin's good requests that meet the goal; 0 if the bin's latencies cannot be read.
fn fit(view: &View<'_, '_>, sample: &Sample, limit: Option<(u64, f64)>) -> u64 {
    match (limit, view.sight) {
        (None, _) => sample.good(),
        (Some((limit, _)), Some(sight)) => sight.within(sample, limit),
        (Some(_), None) => 0,
    }
}

/// Judges a goal over a share at one vantage.
pub(crate) fn judge(view: &View<'_, '_>, goal: Goal, during: &[Phase]) -> Finding {
    let mut tally = tally(view, goal, during);
    let mut weak: Option<String> =
        view.bench.doubts.iter().find(|doubt| !doubt.void).map(|doubt| doubt.text.clone());
    for phase in during {
        let name = super::card::phase_word(*phase);
        let planned = planned_us(view.bench.attack, *phase);
        let span = view.bench.phases.get(*phase);
        let lasted = span.map_or(0, |span| span.until_us.saturating_sub(span.from_us));
        let unmeasured = span.map_or(0, |span| view.unmeasured_us(span.from_us, span.until_us));
        let missing = unmeasured.saturating_add(planned.saturating_sub(lasted).max(0));
        // Unmeasured requests may all have been good: one block a second, at the planned rate.
        if missing > 0 && planned > 0 {
            let seconds = usize::try_from(missing / 1_000_000).unwrap_or(0).clamp(1, 100_000);
            let each = missing as f64 / 1e6 * view.probe.rate / seconds as f64;
            let block = Block { good: each, all: each, length_us: missing as f64 / seconds as f64 };
            tally.best.extend(std::iter::repeat_n(block, seconds));
        }
        match span {
            None if planned > 0 => {
                weak.get_or_insert_with(|| format!("there was no {name} phase"));
            }
            None => {}
            Some(span) => {
                if let Some(why) = view.weakness(span.from_us, span.until_us, name) {
                    weak.get_or_insert(why);
                }
                // Only an abort shortens baseline and recovery; a settle phase ends early if the system is healthy at
                // once.
                if matches!(phase, Phase::Baseline | Phase::Recovery) && lasted < planned / 2 {
                    weak.get_or_insert_with(|| {
                        format!("the {name} lasted {} of {}", format::time(lasted), format::time(planned))
                    });
                }
            }
        }
    }
    if tally.unreadable > 0 {
        weak.get_or_insert_with(|| format!("the latencies of {} seconds cannot be read", tally.unreadable));
    }
    let measured = tally.measured();
    let Some(sure) = tally.estimate() else {
        let why = weak.unwrap_or_else(|| "nothing was measured".to_owned());
        return Finding { verdict: Verdict::Unknown, why, measured };
    };
    let figure = format!(
        "{} {} over {} requests, {} wanted",
        format::percent(sure.share),
        tally.adjective(),
        tally.samples(),
        format::percent(tally.goal)
    );
    let range = format!("(likely {} to {})", format::percent(sure.low), format::percent(sure.high));
    let best = estimate(&tally.best).map_or(1.0, |sure| sure.high);
    let worst = estimate(&tally.worst).map_or(0.0, |sure| sure.low);
    let (verdict, why) = if best < tally.goal {
        (Verdict::Violated, format!("{figure} {range}"))
    } else if let Some(why) = weak {
        (Verdict::Unknown, why)
    } else if worst >= tally.goal {
        (Verdict::Held, format!("{figure} {range}"))
    } else if sure.low >= tally.goal && tally.slipped > 0 {
        let slipped = tally.slipped as f64 / (tally.slipped + tally.samples()) as f64;
        let why = format!(
            "it could not keep its own schedule: {} of its requests slipped, and had they been bad it would not have held",
            format::percent(slipped)
        );
        (Verdict::Unknown, why)
    } else if sure.low >= tally.goal && tally.unsure > 0 {
        (Verdict::Unknown, format!("{figure}, but bad requests at the edge of a phase may belong to it"))
    } else if sure.share >= 1.0 {
        (
            Verdict::Unknown,
            format!("{figure}: so few cannot show it {range}; a higher rate or a longer hold would"),
        )
    } else {
        (
            Verdict::Unknown,
            format!("{figure}: too close to tell {range}; a higher rate or a longer hold would show it"),
        )
    };
    Finding { verdict, why, measured }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}
