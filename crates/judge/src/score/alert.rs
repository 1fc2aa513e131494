//! Judges objectives of alerts: whether people were notified of a fault, and of its end. The only input is the log's polls of the source.

mod verdict;
mod watch;

#[cfg(test)]
mod tests;

use firedrill_plan::plan::model::{Alert, AlertGoal, Phase};

use self::{
    verdict::{Course, Found, detected, resolved},
    watch::{Firing, Poll, Watch},
};
use super::{
    alert_card::{AlertCard, FiringCard, TookCard},
    bench::Bench,
    card::{Measured, ObjectiveCard, Unit},
    facts::AlertFacts,
    phases::planned_us,
};
use crate::verdict::Verdict;

/// Judges one objective of an alert.
pub(super) fn objective<'a>(bench: &Bench<'_, 'a>, alert: &'a Alert) -> ObjectiveCard {
    let polls = polls(bench, alert);
    let (asked, failed) =
        (polls.len() as u64, polls.iter().filter(|poll| poll.answer.is_err()).count() as u64);
    let (_, every) = watched(bench, alert);
    let watch = Watch::new(polls, micros(every));
    let limit = match alert.goal {
        AlertGoal::DetectWithin(within) | AlertGoal::ResolveWithin(within) => micros(within),
    };
    let detects = matches!(alert.goal, AlertGoal::DetectWithin(_));
    // With another goal the time to detect is only shown, so it may take the whole fault.
    let detect_limit = if detects { limit } else { planned_us(bench.attack, Phase::Fault) };
    let detection = course(bench, detect_limit).map(|course| detected(&watch, &course));
    let resolution = course(bench, limit).map(|course| resolved(&watch, &course));
    let took = |found: &Option<Found>| {
        let (low_us, high_us) = found.as_ref()?.took_us?;
        Some(TookCard { low_us, high_us })
    };
    let card = AlertCard {
        source: alert.source.clone(),
        alert: alert.query.words(),
        asked,
        failed,
        detected: took(&detection).filter(|took| took.high_us.is_some()),
        resolved: took(&resolution).filter(|took| took.high_us.is_some()),
        firing: stretches(&watch),
    };
    let found = if detects { detection } else { resolution };
    let found = found.unwrap_or_else(|| verdict::unknown("the fault was never in force".to_owned(), 0));
    let (verdict, why) = doubted(bench, detects, found.verdict, found.why);
    ObjectiveCard {
        name: alert.name.clone(),
        probe: String::new(),
        goal: goal_text(alert),
        verdict,
        why,
        measured: measured(found.took_us, found.polls),
        vantages: Vec::new(),
        metric: None,
        alert: Some(Box::new(card)),
        budget: None,
    }
}

/// Describes the goal of an objective.
pub(crate) fn goal_text(alert: &Alert) -> String {
    format!("{} {}", alert.query.words(), alert.goal.words())
}

/// Returns a time in microseconds, limited so that sums do not overflow.
fn micros(span: firedrill_wire::Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Returns the times of the attack with this limit; `None` if its fault was never in force.
fn course(bench: &Bench<'_, '_>, limit_us: i64) -> Option<Course> {
    Some(Course {
        begun_us: bench.phases.all.first()?.from_us,
        fault_us: bench.phases.fault_us?,
        healed_us: bench.phases.healed_us,
        unsure_us: bench.phases.uncertainty_us,
        limit_us,
    })
}

/// Returns the objective under which the polls of an alert are logged, and their interval.
fn watched<'a>(bench: &Bench<'_, 'a>, alert: &'a Alert) -> (&'a Alert, firedrill_wire::Span) {
    let mut all = bench.plan.watched().into_iter();
    all.find(|(first, _)| first.same(alert)).unwrap_or((alert, alert.every))
}

/// Returns the polls of an attack.
fn polls<'a>(bench: &Bench<'_, 'a>, alert: &'a Alert) -> Vec<Poll> {
    let (first, _) = watched(bench, alert);
    let logged = bench.facts.alerts.get(first.name.as_str());
    let end_us = bench.phases.all.last().map_or(i64::MIN, |span| span.until_us);
    let begun_us = bench.phases.all.first().map_or(i64::MAX, |span| span.from_us);
    let inside = |one: &&AlertFacts<'_>| one.asked_us >= begun_us && one.asked_us <= end_us;
    logged.into_iter().flatten().filter(inside).map(poll).collect()
}

/// Returns a poll with the times of the source mapped to the run's clock.
fn poll(one: &AlertFacts<'_>) -> Poll {
    let firing = one.firing.iter().map(|seen| {
        // A time of the source on the run's clock, and its uncertainty; `None` without a clock.
        let here = |us: i64| one.clock.map(|clock| (us.saturating_sub(clock.zero_us), clock.unsure_us));
        let since_us = seen.since_us.zip(seen.precise_to_us).and_then(|(us, precise)| {
            let (at, unsure) = here(us)?;
            Some((at.saturating_sub(unsure), at.saturating_add(precise).saturating_add(unsure)))
        });
        // Without a clock it is not known whether the end time had come: it counts as come.
        let forgotten = |us: i64| here(us).map_or(i64::MIN, |(at, unsure)| at.saturating_sub(unsure));
        Firing {
            id: seen.id.clone(),
            since_us,
            forgotten_us: seen.forgotten_us.map(forgotten),
            hushed: seen.hushed.clone(),
        }
    });
    let answer = match one.failed {
        Some(why) => Err(why.to_owned()),
        None => Ok(firing.collect()),
    };
    Poll { asked_us: one.asked_us, answered_us: one.answered_us, answer }
}

/// Returns the stretches in which answers found the alert.
fn stretches(watch: &Watch) -> Vec<FiringCard> {
    let mut stretches: Vec<FiringCard> = Vec::new();
    let mut was_active = false;
    for poll in watch.answers() {
        let hushed = poll.hushed().map(str::to_owned);
        match stretches.last_mut() {
            Some(last) if was_active && poll.active() => {
                last.until_us = poll.answered_us;
                last.hushed = last.hushed.take().filter(|_| hushed.is_some());
            }
            _ if poll.active() => {
                stretches.push(FiringCard { from_us: poll.answered_us, until_us: poll.answered_us, hushed });
            }
            _ => {}
        }
        was_active = poll.active();
    }
    stretches
}

/// Weighs the doubts about the attack. An alert that did not fire shows nothing if the fault may not have landed: such a violation is as
/// weak as `held`, which any doubt makes `unknown`. An alert that did not end after the heal did fire, so the fault was seen.
fn doubted(bench: &Bench<'_, '_>, detects: bool, verdict: Verdict, why: String) -> (Verdict, String) {
    let as_weak = if detects && verdict == Verdict::Violated { Verdict::Held } else { verdict };
    match bench.doubt_about(as_weak) {
        Some(doubt) => (Verdict::Unknown, doubt.text.clone()),
        None => (verdict, why),
    }
}

/// Returns the figure of an objective.
fn measured(took: Option<(i64, Option<i64>)>, samples: u64) -> Measured {
    // An alert that was over before the heal took no time that could be measured.
    let Some((low, high)) = took.filter(|(_, high)| *high != Some(0)) else {
        return Measured { unit: Unit::Time, samples, ..Measured::default() };
    };
    Measured {
        unit: Unit::Time,
        value: high.map(|high| high as f64),
        endless: high.is_none(),
        low: Some(low as f64),
        high: high.map(|high| high as f64),
        samples,
    }
}
