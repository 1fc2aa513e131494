//! Decides which samples show something. If series leave, a value may be beyond a bound only because they are missing.

use firedrill_plan::plan::{
    Plan,
    model::{Asks, Metric, MetricGoal},
};
use firedrill_sources::Missing;

use crate::log::{Lack, Sample};

/// Looks at the samples of one metric in the order of time, from the beginning of an attack on.
#[derive(Debug)]
pub struct Showing {
    goal: MetricGoal,
    /// The direction in which a value is wrong when series behind it are missing.
    missing: Missing,
    /// The most series of the samples so far.
    most: Most,
}

impl Showing {
    /// Begins with the first sample of an attack.
    #[must_use]
    pub fn new(plan: &Plan, metric: &Metric) -> Self {
        let missing = plan.source_of(metric).and_then(|source| match &metric.asks {
            Asks::One { query } => Some(source.kind.metrics()?.missing(query)),
            Asks::Ratio { .. } => None,
        });
        Self { goal: metric.goal, missing: missing.unwrap_or(Missing::Open), most: Most::default() }
    }

    /// Begins again with another attack: series that only an earlier attack had do not count as missing.
    pub fn forget(&mut self) {
        self.most = Most::default();
    }

    /// Takes the next sample. Returns whether it shows something. A number for which a selector found no series shows nothing, and neither
    /// does a value that may be beyond a bound only because series are missing.
    pub fn shows(&mut self, one: &Sample) -> bool {
        let left = self.most.see(one);
        shows(self.goal, one)
            && (is_bound(one) || !left.gone)
            && (self.is_violation(one, left) || !breaks(self.goal, one))
    }

    /// Takes the next sample. Returns whether it cannot count because series are missing: those that left cannot be judged, and the others do
    /// not violate the goal.
    pub(super) fn is_cut(&mut self, one: &Sample) -> bool {
        let left = self.most.see(one);
        // An increase is summed step by step, and only a step at which series change is unknown.
        let steps = matches!(self.goal, MetricGoal::IncreaseBelow(_));
        !steps && (left.own || left.behind) && !(breaks(self.goal, one) && self.is_violation(one, left))
    }

    /// Whether a value beyond the bound violates the goal, although these series are missing.
    fn is_violation(&self, one: &Sample, left: Left) -> bool {
        let safe = match (self.missing, self.goal) {
            (Missing::Each, _) => true,
            (Missing::AtLeast, goal) => matches!(goal, MetricGoal::Below(_)),
            (Missing::AtMost, goal) => matches!(goal, MetricGoal::Above(_)),
            (Missing::Open, _) => false,
        };
        is_bound(one) || (!left.gone && (!left.behind || safe))
    }
}

/// Whether the source itself says that its value is a bound of the truth. Missing series do not change that.
fn is_bound(one: &Sample) -> bool {
    one.lacks.is_some_and(|lack| lack.has_bounds() && lack != Lack::NotANumber)
}

/// The most series that samples had, as a whole and of each selector.
#[derive(Debug, Default)]
struct Most {
    series: u32,
    behind: Vec<u32>,
}

/// The series that a sample lacks and an earlier one had.
#[derive(Clone, Copy)]
struct Left {
    /// Series of the answer.
    own: bool,
    /// Series behind it.
    behind: bool,
    /// All series of a selector.
    gone: bool,
}

impl Most {
    /// Takes a sample; returns the series that it lacks.
    fn see(&mut self, one: &Sample) -> Left {
        let mut left = Left { own: one.series < self.series, behind: false, gone: false };
        self.series = self.series.max(one.series);
        self.behind.resize(self.behind.len().max(one.behind.len()), 0);
        for (place, most) in self.behind.iter_mut().enumerate() {
            let now = one.behind.get(place).copied().unwrap_or(0);
            left.behind |= now < *most;
            left.gone |= now < *most && now == 0;
            *most = now.max(*most);
        }
        left
    }
}

/// Whether a sample shows something by itself. A sample that lacks something shows a violation if the values that it has are bounds that
/// violate the goal: a series that is no number does not hide the violation of another.
#[must_use]
pub fn shows(goal: MetricGoal, one: &Sample) -> bool {
    match one.lacks {
        None => true,
        Some(lack) => lack.has_bounds() && breaks(goal, one),
    }
}

/// Whether a sample alone violates a goal.
pub(super) fn breaks(goal: MetricGoal, one: &Sample) -> bool {
    match goal {
        MetricGoal::Below(bound) => one.high.is_some_and(|high| high >= bound),
        MetricGoal::Above(bound) => one.low.is_some_and(|low| low <= bound),
        MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_) => false,
    }
}
