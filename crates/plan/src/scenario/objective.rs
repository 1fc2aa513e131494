//! `[objectives.X]`: goals for probes.

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::budget::Budget;
use crate::diagnostic::Spot;
use crate::plan::model::{GOOD_AT, Goal, LostWrites, Phase};

/// The phases in which an objective is judged, unless it says otherwise.
pub(super) const JUDGED: [Phase; 2] = [Phase::Fault, Phase::Recovery];

/// An objective for a probe. Exactly one goal is needed: `good`; `quantile` with `below`; `mitigate_within`;
/// `recover_within`; `lost_writes`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The probe that measures it, by name.
    pub probe: Spot<String>,
    /// Minimum share of good requests.
    #[serde(default)]
    pub good: Option<Spot<Share>>,
    /// Together with `below`: this quantile of the latency of all requests is at most that time. A bad request counts as
    /// infinitely slow.
    #[serde(default)]
    #[schemars(range(min = 0.01, max = 0.9999))]
    pub quantile: Option<Spot<f64>>,
    /// Together with `quantile`: the time.
    #[serde(default)]
    pub below: Option<Spot<Span>>,
    /// Maximum time from the fault's start until the share of good requests is back at `good_at`, while the fault
    /// holds. No outage may last longer.
    #[serde(default)]
    pub mitigate_within: Option<Spot<Span>>,
    /// Maximum time from the heal until the share of good requests is back at `good_at`. No outage after the heal may
    /// last longer.
    #[serde(default)]
    pub recover_within: Option<Spot<Span>>,
    /// For a probe `writes`: maximum number of writes that the store acknowledged and lacks when they are read back, after the recovery.
    #[serde(default)]
    pub lost_writes: Option<Spot<LostWrites>>,
    /// For `mitigate_within` and `recover_within`: the system is good again from this share of good requests on.
    #[serde(default)]
    #[schemars(extend("default" = GOOD_AT))]
    pub good_at: Option<Spot<Share>>,
    /// The phases in which it is judged. Without meaning for `mitigate_within` and `recover_within`.
    #[serde(default)]
    #[schemars(extend("default" = JUDGED))]
    pub during: Option<Spot<Vec<Phase>>>,
    /// For `good`, or `quantile` with `below`: the error budget of which the drill burns a share.
    #[serde(default)]
    pub budget: Option<Spot<Budget>>,
}

impl Objective {
    /// Returns the goal; `None` unless exactly one goal is given completely.
    #[must_use]
    pub fn goal(&self) -> Option<Goal> {
        let latency = match (&self.quantile, &self.below) {
            (Some(quantile), Some(below)) => {
                Some(Goal::Latency { quantile: quantile.value, below: below.value })
            }
            (None, None) => None,
            _ => return None,
        };
        let mut goals = [
            self.good.as_ref().map(|good| Goal::Good(good.value)),
            latency,
            self.mitigate_within.as_ref().map(|within| Goal::MitigateWithin(within.value)),
            self.recover_within.as_ref().map(|within| Goal::RecoverWithin(within.value)),
            self.lost_writes.as_ref().map(|lost| Goal::LostWrites(lost.value)),
        ]
        .into_iter()
        .flatten();
        let goal = goals.next()?;
        goals.next().is_none().then_some(goal)
    }

    /// Returns the share of good requests from which the system counts as good again.
    #[must_use]
    pub fn good_at(&self) -> Share {
        self.good_at.as_ref().map_or(GOOD_AT, |share| share.value)
    }

    /// Returns the phases in which it is judged.
    #[must_use]
    pub fn during(&self) -> Vec<Phase> {
        match (&self.during, self.goal()) {
            (_, Some(Goal::MitigateWithin(_))) => vec![Phase::Fault],
            (_, Some(Goal::RecoverWithin(_))) => vec![Phase::Recovery],
            (Some(during), _) => during.value.clone(),
            (None, _) => JUDGED.to_vec(),
        }
    }
}
