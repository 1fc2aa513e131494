//! The question of one metric, asked again and again: which moments are asked for, and what becomes of an answer.

use std::time::Duration;

use firedrill_sources::{Asked, Asker, Point, Question, clock::Clock};
use firedrill_wire::Span;

use super::super::clock::{RunClock, signed};
use crate::{
    log::{Event, Lack, Sample},
    plan::model::{Asks, Metric, MetricGoal},
};

/// Maximum number of moments in one question. What is longer ago is not asked for any more.
const MOMENTS: i64 = 600;
/// Uncertainty of a source whose answers have no `Date`, so that both machines' clocks are trusted.
const UNTOLD_US: i64 = 2_000_000;

/// One metric, and how far its source was asked.
pub(super) struct Poll {
    metric: Metric,
    asker: Asker,
    clock: RunClock,
    /// The source's clock against the run's.
    there: Clock,
    /// The query of the age of data, if there is one.
    age: Option<String>,
    window_us: i64,
    /// The first moment that was not answered, by the source's clock.
    next_us: Option<i64>,
    /// Why the newest question had no answer, if it had none.
    failed: Option<String>,
}

impl Poll {
    pub(super) fn new(metric: Metric, asker: Asker, clock: RunClock) -> Self {
        let queries = metric.asks.queries();
        let kind = asker.kind().metrics();
        let age = kind.and_then(|kind| kind.age_query(&queries));
        let window_us =
            kind.map_or(0, |kind| queries.iter().map(|query| kind.window_us(query)).max().unwrap_or(0));
        Self { age, window_us, metric, asker, clock, there: Clock::default(), next_us: None, failed: None }
    }

    pub(super) const fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Asks for what is new. Returns the record of it; `None` if there is no new moment yet.
    pub(super) async fn once(&mut self) -> Option<Event> {
        let began_us = self.clock.now_us();
        let mut question = self.question()?;
        let met = if self.there.is_known() { Ok(()) } else { self.meet(&question).await };
        if met.is_ok() {
            // The clock may be known by now.
            question = self.question()?;
        }
        let answer = match met {
            Ok(()) => self.ask(&question).await,
            Err(why) => Err(why),
        };
        let (offset_us, unsure_us) = self.offset_us();
        let (samples, failed) = match answer {
            Ok(samples) => (samples, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let again = failed.is_some() && failed == self.failed;
        self.failed.clone_from(&failed);
        Some(Event::Sampled {
            objective: self.metric.name.clone(),
            until_us: question.until_us - offset_us,
            samples,
            unsure_us,
            took_us: self.clock.now_us() - began_us,
            failed,
            again,
        })
    }

    /// Asks for the newest moment only. Returns the reason why it would show nothing.
    pub(super) async fn trial(&mut self) -> Option<String> {
        self.next_us = None;
        match self.once().await {
            Some(Event::Sampled { failed: Some(why), .. }) => Some(why),
            Some(Event::Sampled { samples, .. }) => match samples.last() {
                None => Some(format!("it has no point in the last {}", self.metric.stale_after)),
                Some(Sample { lacks: Some(lack), series, .. }) => Some(self.lacking(*lack, *series)),
                Some(_) => None,
            },
            _ => Some("nothing was asked".to_owned()),
        }
    }

    fn lacking(&self, lack: Lack, series: u32) -> String {
        let asks = self.metric.asks.words();
        match lack {
            Lack::Empty => format!("it answers with no series: {asks}"),
            Lack::Stale => {
                let after = self.metric.stale_after;
                format!(
                    "its newest data are older than {after} (`stale_after`), or of series that are not there: {asks}"
                )
            }
            Lack::Several => format!("it answers with {series} series, and the goal is about one: {asks}"),
            Lack::NotANumber | Lack::Other => {
                format!("it answers with something that is not a number: {asks}")
            }
        }
    }

    /// Returns the time until the source can know the next moment.
    pub(super) fn until_next(&self) -> Duration {
        let (offset_us, _) = self.offset_us();
        let next = self.next_us.unwrap_or(0).saturating_add(signed(self.metric.lag.as_micros()));
        let left = next - offset_us - self.clock.now_us();
        let wait = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        let least = if self.failed.is_some() { self.metric.every.0 } else { Duration::from_millis(50) };
        wait.clamp(least, self.metric.every.0)
    }

    fn has_steps(&self) -> bool {
        self.asker.kind().metrics().is_some_and(|metrics| metrics.has_steps())
    }

    /// Returns the source's time minus the run's, and its uncertainty.
    fn offset_us(&self) -> (i64, i64) {
        self.there.offset_us().unwrap_or((self.clock.zero_wall_us(), UNTOLD_US))
    }

    /// The moments that the source can know by now, and that it was not asked for.
    fn question(&self) -> Option<Question> {
        let (offset_us, _) = self.offset_us();
        let step_us = signed(self.metric.every.as_micros()).max(1);
        let known = self.clock.now_us() + offset_us - signed(self.metric.lag.as_micros());
        let until_us = known.div_euclid(step_us) * step_us;
        let first =
            if self.has_steps() { until_us } else { until_us - signed(self.metric.stale_after.as_micros()) };
        let oldest = until_us - (MOMENTS - 1) * step_us;
        let from_us = self.next_us.unwrap_or(first).max(oldest);
        (from_us <= until_us).then(|| Question { query: String::new(), from_us, until_us, step_us })
    }

    /// Asks once for the source's clock: until it is known, nobody knows which moment is the newest.
    async fn meet(&mut self, question: &Question) -> Result<(), String> {
        let query = self.metric.asks.queries().first().map_or_else(String::new, |query| (*query).to_owned());
        let asked = self.asker.ask(&Question { query, ..question.clone() }).await?;
        self.saw(&asked);
        Ok(())
    }

    async fn ask(&mut self, question: &Question) -> Result<Vec<Sample>, String> {
        let queries: Vec<String> = self.metric.asks.queries().into_iter().map(str::to_owned).collect();
        let mut answers = Vec::new();
        for query in queries.into_iter().chain(self.age.clone()) {
            let asked = self.asker.ask(&Question { query, ..question.clone() }).await?;
            self.saw(&asked);
            answers.push(asked.points);
        }
        let ages = if self.age.is_some() { answers.pop() } else { None };
        let total = if matches!(self.metric.asks, Asks::Ratio { .. }) { answers.pop() } else { None };
        let values = answers.pop().unwrap_or_default();
        let answer = Answer { values, total, ages };
        let samples = if self.has_steps() {
            self.next_us = Some(question.until_us + question.step_us);
            let moments = (0..MOMENTS).map(|step| question.from_us + step * question.step_us);
            moments.take_while(|at| *at <= question.until_us).map(|at| self.sample(at, &answer)).collect()
        } else {
            let new = |point: &&Point| (question.from_us..=question.until_us).contains(&point.at_us);
            let samples: Vec<Sample> =
                answer.values.iter().filter(new).map(|point| self.sample(point.at_us, &answer)).collect();
            if let Some(newest) = answer.values.iter().filter(new).map(|point| point.at_us).max() {
                self.next_us = Some(newest + 1);
            }
            samples
        };
        Ok(samples)
    }

    fn saw(&mut self, asked: &Asked) {
        if let Some(date_us) = asked.date_us {
            let here = |boot_us| self.clock.from_boot(boot_us);
            self.there.saw(date_us, here(asked.sent_us), here(asked.received_us));
        }
    }

    /// Returns what an answer says of a moment of the source's clock.
    fn sample(&self, at_us: i64, answer: &Answer) -> Sample {
        let (offset_us, _) = self.offset_us();
        let mut sample = Sample {
            at_us: at_us - offset_us,
            window_us: self.window_us,
            age_us: 0,
            low: None,
            high: None,
            total: None,
            series: 0,
            lacks: None,
        };
        let Some(value) = at(&answer.values, at_us) else {
            sample.lacks = Some(Lack::Empty);
            return sample;
        };
        sample.series = value.series;
        (sample.low, sample.high) = (number(value.low), number(value.high));
        let mut several = value.series > 1
            && matches!(self.metric.goal, MetricGoal::Good(_) | MetricGoal::IncreaseBelow(_));
        let mut nan = value.nan;
        if let Some(total) = &answer.total {
            let Some(total) = at(total, at_us) else {
                sample.lacks = Some(Lack::Empty);
                return sample;
            };
            sample.total = number(total.high);
            several |= total.series > 1;
            nan |= total.nan;
        }
        if let Some(ages) = &answer.ages {
            // Without an age there are no data behind the value: it is made from nothing.
            let age_us = at(ages, at_us).and_then(|age| age_us(age.high));
            sample.age_us = age_us.unwrap_or(0);
            if age_us.is_none_or(|age| age > signed(self.metric.stale_after.as_micros())) {
                sample.lacks = Some(Lack::Stale);
                return sample;
            }
        }
        sample.lacks = match (several, nan) {
            (true, _) => Some(Lack::Several),
            (_, true) => Some(Lack::NotANumber),
            _ => None,
        };
        sample
    }
}

/// The points of an answer: of values, of all events for a share, of ages.
struct Answer {
    values: Vec<Point>,
    total: Option<Vec<Point>>,
    ages: Option<Vec<Point>>,
}

/// Returns the point of a moment. A source may cut moments to milliseconds.
fn at(points: &[Point], at_us: i64) -> Option<&Point> {
    points.iter().find(|point| (point.at_us - at_us).abs() < 2_000)
}

/// A number as JSON can hold it; what is infinite becomes the largest number.
fn number(value: f64) -> Option<f64> {
    (!value.is_nan()).then(|| value.clamp(f64::MIN, f64::MAX))
}

/// An age in seconds, as microseconds; the source's clock may be a little behind its own data.
fn age_us(seconds: f64) -> Option<i64> {
    let span = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    Some(signed(Span(span).as_micros()))
}

#[cfg(test)]
mod tests;
