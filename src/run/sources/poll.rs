//! Asks a source again and again for the values of one metric: decides which moments to ask for, and which points of an answer are new.
//! Never judges a value.

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

/// Maximum number of moments in one question. Moments before these are never asked for again.
const MOMENTS: i64 = 600;
/// Maximum number of new points per moment of a question, for a source whose points have their own times.
const POINTS: i64 = 10;
/// Number of new points that are always accepted, however few moments are asked for.
const POINTS_LEAST: i64 = 100;
/// Number of steps before the first new point of such a source from which points are asked for, to count its series. A series exists
/// for one and a half steps after its last point, and the gap before that point may be as long.
const STEPS_BACK: i64 = 3;
/// Maximum difference between a moment that was asked for and its time in the answer, in microseconds: a source may round times down to
/// milliseconds.
const CUT_US: u64 = 1_999;
/// A source's clock that differs by more than this (in microseconds, beyond the uncertainty) from earlier answers was set.
const SET_US: i64 = 1_000_000;
/// Uncertainty, in microseconds, of a source whose answers have no `Date`: the clocks of both machines are trusted.
const UNTOLD_US: i64 = 2_000_000;
/// Maximum time of a packet from its sender to a listener of this machine, in microseconds.
const WAY_US: i64 = 10_000;
/// Maximum time for which a source is asked before any fault, until an answer has a value.
const FIRST_VALUE_WITHIN: Duration = Duration::from_secs(3);
/// The same for a source that is listened to, counted from the first moment that can be complete. It is enough for a sender that sends
/// every ten seconds.
const FIRST_PACKET_WITHIN: Duration = Duration::from_secs(11);

/// One metric, and the moments for which its source was already asked.
pub(super) struct Poll {
    metric: Metric,
    asker: Asker,
    clock: RunClock,
    /// The source's clock, compared with the run's clock.
    source_clock: Clock,
    /// Whether a first question for the source's clock was answered. Always true for a source that is listened to.
    clock_asked: bool,
    /// The query for the age and the series of the data behind the values, if the source has such a query.
    behind: Option<String>,
    /// The time that a value describes, in microseconds.
    window_us: i64,
    /// The first moment that was not answered yet, by the source's clock; `None` before the first answer and after the clock was set.
    next_us: Option<i64>,
    /// Maximum number of moments in the next question: fewer after a failure, because the answer may have been too long or too slow.
    moments: i64,
    /// The last moment that the source refused in a question for this moment alone.
    refused_us: Option<i64>,
    /// The reason why the newest question had no answer; `None` if it had one.
    failed: Option<String>,
}

impl Poll {
    pub(super) fn new(metric: Metric, asker: Asker, clock: RunClock) -> Self {
        let queries = metric.asks.queries();
        let kind = asker.kind().metrics();
        let behind = kind.and_then(|kind| kind.behind_query(&queries));
        let window_us = kind.map_or(0, |kind| signed(metric.window(kind).as_micros()));
        // Data that is listened for gets its times from this machine's clock.
        let clock_asked = asker.is_here();
        Self {
            behind,
            window_us,
            metric,
            asker,
            clock,
            source_clock: Clock::default(),
            clock_asked,
            next_us: None,
            moments: MOMENTS,
            refused_us: None,
            failed: None,
        }
    }

    pub(super) const fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Asks for the new moments. Returns the record for the log; `None` if there is no new moment yet.
    pub(super) async fn once(&mut self) -> Option<Event> {
        let began_us = self.clock.now_us();
        let mut question = self.question()?;
        let clock_asked = if self.clock_asked { Ok(()) } else { self.ask_clock(&question).await };
        if clock_asked.is_ok() {
            // The source's clock may be known now, so other moments are new.
            self.clock_asked = true;
            question = self.question()?;
        }
        let (asked_by_us, _) = self.offset_us();
        let answer = match clock_asked {
            Ok(()) => self.ask(&question).await,
            Err(no_answer) => Err(no_answer),
        };
        if answer.as_ref().is_err_and(|no_answer| no_answer.refused) {
            self.skip_refused(&question);
        }
        let (mut offset_us, unsure_us) = self.offset_us();
        let (samples, failed) = match answer {
            Ok(samples) => (samples, None),
            Err(no_answer) => {
                // The source's clock may have been set; the question was made with the old offset.
                offset_us = asked_by_us;
                (Vec::new(), Some(no_answer.why))
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

    /// Skips a moment that the source refused twice in a question for this moment alone: otherwise no later moment would be asked for.
    /// The record of the question has the reason.
    fn skip_refused(&mut self, asking: &Asking) {
        let Question { until_us, step_us, .. } = asking.question;
        if asking.moments() > 1 {
            return;
        }
        if self.refused_us == Some(until_us) {
            self.next_us = Some(until_us + step_us);
        }
        self.refused_us = Some(until_us);
    }

    /// Asks for the newest moment only. Returns the reason why there is no usable value; `None` if there is one.
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

    /// Returns the maximum time to wait for a first value before any fault.
    pub(super) fn patience(&self) -> Duration {
        if self.asker.is_here() {
            self.metric.lag.0 + self.metric.every.0 + self.metric.every.0 + FIRST_PACKET_WITHIN
        } else {
            FIRST_VALUE_WITHIN
        }
    }

    /// Returns the time to wait until the source can have a value for the next moment.
    pub(super) fn until_next(&self) -> Duration {
        let (offset_us, _) = self.offset_us();
        let next = self.next_us.unwrap_or(0).saturating_add(signed(self.metric.lag.as_micros()));
        let left = next - offset_us - self.clock.now_us();
        let wait = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        let least = if self.failed.is_some() { self.metric.every.0 } else { Duration::from_millis(50) };
        wait.clamp(least, self.metric.every.0)
    }

    /// Whether the source gives a value for each moment that it is asked for; otherwise its points have their own times.
    fn has_steps(&self) -> bool {
        self.asker.kind().metrics().is_some_and(|metrics| metrics.has_steps())
    }

    /// Returns the source's time minus the run's time, and the uncertainty of the difference, both in microseconds.
    fn offset_us(&self) -> (i64, i64) {
        if self.asker.is_here() {
            return (self.clock.zero_there(0), WAY_US);
        }
        self.source_clock.offset_us().unwrap_or((self.clock.zero_wall_us(), UNTOLD_US))
    }

    /// Returns the moments that the source can have values for, and that it was not asked for yet. `None` if there are none.
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

    /// Asks once, to learn the source's clock from the answer: without it, nobody knows which moment is the newest.
    async fn ask_clock(&mut self, asking: &Asking) -> Result<(), NoAnswer> {
        let query = self.metric.asks.queries().first().map_or_else(String::new, |query| (*query).to_owned());
        let newest = Question { query, from_us: asking.question.until_us, ..asking.question.clone() };
        let asked = self.asker.ask(&newest).await?;
        Ok(self.note_clock(&asked)?)
    }

    /// Asks for the values of the moments, and for the data behind them. Returns the new samples.
    ///
    /// # Errors
    /// There is no usable answer, there are too many points, or the source's clock was set meanwhile.
    async fn ask(&mut self, asking: &Asking) -> Result<Vec<Sample>, NoAnswer> {
        let Asking { question, is_cut } = asking;
        let mut around = question.clone();
        if !self.has_steps() {
            // Series whose points have their own times are counted by their last points, which an earlier answer may have had already.
            let back_us = signed(self.metric.stale_after.as_micros());
            let before_us = question.from_us.saturating_sub(question.step_us.saturating_mul(STEPS_BACK));
            around.from_us = question.until_us.saturating_sub(back_us).min(before_us);
        }
        let mut behind = None;
        // The data behind the values are asked for before the values: a point that arrives in between makes the value newer than the
        // sample says, never older.
        if let Some(query) = self.behind.clone() {
            let asked = self.asker.behind(&Question { query, ..around.clone() }).await?;
            self.note_clock(&asked)?;
            behind = Some(asked.says);
        }
        let queries: Vec<String> = self.metric.asks.queries().into_iter().map(str::to_owned).collect();
        let mut answers = Vec::new();
        for query in queries {
            let asked = self.asker.ask(&Question { query, ..around.clone() }).await?;
            self.note_clock(&asked)?;
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
        let max_points = asking.moments().saturating_mul(POINTS).max(POINTS_LEAST);
        if i64::try_from(new.len()).unwrap_or(i64::MAX) > max_points {
            let span = Span(Duration::from_micros((question.until_us - question.from_us).unsigned_abs()));
            let why = format!(
                "it answers with {} points in {span}, and {max_points} can be taken at once; ask for fewer a second, or give a shorter \
                 `every`",
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

    /// Notes the time of the source's clock from the `Date` of an answer.
    ///
    /// # Errors
    /// The clock was set, so the answer is about other moments than intended.
    fn note_clock<T>(&mut self, asked: &Asked<T>) -> Result<(), String> {
        let Some(date_us) = asked.date_us else { return Ok(()) };
        let here = |boot_us| self.clock.from_boot(boot_us);
        let before = self.source_clock.offset_us();
        self.source_clock.saw(date_us, here(asked.sent_us), here(asked.received_us));
        let Some(((old_us, old_unsure_us), (new_us, new_unsure_us))) =
            before.zip(self.source_clock.offset_us())
        else {
            return Ok(());
        };
        let step_us = new_us - old_us;
        if step_us.abs() <= old_unsure_us + new_unsure_us + SET_US {
            return Ok(());
        }
        // The next moment was computed with the old clock, and may now be far ahead.
        self.next_us = None;
        let way = if step_us < 0 { "back" } else { "forward" };
        let span = Span(Duration::from_secs(step_us.unsigned_abs() / 1_000_000));
        Err(format!("its clock was set {way} by about {span}, so the moments that were asked for are others"))
    }

    /// Returns the sample of a moment of the source's clock, with its time by the run's clock.
    fn sample(&self, at_us: i64, answer: &Answer) -> Sample {
        let (offset_us, _) = self.offset_us();
        let sample = answer.sample(&self.metric, self.window_us, at_us);
        Sample { at_us: at_us - offset_us, ..sample }
    }
}

/// A question for moments, still without a query.
struct Asking {
    question: Question,
    /// Whether the question was shortened: the source could have values for later moments, too.
    is_cut: bool,
}

impl Asking {
    /// Returns the number of moments.
    const fn moments(&self) -> i64 {
        let Question { from_us, until_us, step_us, .. } = &self.question;
        (*until_us - *from_us) / *step_us + 1
    }
}

#[cfg(test)]
mod tests;
