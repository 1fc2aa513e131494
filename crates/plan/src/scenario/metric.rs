//! `[objectives.X]` with `metric`: goals for the values of a source.

use std::collections::BTreeMap;

use firedrill_sources::{Metrics, Written};
use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{budget::Budget, objective::JUDGED};
use crate::{
    diagnostic::Spot,
    plan::model::{Asks, MetricGoal, Phase},
};

/// The time between two samples, unless the objective sets another.
const EVERY: Span = Span::secs(5);
/// The time after which a source has the value of a moment, unless the objective sets another.
const LAG: Span = Span::secs(5);
/// The age from which data are stale, unless the objective sets another.
const STALE_AFTER: Span = Span::secs(30);

/// An objective for a metric. Exactly one goal is needed: `below` or `above`; `good` with a metric of `good` and `total`;
/// `increase_below`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricObjective {
    /// The metric that a source is asked for.
    pub metric: Spot<Metric>,
    /// Every sample of every series is below this number.
    #[serde(default)]
    pub below: Option<Spot<f64>>,
    /// Every sample of every series is above this number.
    #[serde(default)]
    pub above: Option<Spot<f64>>,
    /// Minimum share of good events, over all judged phases together.
    #[serde(default)]
    pub good: Option<Spot<Share>>,
    /// A counter increases by less than this number, over all judged phases together.
    #[serde(default)]
    pub increase_below: Option<Spot<f64>>,
    /// The phases in which it is judged.
    #[serde(default)]
    #[schemars(extend("default" = JUDGED))]
    pub during: Option<Spot<Vec<Phase>>>,
    /// For `good`: the error budget of which the drill burns a share.
    #[serde(default)]
    pub budget: Option<Spot<Budget>>,
}

/// A metric, and how a source is asked for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The source, by name.
    pub source: Spot<String>,
    /// The query of a source of kind `prometheus`.
    #[serde(default)]
    pub promql: Option<Spot<String>>,
    /// The query of a source of another kind, which becomes `{query}` in its request.
    #[serde(default)]
    pub query: Option<Spot<String>>,
    /// The name of a metric that a source of kind `statsd` hears. It may have tags: `shop.requests{code="ok"}`.
    #[serde(default)]
    pub statsd: Option<Spot<String>>,
    /// With `total`: the query of good events a second; for a source of kind `statsd` the name of the metric that counts them.
    #[serde(default)]
    pub good: Option<Spot<String>>,
    /// With `good`: the query of all events a second; for a source of kind `statsd` the name of the metric that counts them.
    #[serde(default)]
    pub total: Option<Spot<String>>,
    /// Tags that the metric has. A tag without a value has the value `""`. Only for a source of kind `statsd`.
    #[serde(default)]
    pub tags: Option<Spot<BTreeMap<String, String>>>,
    /// The value that is meant: `rate` or `count` of counters and timings; `last`, `min` or `max` of gauges; `p50` to `p99.9`, `min`, `max` or
    /// `mean` of timings; `unique` of sets. Only for a source of kind `statsd`.
    #[serde(default)]
    pub value: Option<Spot<String>>,
    /// The name of a metric that the same program sends all the time. While that is sent, a metric that is not sent is 0. Only for a source of
    /// kind `statsd`.
    #[serde(default)]
    pub alive_by: Option<Spot<String>>,
    /// The interval between two samples. The source is asked at the same interval.
    #[serde(default = "Metric::every")]
    #[schemars(extend("default" = EVERY))]
    pub every: Spot<Span>,
    /// The time after which the source certainly has the data of a moment: the interval between two scrapes, and the duration of
    /// collecting. The source is asked about a moment only after this time.
    #[serde(default = "Metric::lag")]
    #[schemars(extend("default" = LAG))]
    pub lag: Spot<Span>,
    /// A sample whose data are older than this is stale and shows nothing. It should be longer than the interval between two
    /// scrapes.
    #[serde(default = "Metric::stale_after")]
    #[schemars(extend("default" = STALE_AFTER))]
    pub stale_after: Spot<Span>,
    /// The length of time over which the values of its series are already computed, for example by a recording rule of Prometheus: `1m`
    /// for a rule that records `rate(x[1m])`. It adds to the ranges in the query. For a source of kind `statsd`, the time for which clients gather before
    /// they send. Only for sources of these two kinds.
    #[serde(default)]
    pub window: Option<Spot<Span>>,
    /// The unit of its values, as reports show it beside them: `ms`, `errors/s`. At most 16 characters. Not for a metric of `good` and
    /// `total`, whose values are shares.
    #[serde(default)]
    pub unit: Option<Spot<String>>,
}

impl Metric {
    fn every() -> Spot<Span> {
        Spot { value: EVERY, at: 0..0 }
    }

    fn lag() -> Spot<Span> {
        Spot { value: LAG, at: 0..0 }
    }

    fn stale_after() -> Spot<Span> {
        Spot { value: STALE_AFTER, at: 0..0 }
    }

    /// Returns the queries as the file has them; `None` unless they are given completely, and once.
    #[must_use]
    pub fn asks(&self) -> Option<Asks> {
        let text = |one: &Spot<String>| one.value.clone();
        let mut one = [&self.promql, &self.query, &self.statsd].into_iter().flatten();
        match (one.next(), &self.good, &self.total) {
            (Some(_), ..) if one.next().is_some() => None,
            (Some(query), None, None) => Some(Asks::One { query: text(query) }),
            (None, Some(good), Some(total)) => Some(Asks::Ratio { good: text(good), total: text(total) }),
            // A request may be complete without a query.
            (None, None, None) => Some(Asks::One { query: String::new() }),
            _ => None,
        }
    }
}

impl MetricObjective {
    /// Calls `with` for each name or query, with the other values of the objective that are about it. Returns the results; of a ratio the
    /// good events come first.
    pub fn written<T>(&self, mut with: impl FnMut(&Spot<String>, &Written<'_>) -> T) -> Vec<T> {
        let own = &self.metric.value;
        let none = BTreeMap::new();
        let text = |one: &'_ Option<Spot<String>>| one.clone().map(|one| one.value);
        let (value, alive_by) = (text(&own.value), text(&own.alive_by));
        let written = Written {
            value: value.as_deref(),
            tags: own.tags.as_ref().map_or(&none, |tags| &tags.value),
            alive_by: alive_by.as_deref(),
            every: own.every.value,
            part: false,
            total: None,
            increase: matches!(self.goal(), Some(MetricGoal::IncreaseBelow(_))),
        };
        if let (Some(good), Some(total)) = (&own.good, &own.total) {
            let part = Written { part: true, ..written };
            let of_good = Written { total: Some(&total.value), ..part };
            return vec![with(good, &of_good), with(total, &part)];
        }
        let one = [&own.promql, &own.query, &own.statsd].into_iter().flatten().next();
        let none = Spot { value: String::new(), at: self.metric.at.clone() };
        vec![with(one.unwrap_or(&none), &written)]
    }

    /// Returns the queries as the source gets them; `None` unless they are given completely, and once.
    #[must_use]
    pub fn asks(&self, metrics: &dyn Metrics) -> Option<Asks> {
        let raw = self.metric.value.asks()?;
        let mut queries = self.written(|text, written| metrics.written(&text.value, written)).into_iter();
        Some(match raw {
            Asks::One { .. } => Asks::One { query: queries.next()? },
            Asks::Ratio { .. } => Asks::Ratio { good: queries.next()?, total: queries.next()? },
        })
    }

    /// Returns the goal; `None` unless exactly one goal is given.
    #[must_use]
    pub fn goal(&self) -> Option<MetricGoal> {
        let mut goals = [
            self.below.as_ref().map(|one| MetricGoal::Below(one.value)),
            self.above.as_ref().map(|one| MetricGoal::Above(one.value)),
            self.good.as_ref().map(|one| MetricGoal::Good(one.value)),
            self.increase_below.as_ref().map(|one| MetricGoal::IncreaseBelow(one.value)),
        ]
        .into_iter()
        .flatten();
        let goal = goals.next()?;
        goals.next().is_none().then_some(goal)
    }

    /// Returns the phases in which it is judged.
    #[must_use]
    pub fn during(&self) -> Vec<Phase> {
        self.during.as_ref().map_or_else(|| JUDGED.to_vec(), |during| during.value.clone())
    }
}
