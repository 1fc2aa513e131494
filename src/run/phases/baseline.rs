//! The baseline of an attack: the system must be healthy before anything is broken.

use std::sync::Arc;

use firedrill_wire::Span;

use super::{
    super::{clock::signed, error::RunError, parts::Run, stop::Stop, tracked::GRACE_US},
    baseline_judge::Baseline,
    exchange::exchange,
};
use crate::{
    log::Moment,
    plan::model::{Attack, Metric, Phase},
    score::metric,
};

/// Waits until the end of the baseline, which must hold. Ends earlier, without a judgement, if people want to pause the run or to skip the
/// attack. The inner error is the reason why the run must stop.
pub(super) async fn baseline(
    run: &mut Run,
    index: usize,
    attack: &Attack,
) -> Result<Result<(), Stop>, RunError> {
    let from = run.facts.now_us();
    run.guards.attack_begins(attack, from);
    let until = run.recorder.phase(index, Phase::Baseline, attack.baseline)?;
    exchange((&run.facts, &run.peers, &run.tasks), index, attack, Moment::Before, run.facts.now_us());
    match run.pump(until, |run| run.between.holds_up(index)).await? {
        Err(stop) => return Ok(Err(stop)),
        Ok(true) => return Ok(Ok(())),
        Ok(false) => {}
    }
    if attack.baseline.is_zero() {
        return Ok(Ok(()));
    }
    let patience = run.facts.now_us() + signed(run.facts.plan.slowest().as_micros()) + GRACE_US;
    let plan = Arc::clone(&run.facts.plan);
    // The last bins arrive after the end of the baseline.
    let judge = |run: &Run| Baseline::of(&plan, attack, (from, until), run.recorder.bins(from)).judge();
    let judged = run.pump(patience, |run| run.between.holds_up(index) || judge(run).is_final()).await?;
    if let Err(stop) = judged {
        return Ok(Err(stop));
    }
    let mut against = judge(run).against;
    match metrics(run, index, attack).await? {
        Ok(more) => against.extend(more),
        Err(stop) => return Ok(Err(stop)),
    }
    // The baseline decides nothing if people have asked for a pause before this attack, or to skip it.
    if run.between.holds_up(index) || against.is_empty() {
        return Ok(Ok(()));
    }
    let why = format!("the baseline of \"{}\" did not hold: {}", attack.name, against.join("; "));
    // A refusal says that nothing was touched. That is no longer true after an earlier attack was armed, or a step was taken.
    Ok(Err(if run.injections.is_empty() && !run.steps.have_acted() {
        Stop::Refused(why)
    } else {
        Stop::Failed(why)
    }))
}

/// Waits for the newest sample of each judged metric. Returns one text for each metric whose newest sample is missing or overdue, or violates
/// the goal.
async fn metrics(
    run: &mut Run,
    index: usize,
    attack: &Attack,
) -> Result<Result<Vec<String>, Stop>, RunError> {
    let plan = Arc::clone(&run.facts.plan);
    let judged: Vec<(&Metric, Span)> = plan
        .metrics
        .iter()
        .filter(|metric| attack.judge.contains(&metric.name))
        .map(|metric| (metric, plan.timeout_of(metric)))
        .collect();
    // Only the newest sample counts, because another attack may have ended shortly before.
    let newest = |run: &Run, metric: &Metric, timeout: Span| {
        let now_us = run.facts.now_us();
        let window = run.guards.metrics().window(metric, timeout, metric.every, now_us);
        window.map(|samples| metric::violated_by(metric, &samples))
    };
    let latest =
        judged.iter().map(|(metric, timeout)| metric.overdue_after(*timeout)).max().unwrap_or_default();
    let until_us = run.facts.now_us() + signed(latest.as_micros());
    let all_known = |run: &Run| {
        run.between.holds_up(index)
            || judged.iter().all(|(metric, timeout)| newest(run, metric, *timeout).is_some())
    };
    if let Err(stop) = run.pump(until_us, all_known).await? {
        return Ok(Err(stop));
    }
    let against = judged.iter().filter_map(|(metric, timeout)| match newest(run, metric, *timeout) {
        Some(violated) => Some(format!("objective {}: {}", metric.name, violated?)),
        None => {
            let failed = run.guards.metrics().failure(metric);
            let why = failed.map_or_else(String::new, |why| format!(": {why}"));
            Some(format!(
                "objective {}: source {} has no sample that shows anything{why}",
                metric.name, metric.source
            ))
        }
    });
    Ok(Ok(against.collect()))
}
