//! The answers of a source about one objective in the whole run, in the order of time, so that an attack finds its own part quickly.

use crate::log::Sample;

/// The answers of a source about one objective.
#[derive(Debug, Default)]
pub(crate) struct SampledFacts<'a> {
    /// All samples.
    samples: Vec<&'a Sample>,
    /// The longest time that any of them describes.
    reach_us: i64,
    /// Each question: the time at which its record was written, and the largest uncertainty of the source's clock from then on.
    asked: Vec<(i64, i64)>,
    /// The median time that a question took.
    took_us: i64,
    /// The time that each question took; empty once the median is known.
    took: Vec<i64>,
    /// The times at which the records of questions without an answer were written.
    failed_at: Vec<i64>,
    /// Each question without an answer: the last moment that was asked for, and why.
    failed: Vec<(i64, &'a str)>,
}

impl<'a> SampledFacts<'a> {
    /// Adds the record of a question. If it has no answer, `failed` has the last moment that was asked for, and the reason.
    pub(super) fn take(
        &mut self,
        at_us: i64,
        samples: &'a [Sample],
        (took_us, unsure_us): (i64, i64),
        failed: Option<(i64, &'a str)>,
    ) {
        self.samples.extend(samples);
        self.asked.push((at_us, unsure_us));
        self.took.push(took_us);
        self.failed_at.extend(failed.map(|_| at_us));
        self.failed.extend(failed);
    }

    /// Sorts everything by time. It must be called once, after the last record.
    pub(super) fn sort(&mut self) {
        self.samples.sort_by_key(|one| one.at_us);
        self.reach_us =
            self.samples.iter().map(|one| one.at_us.saturating_sub(one.from_us())).max().unwrap_or(0);
        self.asked.sort_unstable();
        let mut most = 0;
        for (_, unsure_us) in self.asked.iter_mut().rev() {
            most = most.max(*unsure_us);
            *unsure_us = most;
        }
        self.took.sort_unstable();
        self.took_us = self.took.get(self.took.len() / 2).copied().unwrap_or(0);
        self.took = Vec::new();
        self.failed_at.sort_unstable();
        self.failed.sort_by_key(|(asked_us, _)| *asked_us);
    }

    /// Returns the samples whose moments are in a range, both ends included.
    pub(crate) fn samples(&self, from_us: i64, until_us: i64) -> &[&'a Sample] {
        within(&self.samples, |one| one.at_us, from_us, until_us)
    }

    /// Returns the longest time that any sample describes.
    pub(crate) const fn reach_us(&self) -> i64 {
        self.reach_us
    }

    /// Returns the number of questions between two moments, and of those without an answer.
    pub(crate) fn asked(&self, from_us: i64, until_us: i64) -> (u64, u64) {
        let asked = within(&self.asked, |(at_us, _)| *at_us, from_us, until_us).len();
        let failed = within(&self.failed_at, |at_us| *at_us, from_us, until_us).len();
        (asked as u64, failed as u64)
    }

    /// Returns the reason of the first question without an answer whose last moment is in a range, both ends included.
    pub(crate) fn failure(&self, from_us: i64, until_us: i64) -> Option<&'a str> {
        within(&self.failed, |(asked_us, _)| *asked_us, from_us, until_us).first().map(|(_, why)| *why)
    }

    /// Returns the largest uncertainty of the source's clock in all records from a moment on. Later answers tell the clock more exactly.
    pub(crate) fn unsure_us(&self, from_us: i64) -> i64 {
        let later = self.asked.partition_point(|(at_us, _)| *at_us < from_us);
        self.asked.get(later).map_or(0, |(_, unsure_us)| *unsure_us)
    }

    /// Returns the median time that a question took.
    pub(crate) const fn took_us(&self) -> i64 {
        self.took_us
    }
}

/// Returns the items whose times are in a range, both ends included. Items must be in the order of time.
pub(super) fn within<T>(all: &[T], time: impl Fn(&T) -> i64, from_us: i64, until_us: i64) -> &[T] {
    let from = all.partition_point(|one| time(one) < from_us);
    let until = all.partition_point(|one| time(one) <= until_us);
    all.get(from..until).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_any_order_are_sorted_and_found_by_time() {
        let sample_at = |at_us: i64| Sample {
            at_us,
            window_us: 0,
            own_us: 0,
            age_us: at_us % 7,
            low: None,
            high: None,
            total: None,
            series: 1,
            behind: Vec::new(),
            lacks: None,
            lost: 0,
        };
        let samples: Vec<Sample> = [30, 10, 20, 40].map(sample_at).into();
        let mut all = SampledFacts::default();
        all.take(25, &samples[..1], (5, 9), None);
        all.take(15, &samples[1..], (1, 70), Some((12, "early")));
        all.take(45, &[], (2, 3), Some((42, "late")));
        all.sort();
        let at: Vec<i64> = all.samples(10, 30).iter().map(|one| one.at_us).collect();
        assert_eq!((at.as_slice(), all.reach_us()), (&[10, 20, 30][..], 6));
        assert_eq!(all.samples(41, 99).len() + all.samples(30, 10).len(), 0);
        assert_eq!((all.asked(15, 25), all.asked(16, 99)), ((2, 1), (2, 1)));
        assert_eq!(
            (all.failure(13, 99), all.failure(0, 99), all.failure(13, 41)),
            (Some("late"), Some("early"), None)
        );
        assert_eq!([0, 15, 16, 26, 46].map(|from_us| all.unsure_us(from_us)), [70, 70, 9, 3, 0]);
        assert_eq!(all.took_us(), 2);
    }
}
