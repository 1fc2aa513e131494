//! The fault of an attack, from its start until it is over, and the recovery after it.

use std::sync::Arc;

use firedrill_wire::Span;

use super::{
    super::{clock::signed, error::RunError, parts::Run, stop::Stop, tracked::report_us},
    exchange::exchange,
};
use crate::{
    log::{Event, Moment},
    plan::model::{Attack, Metric, MetricGoal, Phase},
};

/// Interval at which the latest end of the fault is computed again, in microseconds.
const LOOK_AGAIN_US: i64 = 500_000;
/// Time after the recovery for its last bins to arrive, in addition to the probes' time-out, in microseconds.
const TAIL_US: i64 = 1_500_000;
/// Maximum time after the recovery for the last bins of logs to arrive, in microseconds.
const LOGS_US: i64 = 5_000_000;

/// Waits until the fault has ended and its recovery is over. The inner error is the reason why the run must
/// stop.
pub(super) async fn fault_and_recovery(
    run: &mut Run,
    index: usize,
    attack: &Attack,
    start_us: i64,
) -> Result<Result<(), Stop>, RunError> {
    let boots = run.peers.newest_boots();
    if let Err(stop) = run.pump(start_us, |_| false).await? {
        return Ok(Err(stop));
    }
    let ends = attack.injections.iter().map(|injection| injection.at + injection.hold);
    let longest = ends.max().unwrap_or(attack.hold);
    let until = start_us + signed(longest.as_micros());
    run.recorder.write(Event::Phase { attack: index, phase: Phase::Fault, until_us: until })?;
    exchange((&run.facts, &run.peers, &run.tasks), index, attack, Moment::During, start_us);
    // A host that goes down cannot report the end of its fault: the fault is over when the host is back with another boot id.
    let down: Vec<&str> = attack
        .injections
        .iter()
        .filter(|injection| injection.fault.takes_host_down())
        .map(|injection| injection.host.as_str())
        .collect();
    let back = |run: &Run| down.iter().all(|host| run.peers.rebooted_since(host, &boots));
    let report_us =
        report_us(attack.injections.iter().map(|injection| &injection.fault), run.facts.plan.lease);
    let over = loop {
        let latest = latest_us(until, run.injections.ends_us(index), report_us, run.undone_by_us());
        if run.facts.now_us() >= latest {
            break false;
        }
        let once = latest.min(run.facts.now_us() + LOOK_AGAIN_US);
        match run.pump(once, |run| run.injections.settled(index) && back(run)).await? {
            Err(stop) => return Ok(Err(stop)),
            Ok(true) => break true,
            Ok(false) => {}
        }
    };
    if !over {
        run.recorder.note(format!("the fault's time is over; {}", run.waiting_for()))?;
    }
    run.peers.rest(&run.injections.busy());
    let until = run.recorder.phase(index, Phase::Recovery, attack.recovery)?;
    exchange((&run.facts, &run.peers, &run.tasks), index, attack, Moment::After, run.facts.now_us());
    if let Err(stop) = run.pump(until, |_| false).await? {
        return Ok(Err(stop));
    }
    // The last bins of the recovery arrive a time-out after their end, and judging needs them.
    let tail = run.facts.now_us() + signed(run.facts.plan.slowest().as_micros()) + TAIL_US;
    if let Err(stop) = run.pump(tail, |_| false).await? {
        return Ok(Err(stop));
    }
    if let Err(stop) = last_logs(run, until).await? {
        return Ok(Err(stop));
    }
    last_samples(run, attack, until).await
}

/// Waits until the bins of logs up to the end of the recovery have arrived, for a limited time.
async fn last_logs(run: &mut Run, until_us: i64) -> Result<Result<(), Stop>, RunError> {
    let read = |run: &Run| run.host_logs.are_read_until(until_us, &run.peers);
    let waited = run.pump(until_us + LOGS_US, read).await?;
    for event in run.host_logs.flush() {
        run.recorder.write(event)?;
    }
    Ok(waited.map(|_| ()))
}

/// Waits until the samples of judged metrics up to the end of the recovery have arrived, for a limited time.
async fn last_samples(run: &mut Run, attack: &Attack, until_us: i64) -> Result<Result<(), Stop>, RunError> {
    let plan = Arc::clone(&run.facts.plan);
    let metrics: Vec<(&Metric, Span)> = plan
        .metrics
        .iter()
        .filter(|metric| attack.judge.contains(&metric.name))
        .map(|metric| (metric, plan.timeout_of(metric)))
        .collect();
    let is_increase = |metric: &Metric| matches!(metric.goal, MetricGoal::IncreaseBelow(_));
    // An increase is known only with a sample whose data are from after the end. Data may be as old as `stale_after`.
    let more = |metric: &Metric| if is_increase(metric) { metric.stale_after } else { Span::ZERO };
    let latest = metrics.iter().map(|(metric, timeout)| metric.overdue_after(*timeout) + more(metric)).max();
    let Some(latest) = latest else { return Ok(Ok(())) };
    let known = |run: &Run| {
        metrics.iter().all(|(metric, _)| {
            let after_us = until_us + signed(metric.every.as_micros());
            let metrics = run.guards.metrics();
            metrics.is_known_until(metric, after_us)
                && (!is_increase(metric) || metrics.shows_after(metric, until_us))
        })
    };
    Ok(run.pump(until_us + signed(latest.as_micros()), known).await?.map(|_| ()))
}

/// Returns the time until which the run waits for the end of a fault. That is the planned end, or the end of a hold that began late
/// (`ends_us`), plus the time for the report; but at least the time by which an undo in progress should be done (`undone_us`). Slow
/// injections and undos become known only while the run waits.
fn latest_us(planned_us: i64, ends_us: Option<i64>, report_us: i64, undone_us: Option<i64>) -> i64 {
    let latest_us = ends_us.map_or(planned_us, |ends_us| planned_us.max(ends_us)) + report_us;
    undone_us.map_or(latest_us, |undone_us| latest_us.max(undone_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_waited_for_as_long_as_its_slowest_step_may_take() {
        assert_eq!(latest_us(100, None, 5, None), 105, "as planned");
        assert_eq!(latest_us(100, Some(90), 5, None), 105, "a hold that ends before the last one");
        assert_eq!(latest_us(100, Some(120), 5, None), 125, "it came into force late");
        assert_eq!(latest_us(100, None, 5, Some(230)), 230, "an undo is in progress");
        assert_eq!(latest_us(100, Some(120), 5, Some(110)), 125);
    }
}
