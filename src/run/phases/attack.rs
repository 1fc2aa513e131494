//! Runs the attacks, one after another: turn, approval, baseline, arm, fault, recovery, settle. Also decides which attacks
//! run at all.

use std::sync::Arc;

use super::{
    super::{error::RunError, parts::Run, stop::Stop},
    approval::approved,
    arm::arm,
    baseline::baseline,
    fault::fault_and_recovery,
    heal::heal,
    leader::{leader, moved},
    read_back::read_back,
    settle::settle,
    step::steps,
    turn::{Turn, turn, unconfirmed},
};
use crate::{
    log::{Moment, Outcome, RunOutcome},
    plan::{
        Plan,
        model::{Attack, Then},
    },
    verdict::Verdict,
};

/// Runs all attacks, with the steps before them and after the last one. Attacks after the end of the run are recorded as `not run`.
/// Returns the outcome of the attacks.
pub(crate) async fn attacks(run: &mut Run) -> Result<RunOutcome, RunError> {
    let plan = Arc::clone(&run.facts.plan);
    let mut ended: Option<RunOutcome> = None;
    for (index, attack) in plan.turns() {
        if ended.is_none() {
            run.between.comes(index);
            ended = steps(run, index).await?.err().map(|stop| stop.outcome());
        }
        if let Some(outcome) = &ended {
            let why = format!("the run had ended: {}", outcome.reason());
            not_run(run, index, &why)?;
            continue;
        }
        if let Err(stop) = run_attack(run, index, attack).await? {
            heal(run, &stop.reason()).await?;
            ended = Some(stop.outcome());
        }
    }
    if ended.is_none() {
        // From now on no attack is left that a wish could be about.
        run.between.comes(plan.attacks.len());
        ended = steps(run, plan.attacks.len()).await?.err().map(|stop| stop.outcome());
    }
    Ok(ended.unwrap_or(RunOutcome::Completed))
}

/// Runs an attack. The inner error is the reason why the run must stop.
async fn run_attack(run: &mut Run, index: usize, attack: &Attack) -> Result<Result<(), Stop>, RunError> {
    if let Some(why) = unmet(&run.facts.plan, attack, |index| run.recorder.ended_as(index)) {
        not_run(run, index, &why)?;
        return Ok(Ok(()));
    }
    if let Some(ended) = held_up(run, index).await? {
        return Ok(ended);
    }
    if let Some(approve) = &attack.approve
        && let Err(why) = approved(run, index, attack, approve).await?
    {
        not_run(run, index, &why)?;
        return Ok(run.ending.why().cloned().map_or(Ok(()), Err));
    }
    let plan = Arc::clone(&run.facts.plan);
    let (index, attack) = match on_leader(run, &plan, index, attack).await? {
        Ok(found) => found,
        Err(ended) => return Ok(ended),
    };
    // Repeated while people pause the run after the baseline began: then the baseline is measured anew.
    loop {
        if let Some(ended) = held_up(run, index).await? {
            return Ok(ended);
        }
        if let Some(why) = unconfirmed(run) {
            not_run(run, index, &why)?;
            return Ok(Err(Stop::Failed(why)));
        }
        if let Err(stop) = baseline(run, index, attack).await? {
            not_run(run, index, &stop.reason())?;
            return Ok(Err(stop));
        }
        // A baseline that a wish cut short decides nothing, also where the wish is taken back while others answer.
        if run.between.holds_up(index) {
            continue;
        }
        if let Err(stop) = read_back(run, index, attack, Moment::Before).await? {
            not_run(run, index, &stop.reason())?;
            return Ok(Err(stop));
        }
        if let Some(on) = &attack.leader {
            let asked = match leader(run, index, &on.target).await? {
                Ok(asked) => asked,
                Err(stop) => {
                    not_run(run, index, &stop.reason())?;
                    return Ok(Err(stop));
                }
            };
            if let Some(why) = moved(&on.host, &asked) {
                not_run(run, index, &why)?;
                return Ok(after(attack, Verdict::Unknown, &why));
            }
        }
        if !run.between.holds_up(index) {
            break;
        }
    }
    // From now on wishes are about the attack after this one and its alternatives.
    run.between.arms(plan.alternatives(index).end - 1);
    let start_us = match arm(run, index, attack).await? {
        Ok(start_us) => start_us,
        Err(why) => {
            not_run(run, index, &why)?;
            if let Some(stop) = run.ending.why() {
                return Ok(Err(stop.clone()));
            }
            // A host that may still be armed must not be part of the next attack.
            if run.injections.can_be_undone() {
                return Ok(Err(Stop::Failed(why)));
            }
            return Ok(after(attack, Verdict::Unknown, &why));
        }
    };
    run.guards.arm(run.facts.now_us());
    let recovered = fault_and_recovery(run, index, attack, start_us).await?;
    run.guards.disarm();
    if let Err(stop) = recovered {
        heal(run, &stop.reason()).await?;
        run.recorder.ended(index, Outcome::Aborted(stop.reason()), None)?;
        return Ok(Err(stop));
    }
    // Also where the run must stop then: the attack has gone through all its phases.
    let read = read_back(run, index, attack, Moment::After).await?;
    let verdict = run.recorder.verdict(index)?;
    run.recorder.ended(index, Outcome::Ran, Some(verdict))?;
    if read.is_err() {
        return Ok(read);
    }
    if let Err(stop) = after(attack, verdict, &format!("\"{}\" was {verdict}", attack.name)) {
        return Ok(Err(stop));
    }
    settle(run, index, attack).await
}

/// If an attack is on a moving target, asks for the leader, chooses the alternative on it, and spares the others. Any other attack is
/// returned unchanged. The inner error is the end of the attack if no alternative was chosen: whether the run goes on, or must stop.
async fn on_leader<'p>(
    run: &mut Run,
    plan: &'p Plan,
    index: usize,
    attack: &'p Attack,
) -> Result<Result<(usize, &'p Attack), Result<(), Stop>>, RunError> {
    let Some(on) = &attack.leader else { return Ok(Ok((index, attack))) };
    let asked = match leader(run, index, &on.target).await? {
        Ok(asked) => asked,
        Err(stop) => {
            not_run(run, index, &stop.reason())?;
            return Ok(Err(Err(stop)));
        }
    };
    let is_on = |at: &usize| {
        let on = plan.attacks.get(*at).and_then(|attack| attack.leader.as_ref());
        on.is_some_and(|on| Some(&on.host) == asked.leader.as_ref())
    };
    let chosen = plan.alternatives(index).find(is_on);
    let Some((at, attack)) = chosen.and_then(|at| Some((at, plan.attacks.get(at)?))) else {
        let why = asked.words();
        not_run(run, index, &why)?;
        return Ok(Err(after(attack, Verdict::Unknown, &why)));
    };
    let why = asked.leader.map(|leader| format!("the leader was {leader}")).unwrap_or_default();
    for other in plan.alternatives(index).filter(|other| *other != at) {
        run.recorder.ended(other, Outcome::Spared(why.clone()), None)?;
    }
    Ok(Ok((at, attack)))
}

/// Records that an attack does not run, and that its alternatives are spared, unless the choice of the leader has recorded that already.
fn not_run(run: &mut Run, index: usize, why: &str) -> Result<(), RunError> {
    let others = run.facts.plan.alternatives(index).filter(|other| *other != index);
    let are_spared = others.clone().next().is_some_and(|other| run.recorder.ended_as(other).is_some());
    run.recorder.ended(index, Outcome::NotRun(why.to_owned()), None)?;
    for other in others.filter(|_| !are_spared) {
        run.recorder.ended(other, Outcome::Spared(why.to_owned()), None)?;
    }
    Ok(())
}

/// Gives an attack its turn, in which people may pause the run or skip the attack. Returns `None` if the attack goes on. Otherwise it has
/// ended: `Some(Ok(()))` if the run goes on, and `Some(Err(stop))` if it must stop.
async fn held_up(run: &mut Run, index: usize) -> Result<Option<Result<(), Stop>>, RunError> {
    let (why, ended) = match turn(run, index).await? {
        Turn::GoesOn => return Ok(None),
        Turn::Skipped(why) => (why, Ok(())),
        Turn::Stops(stop) => (stop.reason(), Err(stop)),
    };
    not_run(run, index, &why)?;
    Ok(Some(ended))
}

/// The outcome of an attack, and its verdict.
type Ended = (Outcome, Option<Verdict>);

/// Returns the reason why an attack cannot run: an attack that it needs did not run, or was violated. `None` if it can.
fn unmet(plan: &Plan, attack: &Attack, ended_as: impl Fn(usize) -> Option<Ended>) -> Option<String> {
    attack.needs.iter().find_map(|needed| {
        let attacks = plan.attacks.iter().enumerate();
        // A needed name may mean several attacks: groups and alternatives have the same base name.
        let named = attacks.filter(|(_, attack)| &attack.name == needed || &attack.base == needed);
        named.map(|(index, _)| ended_as(index)).find_map(|ended| match ended {
            Some((Outcome::Ran, Some(Verdict::Held | Verdict::Unknown)) | (Outcome::Spared(_), _)) => None,
            Some((Outcome::Ran, _)) => Some(format!("it needs \"{needed}\", which was violated")),
            _ => Some(format!("it needs \"{needed}\", which did not run")),
        })
    })
}

/// Decides by the scenario's rules whether the run goes on after a verdict. The error is the reason to stop; `why` is its text.
fn after(attack: &Attack, verdict: Verdict, why: &str) -> Result<(), Stop> {
    let then = match verdict {
        Verdict::Held => Then::Continue,
        Verdict::Unknown => attack.on_unknown,
        Verdict::Violated => attack.on_violated,
    };
    match then {
        Then::Continue => Ok(()),
        Then::Stop => Err(Stop::Failed(format!("the scenario says to stop: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_judge::testing::Drill;

    #[test]
    fn an_attack_that_needs_another_runs_only_if_the_other_ran_and_was_not_violated() {
        let mut plan = Drill::good().plan();
        plan.attacks[1].needs = vec!["stop checkout".to_owned()];
        let needs = |ended: Option<Ended>| unmet(&plan, &plan.attacks[1], |_| ended.clone());
        assert_eq!(needs(Some((Outcome::Ran, Some(Verdict::Held)))), None);
        assert_eq!(needs(Some((Outcome::Ran, Some(Verdict::Unknown)))), None);
        let violated = needs(Some((Outcome::Ran, Some(Verdict::Violated))));
        assert_eq!(violated.as_deref(), Some("it needs \"stop checkout\", which was violated"));
        for ended in [None, Some((Outcome::NotRun("it was full".to_owned()), None))] {
            assert_eq!(needs(ended).as_deref(), Some("it needs \"stop checkout\", which did not run"));
        }
        assert_eq!(unmet(&plan, &plan.attacks[0], |_| None), None, "it needs nothing");
        assert_eq!(needs(Some((Outcome::Spared("the leader was d2".to_owned()), None))), None);
    }

    #[test]
    fn if_a_needed_attack_has_groups_each_of_them_has_to_hold() {
        let mut plan = Drill::good().plan();
        let mut groups = plan.attacks[0].clone();
        (groups.name, groups.base) = ("stop checkout, 2".to_owned(), "stop checkout".to_owned());
        plan.attacks.insert(1, groups);
        plan.attacks[2].needs = vec!["stop checkout".to_owned()];
        let verdicts = [Verdict::Held, Verdict::Violated];
        let ended = |index: usize| Some((Outcome::Ran, verdicts.get(index).copied()));
        assert!(unmet(&plan, &plan.attacks[2], ended).is_some());
    }

    #[test]
    fn the_scenario_decides_whether_a_verdict_ends_the_run() {
        let mut attack = Drill::one().plan().attacks.remove(0);
        (attack.on_unknown, attack.on_violated) = (Then::Stop, Then::Continue);
        assert!(after(&attack, Verdict::Held, "").is_ok());
        assert!(after(&attack, Verdict::Violated, "").is_ok());
        let stop = after(&attack, Verdict::Unknown, "\"it\" was unknown").unwrap_err();
        assert_eq!(stop.reason(), "the scenario says to stop: \"it\" was unknown");
    }
}
