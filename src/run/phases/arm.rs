//! Arms the hosts of an attack, all of them or none, with a common start.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId,
    api::{About, Arm, ArmOne, Prepared, Renew, UndoScope},
};
use futures_util::future::join_all;

use super::{
    super::{
        bounds::{Bounds, room_for, still_room},
        clock::signed,
        error::RunError,
        facts::Facts,
        parts::Run,
        peers::Peers,
        tracked::{GRACE_US, Tracked},
    },
    heal::put_back,
    prepare::{Answer, Refusal, by_person, prepare},
};
use crate::{
    log::Event,
    plan::model::{Attack, Injection},
};

/// Minimum time from the request to arm until the start, in microseconds: enough for two intercontinental round trips and an fsync.
const LEAD_US: i64 = 1_000_000;
/// Maximum of that time, in microseconds, however slow the hosts are.
const LEAD_MOST_US: i64 = 10_000_000;

/// The reason why not every host could be armed, so that none starts.
struct Unarmed {
    why: String,
    /// Whether the reason is that a person undid the run or halted a host.
    by_person: bool,
}

impl Unarmed {
    /// A reason that is not a person.
    const fn because(why: String) -> Self {
        Self { why, by_person: false }
    }
}

/// Arms all hosts or none. Returns the time of the start on the run's clock; the inner error is the reason why nothing starts.
pub(super) async fn arm(
    run: &mut Run,
    index: usize,
    attack: &Attack,
) -> Result<Result<i64, String>, RunError> {
    let bounds = match room_for((&run.facts, &run.peers), &mut run.recorder, index).await? {
        Ok(bounds) => bounds,
        Err(why) => return Ok(Err(why)),
    };
    let asked_us = run.facts.now_us();
    let this_attack = index..index + 1;
    let approvals = &run.approvals.signed;
    let asked = prepare((&run.facts, &run.peers), &mut run.recorder, this_attack, approvals, false).await?;
    let answers = match asked {
        Ok(answers) => answers,
        Err(Refusal { why, by_person, .. }) => {
            if by_person {
                run.ending.by_person(why.clone());
            }
            return Ok(Err(why));
        }
    };
    let now = run.facts.now_us();
    let start_us = now + lead_us(now - asked_us + bounds.as_ref().map_or(0, |bounds| bounds.slowest_us));
    let (armed, bodies) = match requests((&run.facts, &run.peers), index, attack, &answers, start_us) {
        Ok(requests) => requests,
        Err(why) => return Ok(Err(why)),
    };
    for (id, injection, own_start_us) in armed {
        run.recorder.write(Event::Armed {
            attack: index,
            injection: id.clone(),
            host: injection.host.clone(),
            kind: injection.fault.kind().to_owned(),
            start_us: own_start_us,
            hold: injection.hold,
        })?;
        let tracked = Tracked::new(injection.host.clone(), index, own_start_us, injection.hold);
        run.injections.arm(id, tracked.with_ramp_of(&injection.fault, injection.hold));
        // The host counts as touched from the request on: the answer may be lost although the host was armed.
        run.peers.touch(&injection.host);
    }
    let armed = arm_hosts((&run.facts, &run.peers), bodies, bounds, start_us).await;
    if let Err(Unarmed { why, by_person }) = &armed {
        if *by_person {
            run.ending.by_person(why.clone());
        }
        disarm(run, index, why).await?;
    }
    Ok(armed.map(|()| start_us).map_err(|unarmed| unarmed.why))
}

/// Returns the time until the start, in microseconds. `took_us` is the time that the questions to all hosts took. Three times that is
/// allowed: arming repeats the look-ups of these questions and writes to a disk, the questions about other runs' faults are a second round
/// trip, and the renewal is a third.
fn lead_us(took_us: i64) -> i64 {
    (LEAD_US / 2 + 3 * took_us).clamp(LEAD_US, LEAD_MOST_US)
}

/// The injections to arm, each with the time of its own start on the run's clock, and the request to each host.
type Requests<'a> = (Vec<(InjectionId, &'a Injection, i64)>, BTreeMap<String, Arm>);

/// Makes the requests to arm from the hosts' answers to `prepare`. The error is the reason why the attack cannot be armed.
fn requests<'a>(
    (facts, peers): (&Facts, &Peers),
    index: usize,
    attack: &'a Attack,
    answers: &[Answer],
    start_us: i64,
) -> Result<Requests<'a>, String> {
    let ready = answers.iter().filter_map(|Answer { prepared, .. }| match &prepared.answer {
        Prepared::Ready { fingerprint, .. } => Some((&prepared.id, fingerprint)),
        _ => None,
    });
    let ready: BTreeMap<&InjectionId, &String> = ready.collect();
    let mut bodies = BTreeMap::new();
    let mut armed = Vec::new();
    for (place, injection) in attack.injections.iter().enumerate() {
        let id = facts.injection_id(index, place);
        let (Some(fingerprint), Some(boots)) = (ready.get(&id), peers.boots(&injection.host)) else {
            return Err(format!("{} did not answer for {id}", injection.host));
        };
        let own_start_us = start_us + signed(injection.at.as_micros());
        let Some(start_boot_us) = boots.boot_us(own_start_us) else {
            return Err(format!("the clock of {} is not known", injection.host));
        };
        let body = bodies.entry(injection.host.clone()).or_insert_with(|| Arm {
            plan_digest: facts.digest.clone(),
            boot_id: boots.newest().to_owned(),
            lease: facts.plan.lease,
            about: About {
                drill: facts.plan.name.clone(),
                operator: facts.operator.clone(),
                ticket: facts.plan.meta.get("ticket").cloned(),
            },
            injections: Vec::new(),
        });
        let (hold, fingerprint) = (injection.hold, (*fingerprint).clone());
        body.injections.push(ArmOne { id: id.clone(), start_boot_us, hold, fingerprint });
        armed.push((id, injection, own_start_us));
    }
    Ok((armed, bodies))
}

/// Sends the requests to arm. If all hosts have armed in time, sends the renewals of the lease, without which nothing starts.
async fn arm_hosts(
    (facts, peers): (&Facts, &Peers),
    bodies: BTreeMap<String, Arm>,
    bounds: Option<Bounds>,
    start_us: i64,
) -> Result<(), Unarmed> {
    let lease = facts.plan.lease;
    let calls = bodies.into_iter().filter_map(|(host, body)| {
        let agent = peers.agent(&host)?;
        Some(async move {
            let armed = agent.arm(&facts.id, &body).await.map_err(|error| Unarmed {
                by_person: error.problem().is_some_and(by_person),
                why: format!("{host} did not arm: {error}"),
            })?;
            if armed.injections.len() != body.injections.len() {
                let (count, wanted) = (armed.injections.len(), body.injections.len());
                return Err(Unarmed::because(format!("{host} armed {count} of {wanted}")));
            }
            Ok((host, agent))
        })
    });
    let armed: Vec<_> = join_all(calls).await.into_iter().collect::<Result<_, Unarmed>>()?;
    still_room(facts, bounds, start_us).await.map_err(Unarmed::because)?;
    let late = facts.now_us() - start_us;
    if late >= 0 {
        return Err(Unarmed::because(format!("the hosts took {} ms too long to arm", late / 1000)));
    }
    // If an acknowledgement was missing, this line is not reached: no lease is renewed, so nothing starts.
    let renewals = armed.into_iter().map(|(host, agent)| async move {
        match agent.renew(&facts.id, &Renew { lease }).await {
            Ok(_) => Ok(host),
            Err(error) => {
                Err(Unarmed::because(format!("{host} was armed and did not take the lease: {error}")))
            }
        }
    });
    for host in join_all(renewals).await.into_iter().collect::<Result<Vec<_>, Unarmed>>()? {
        peers.renew(&host);
    }
    Ok(())
}

/// Disarms all hosts after some could not be armed. Undoes each injection by its id, because a run that is undone
/// as a whole cannot inject anything more.
async fn disarm(run: &mut Run, index: usize, why: &str) -> Result<(), RunError> {
    run.recorder.note(format!("disarming: {why}"))?;
    let injections = run.injections.of_attack(index).into_iter();
    let asks = injections.map(|(id, host)| (host, UndoScope::Injection(id.clone()), vec![id])).collect();
    // A host that does not receive the request does not start, or heals when its lease runs out.
    let patience = run.facts.lease_us() + GRACE_US;
    if !put_back(run, asks, patience, |run| run.injections.settled(index)).await? {
        run.recorder.note(run.waiting_for())?;
    }
    run.peers.rest(&run.injections.busy());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_hosts_get_more_time_until_the_start_within_limits() {
        assert_eq!(lead_us(0), LEAD_US);
        assert_eq!(lead_us(1_000_000), LEAD_US / 2 + 3_000_000);
        assert_eq!(lead_us(60_000_000), LEAD_MOST_US);
    }
}
