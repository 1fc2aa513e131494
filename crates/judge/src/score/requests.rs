//! The requests of a vantage on the run's clock, in runs of equal outcomes. Only reads seconds; judges nothing.

use firedrill_statistics::turning::Seen;

use super::{
    bench::View,
    sample::Sample,
    single::{Outcome, Pace, dues, ends, exact, spread_out},
};

/// Maximum number of requests with which gaps are filled.
const FILLED_MOST: u64 = 10_000_000;

/// The requests of a vantage that were due in a stretch of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests<'s> {
    pieces: Vec<Piece>,
    sources: Vec<Source<'s>>,
    /// Maximum error of a due time in microseconds, if a bin did not have its single requests.
    pub(crate) unsure_us: i64,
}

/// A run of equal outcomes.
#[derive(Clone, Copy, Debug)]
struct Piece {
    outcome: Outcome,
    count: u64,
    /// Index of the source of its due times, and the number of its first request there.
    source: usize,
    first: u64,
}

/// The source of due times.
#[derive(Clone, Debug)]
enum Source<'s> {
    /// Due times are computed from a second and the pace when they are needed.
    Second(&'s Sample, Pace),
    /// Due times in their order.
    Listed(Vec<i64>),
    /// Requests at equal distances.
    Even { from_us: i64, step_us: f64 },
}

impl Source<'_> {
    /// Returns a time before which none of its requests is due.
    fn begin_us(&self) -> i64 {
        match self {
            Self::Second(sample, _) => sample.from_us,
            Self::Listed(dues) => dues.first().copied().unwrap_or(i64::MIN),
            Self::Even { from_us, .. } => *from_us,
        }
    }

    /// Returns the due time of a request, by its number in this source.
    fn due(&self, number: u64) -> i64 {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        match self {
            Self::Second(sample, pace) => {
                // No second has more requests.
                let dues = dues(sample, *pace, place.min(100_000) + 1);
                dues.and_then(|dues| dues.last().copied()).unwrap_or(sample.from_us)
            }
            Self::Listed(dues) => dues.get(place).copied().unwrap_or(i64::MAX),
            Self::Even { from_us, step_us } => {
                let after = firedrill_statistics::whole(number as f64 * step_us);
                from_us.saturating_add(i64::try_from(after).unwrap_or(i64::MAX))
            }
        }
    }
}

impl<'s> Requests<'s> {
    /// Returns the requests that were due in `from..until`. The requests of a bin without single ones are spread: the
    /// bad ones from the first to the last of them, the others over the whole second. Returns `None` if there are
    /// more than the probe can have sent.
    pub(crate) fn of(view: &View<'s, '_>, from: i64, until: i64) -> Option<Self> {
        let mut requests = Self::default();
        // The seconds at the ends count completely here.
        let planned = view.probe.rate * (until.saturating_sub(from) as f64 / 1e6 + 2.0);
        // Twice the planned number, and far more than chance adds.
        let most = firedrill_statistics::whole(2.0 * planned + 10.0 * planned.sqrt() + 100.0);
        let mut claimed = 0_u64;
        let mut all = view.samples.iter().filter(|bin| bin.until_us > from && bin.from_us < until).peekable();
        // Seconds that overlap, for example after a new clock measurement.
        let mut together: Vec<&Sample> = Vec::new();
        let mut end_us = i64::MIN;
        while let Some(sample) = all.next() {
            claimed =
                claimed.saturating_add(sample.due().max(sample.good() + sample.bad() + sample.slipped()));
            if claimed > most {
                return None;
            }
            together.push(sample);
            end_us = end_us.max(sample.until_us);
            if all.peek().is_none_or(|next| next.from_us >= end_us) {
                requests.put(&together, view.pace, from, until);
                together.clear();
            }
        }
        Some(requests)
    }

    /// Adds one second, or seconds that overlap each other but no others.
    fn put(&mut self, together: &[&'s Sample], pace: Option<Pace>, from: i64, until: i64) {
        if let ([sample], Some(pace)) = (together, pace)
            && sample.single().is_some()
            && sample.from_us >= from
            && sample.until_us < until
        {
            self.sources.push(Source::Second(sample, pace));
            let (source, mut first) = (self.sources.len() - 1, 0);
            for (outcome, count) in ends(sample) {
                self.pieces.push(Piece { outcome, count, source, first });
                first += count;
            }
            return;
        }
        let mut listed = Vec::new();
        for sample in together {
            let all = exact(sample, pace).unwrap_or_else(|| {
                self.unsure_us = self.unsure_us.max(sample.until_us.saturating_sub(sample.from_us));
                spread_out(sample)
            });
            listed.extend(all.into_iter().filter(|(due, _)| (from..until).contains(due)));
        }
        listed.sort_by_key(|(due, _)| *due);
        let source = self.sources.len();
        for (first, (_, outcome)) in (0..).zip(&listed) {
            match self.pieces.last_mut() {
                Some(last) if last.source == source && last.outcome == *outcome => last.count += 1,
                _ => self.pieces.push(Piece { outcome: *outcome, count: 1, source, first }),
            }
        }
        self.sources.push(Source::Listed(listed.into_iter().map(|(due, _)| due).collect()));
    }

    /// Fills gaps with good requests at that rate, because everything unmeasured may have been good.
    pub(crate) fn with_gaps_good(&mut self, gaps: &[(i64, i64)], rate: f64) {
        let mut left = FILLED_MOST;
        for (from, until) in gaps {
            let length = until.saturating_sub(*from).max(0);
            let count = firedrill_statistics::whole(length as f64 / 1e6 * rate).min(left);
            if count == 0 {
                continue;
            }
            left -= count;
            let source = self.sources.len();
            self.sources.push(Source::Even { from_us: *from, step_us: length as f64 / count as f64 });
            self.pieces.push(Piece { outcome: Outcome::Good, count, source, first: 0 });
        }
        let sources = &self.sources;
        self.pieces.sort_by_key(|piece| sources[piece.source].begin_us());
    }

    /// Whether there are no requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns the number of slipped requests.
    pub(crate) fn slipped(&self) -> u64 {
        self.pieces.iter().filter(|piece| piece.outcome == Outcome::Slipped).map(|piece| piece.count).sum()
    }

    /// Returns the outcomes as good or bad. `slipped` is the outcome assumed for slipped requests; `None` leaves them
    /// out.
    pub(crate) fn seen(&self, slipped: Option<bool>) -> Judged<'_> {
        let good = |piece: &Piece| match piece.outcome {
            Outcome::Good => Some(true),
            Outcome::Bad => Some(false),
            Outcome::Slipped => slipped,
        };
        let kept = self.pieces.iter().filter_map(|piece| Some((good(piece)?, piece)));
        let (runs, pieces) = kept.map(|(good, piece)| ((good, piece.count), piece)).unzip();
        Judged { requests: self, runs, pieces }
    }
}

/// Requests with a good or bad outcome.
pub(crate) struct Judged<'r> {
    requests: &'r Requests<'r>,
    runs: Vec<(bool, u64)>,
    pieces: Vec<&'r Piece>,
}

impl Judged<'_> {
    /// Returns the number of requests.
    pub(crate) fn count(&self) -> u64 {
        self.runs.iter().map(|(_, count)| *count).sum()
    }
}

impl Seen for Judged<'_> {
    fn runs(&self) -> &[(bool, u64)] {
        &self.runs
    }

    fn due(&self, run: usize, number: u64) -> i64 {
        let piece = self.pieces[run];
        self.requests.sources[piece.source].due(piece.first.saturating_add(number))
    }
}
