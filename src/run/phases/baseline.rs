//! The baseline of an attack: the system must be healthy before anything is broken.

use std::sync::Arc;

use super::{
    super::{clock::signed, error::RunError, parts::Run, stop::Stop, tracked::GRACE_US},
    baseline_judge::Baseline,
    exchange::exchange,
};
use crate::{
    log::Moment,
    plan::model::{Attack, Phase},
};

/// Waits until the end of the baseline, which must hold.
pub(super) async fn baseline(
    run: &mut Run,
    index: usize,
    attack: &Attack,
) -> Result<Result<(), Stop>, RunError> {
    run.guards.ignore(attack);
    let from = run.facts.now_us();
    let until = run.recorder.phase(index, Phase::Baseline, attack.baseline)?;
    exchange((&run.facts, &run.peers, &run.tasks), index, attack, Moment::Before, run.facts.now_us());
    if let Err(stop) = run.pump(until, |_| false).await? {
        return Ok(Err(stop));
    }
    if attack.baseline.is_zero() {
        return Ok(Ok(()));
    }
    let patience = run.facts.now_us() + signed(run.facts.plan.slowest().as_micros()) + GRACE_US;
    let plan = Arc::clone(&run.facts.plan);
    let seen = |run: &Run| Baseline::of(&plan, attack, (from, until), run.recorder.bins(from)).judge();
    let judged = run.pump(patience, |run| seen(run).is_final()).await?;
    if let Err(stop) = judged {
        return Ok(Err(stop));
    }
    let against = seen(run).against;
    if against.is_empty() {
        return Ok(Ok(()));
    }
    let why = format!("the baseline of \"{}\" did not hold: {}", attack.name, against.join("; "));
    // If an earlier attack was armed, hosts were touched, so this is not a refusal of the run.
    Ok(Err(if run.injections.is_empty() { Stop::Refused(why) } else { Stop::Failed(why) }))
}
