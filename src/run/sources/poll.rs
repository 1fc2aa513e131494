//! The question of one metric, asked again and again: which moments are asked for, and which of an answer are new.

mod answer;
mod words;

use std::time::Duration;

use firedrill_sources::{Asked, Asker, NoAnswer, Point, Question, clock::Clock};
use firedrill_wire::Span;

use self::answer::Answer;
use super::super::clock::{RunClock, signed};
use crate::{
    log::{Event, Sample},
    plan::model::{Asks, Metric},
};

/// Maximum number of moments in one question. What is longer ago is not asked for any more.
const MOMENTS: i64 = 600;
/// Maximum number of new points for each moment of a question, of a source that has moments of its own.
const POINTS: i64 = 10;
/// Minimum number of points that can be taken at once, however few moments are asked for.
const POINTS_LEAST: i64 = 100;
/// Number of steps before the first new point of such a source in which its series are counted: a series is there for one and a half
/// steps from its last point on, and so long may the gap before that point be.
const STEPS_BACK: i64 = 3;
/// A source may cut moments to milliseconds.
const CUT_US: u64 = 1_999;
/// A clock that is off by more than this from what earlier answers told, beyond their uncertainty, was set.
const SET_US: i64 = 1_000_000;
/// Uncertainty of a source whose answers have no `Date`, so that both machines' clocks are trusted.
const UNTOLD_US: i64 = 2_000_000;
/// The longest way of a packet from its sender to a listener of this machine.
const WAY_US: i64 = 10_000;
/// The time for which a source is asked before any harm, until it has an answer with a value.
const TRIES: Duration = Duration::from_secs(3);
/// The same for what is listened for, after the first moment that can be known: what is sent each ten seconds is heard.
const HEARD: Duration = Duration::from_secs(11);

/// One metric, and how far its source was asked.
pub(super) struct Poll {
    metric: Metric,
    asker: Asker,
    clock: RunClock,
    /// The source's clock against the run's.
    there: Clock,
    /// Whether the source was asked for its clock.
    met: bool,
    /// The query of the data behind the values, if there is one.
    behind: Option<String>,
    window_us: i64,
    /// The first moment that was not answered, by the source's clock.
    next_us: Option<i64>,
    /// Number of moments in the next question: fewer after a failure, because an answer may be too long or take too long.
    moments: i64,
    /// The moment that the source refused when it was asked for alone.
    refused_us: Option<i64>,
    /// Why the newest question had no answer, if it had none.
    failed: Option<String>,
}

impl Poll {
    pub(super) fn new(metric: Metric, asker: Asker, clock: RunClock) -> Self {
        let queries = metric.asks.queries();
        let kind = asker.kind().metrics();
        let behind = kind.and_then(|kind| kind.behind_query(&queries));
        let window_us = kind.map_or(0, |kind| signed(metric.window(kind).as_micros()));
        // What is listened for is stamped here.
        let met = asker.is_here();
        Self {
            behind,
            window_us,
            metric,
            asker,
            clock,
            there: Clock::default(),
            met,
            next_us: None,
            moments: MOMENTS,
            refused_us: None,
            failed: None,
        }
    }

    pub(super) const fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Asks for what is new. Returns the record of it; `None` if there is no new moment yet.
    pub(super) async fn once(&mut self) -> Option<Event> {
        let began_us = self.clock.now_us();
        let mut question = self.question()?;
        let met = if self.met { Ok(()) } else { self.meet(&question).await };
        if met.is_ok() {
            // The clock may be known by now.
            self.met = true;
            question = self.question()?;
        }
        let (asked_by_us, _) = self.offset_us();
        let answer = match met {
            Ok(()) => self.ask(&question).await,
            Err(none) => Err(none),
        };
        if answer.as_ref().is_err_and(|none| none.refused) {
            self.skip(&question);
        }
        let (mut offset_us, unsure_us) = self.offset_us();
        let (samples, failed) = match answer {
            Ok(samples) => (samples, None),
            Err(none) => {
                // The clock may have been set.
                offset_us = asked_by_us;
                (Vec::new(), Some(none.why))
            }
        };
        self.moments = match failed {
            None => self.moments.saturating_mul(2).min(MOMENTS),
            Some(_) => (question.moments() / 2).max(1),
        };
        let again = failed.is_some() && failed == self.failed;
        self.failed.clone_from(&failed);
        Some(Event::Sampled {
            objective: self.metric.name.clone(),
            until_us: question.question.until_us - offset_us,
            samples,
            unsure_us,
            took_us: self.clock.now_us() - began_us,
            failed,
            again,
        })
    }

    /// Goes on behind a single moment that the source refused twice: it would keep all later ones back. The record of the question says
    /// why there is nothing of it.
    fn skip(&mut self, asking: &Asking) {
        let Question { until_us, step_us, .. } = asking.question;
        if asking.moments() > 1 {
            return;
        }
        if self.refused_us == Some(until_us) {
            self.next_us = Some(until_us + step_us);
        }
        self.refused_us = Some(until_us);
    }

    /// Asks for the newest moment only. Returns the reason why it would show nothing.
    pub(super) async fn trial(&mut self) -> Option<String> {
        self.next_us = None;
        match self.once().await {
            Some(Event::Sampled { failed: Some(why), .. }) => Some(why),
            Some(Event::Sampled { samples, .. }) => match samples.last() {
                None => Some(format!("it has no point in the last {}", self.metric.stale_after)),
                Some(Sample { lacks: Some(lack), series, .. }) => {
                    let queries = self.metric.asks.queries();
                    let missing = queries.into_iter().find_map(|query| self.asker.missing(query));
                    Some(missing.unwrap_or_else(|| words::lacking(&self.metric, *lack, *series)))
                }
                Some(_) => None,
            },
            _ => Some("nothing was asked".to_owned()),
        }
    }

    /// Returns the time for which there may be no value before any harm.
    pub(super) fn patience(&self) -> Duration {
        if self.asker.is_here() {
            self.metric.lag.0 + self.metric.every.0 + self.metric.every.0 + HEARD
        } else {
            TRIES
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
        if self.asker.is_here() {
            return (self.clock.zero_there(0), WAY_US);
        }
        self.there.offset_us().unwrap_or((self.clock.zero_wall_us(), UNTOLD_US))
    }

    /// The moments that the source can know by now, and that it was not asked for.
    fn question(&self) -> Option<Asking> {
        let (offset_us, _) = self.offset_us();
        let step_us = signed(self.metric.every.as_micros()).max(1);
        let known = self.clock.now_us() + offset_us - signed(self.metric.lag.as_micros());
        let newest_us = known.div_euclid(step_us) * step_us;
        let first = if self.has_steps() {
            newest_us
        } else {
            newest_us - signed(self.metric.stale_after.as_micros())
        };
        let oldest = newest_us - (MOMENTS - 1) * step_us;
        let from_us = self.next_us.unwrap_or(first).max(oldest);
        let until_us = newest_us.min(from_us + (self.moments - 1) * step_us);
        (from_us <= until_us).then(|| Asking {
            question: Question { query: String::new(), from_us, until_us, step_us },
            is_cut: until_us < newest_us,
        })
    }

    /// Asks once for the source's clock: until it is known, nobody knows which moment is the newest.
    async fn meet(&mut self, asking: &Asking) -> Result<(), NoAnswer> {
        let query = self.metric.asks.queries().first().map_or_else(String::new, |query| (*query).to_owned());
        let newest = Question { query, from_us: asking.question.until_us, ..asking.question.clone() };
        let asked = self.asker.ask(&newest).await?;
        Ok(self.saw(&asked)?)
    }

    async fn ask(&mut self, asking: &Asking) -> Result<Vec<Sample>, NoAnswer> {
        let Asking { question, is_cut } = asking;
        let mut around = question.clone();
        if !self.has_steps() {
            // Series with moments of their own are counted by their last points, which may have been taken already.
            let back_us = signed(self.metric.stale_after.as_micros());
            let before_us = question.from_us.saturating_sub(question.step_us.saturating_mul(STEPS_BACK));
            around.from_us = question.until_us.saturating_sub(back_us).min(before_us);
        }
        let mut behind = None;
        // The data behind the values are asked for first: what lands in between is newer than it is said to be, never older.
        if let Some(query) = self.behind.clone() {
            let asked = self.asker.behind(&Question { query, ..around.clone() }).await?;
            self.saw(&asked)?;
            behind = Some(asked.says);
        }
        let queries: Vec<String> = self.metric.asks.queries().into_iter().map(str::to_owned).collect();
        let mut answers = Vec::new();
        for query in queries {
            let asked = self.asker.ask(&Question { query, ..around.clone() }).await?;
            self.saw(&asked)?;
            answers.push(asked.says);
        }
        let total = if matches!(self.metric.asks, Asks::Ratio { .. }) { answers.pop() } else { None };
        let values = answers.pop().unwrap_or_default();
        let within_us = if self.has_steps() { CUT_US } else { 0 };
        let answer = Answer { values, total, behind, within_us };
        if self.has_steps() {
            self.next_us = Some(question.until_us + question.step_us);
            let moments = (0..MOMENTS).map(|step| question.from_us + step * question.step_us);
            let moments = moments.take_while(|at| *at <= question.until_us);
            return Ok(moments.map(|at| self.sample(at, &answer)).collect());
        }
        let inside = |point: &&Point| (question.from_us..=question.until_us).contains(&point.at_us);
        let new: Vec<i64> = answer.values.iter().filter(inside).map(|point| point.at_us).collect();
        let most = asking.moments().saturating_mul(POINTS).max(POINTS_LEAST);
        if i64::try_from(new.len()).unwrap_or(i64::MAX) > most {
            let span = Span(Duration::from_micros((question.until_us - question.from_us).unsigned_abs()));
            let why = format!(
                "it answers with {} points in {span}, and {most} can be taken at once; ask for fewer a second, or give a shorter `every`",
                new.len()
            );
            return Err(why.into());
        }
        if *is_cut {
            self.next_us = Some(question.until_us + 1);
        } else if let Some(newest) = new.last() {
            self.next_us = Some(newest + 1);
        }
        Ok(new.into_iter().map(|at_us| self.sample(at_us, &answer)).collect())
    }

    /// Takes what an answer tells of the source's clock.
    ///
    /// # Errors
    /// It was set, so moments that were asked for are not those that were meant.
    fn saw<T>(&mut self, asked: &Asked<T>) -> Result<(), String> {
        let Some(date_us) = asked.date_us else { return Ok(()) };
        let here = |boot_us| self.clock.from_boot(boot_us);
        let before = self.there.offset_us();
        self.there.saw(date_us, here(asked.sent_us), here(asked.received_us));
        let Some(((was_us, unsure_us), (is_us, still_us))) = before.zip(self.there.offset_us()) else {
            return Ok(());
        };
        let step_us = is_us - was_us;
        if step_us.abs() <= unsure_us + still_us + SET_US {
            return Ok(());
        }
        // The next moment is one of the old clock, which may lie far ahead.
        self.next_us = None;
        let way = if step_us < 0 { "back" } else { "forward" };
        let span = Span(Duration::from_secs(step_us.unsigned_abs() / 1_000_000));
        Err(format!("its clock was set {way} by about {span}, so the moments that were asked for are others"))
    }

    /// Returns what an answer says of a moment of the source's clock. Moments come in the order of time.
    fn sample(&self, at_us: i64, answer: &Answer) -> Sample {
        let (offset_us, _) = self.offset_us();
        let there = answer.sample(&self.metric, self.window_us, at_us);
        Sample { at_us: at_us - offset_us, ..there }
    }
}

/// The next question.
struct Asking {
    question: Question,
    /// Whether later moments could be asked for, too.
    is_cut: bool,
}

impl Asking {
    const fn moments(&self) -> i64 {
        let Question { from_us, until_us, step_us, .. } = &self.question;
        (*until_us - *from_us) / *step_us + 1
    }
}

#[cfg(test)]
mod tests;
