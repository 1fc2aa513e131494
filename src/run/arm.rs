//! Arms the hosts of an attack: all of them or none, and gives them one start.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId,
    api::{About, Arm, ArmOne, Prepared, Renew, UndoScope},
};
use futures_util::future::join_all;

use super::{
    Answer, Run, RunError,
    bounds::Bounds,
    clock::signed,
    prepare::{Refusal, by_person},
    stop::Stop,
    tracked::{GRACE_US, Tracked},
};
use crate::{log::Event, plan::model::Attack};

/// Minimum time from the request to arm until the start: enough for two intercontinental round trips and an fsync.
const LEAD_US: i64 = 750_000;
/// Maximum of that time, however slow the hosts are.
const LEAD_MOST_US: i64 = 10_000_000;

/// Not every host could be armed, so none starts.
struct Unarmed {
    why: String,
    /// A person undid the run or halted a host.
    by_person: bool,
}

impl Unarmed {
    const fn because(why: String) -> Self {
        Self { why, by_person: false }
    }
}

impl Run {
    /// Arms all hosts or none. Returns the start; the inner error is the reason why nothing started.
    pub(super) async fn arm(
        &mut self,
        index: usize,
        attack: &Attack,
    ) -> Result<Result<i64, String>, RunError> {
        let bounds = match self.room_for(index).await? {
            Ok(bounds) => bounds,
            Err(why) => return Ok(Err(why)),
        };
        let asked_us = self.clock.now_us();
        let answers = match self.ask(index..index + 1, false).await? {
            Ok(answers) => answers,
            Err(Refusal { why, by_person, .. }) => {
                if by_person {
                    self.stop.get_or_insert(Stop::Person(why.clone()));
                }
                return Ok(Err(why));
            }
        };
        // Arming looks up the same things once more and writes to a disk. The renewal is another round trip, and so
        // is the look at other runs' faults.
        let took_us = self.clock.now_us() - asked_us + bounds.as_ref().map_or(0, |bounds| bounds.slowest_us);
        let start_us = self.clock.now_us() + (LEAD_US / 2 + 2 * took_us).clamp(LEAD_US, LEAD_MOST_US);
        let ready: BTreeMap<&InjectionId, &str> = answers
            .iter()
            .filter_map(|Answer { prepared, .. }| match &prepared.answer {
                Prepared::Ready { fingerprint, .. } => Some((&prepared.id, fingerprint.as_str())),
                _ => None,
            })
            .collect();
        let mut bodies = BTreeMap::new();
        let mut armed = Vec::new();
        for (place, injection) in attack.injections.iter().enumerate() {
            let id = self.injection_id(index, place);
            let (Some(fingerprint), Some(peer)) = (ready.get(&id), self.peers.get(&injection.host)) else {
                return Ok(Err(format!("{} did not answer for {id}", injection.host)));
            };
            let Some(zero) = peer.zeros.get(&peer.boot_id) else {
                return Ok(Err(format!("the clock of {} is not known", injection.host)));
            };
            let own_start_us = start_us + signed(injection.at.as_micros());
            let start_boot_us = u64::try_from(own_start_us + zero).unwrap_or(0);
            armed.push((id.clone(), injection, own_start_us));
            let about = About {
                drill: self.plan.name.clone(),
                operator: self.operator.clone(),
                ticket: self.plan.meta.get("ticket").cloned(),
            };
            let body = bodies.entry(injection.host.clone()).or_insert_with(|| Arm {
                plan_digest: self.digest.clone(),
                boot_id: peer.boot_id.clone(),
                lease: self.plan.lease,
                about,
                injections: Vec::new(),
            });
            let (hold, fingerprint) = (injection.hold, (*fingerprint).to_owned());
            body.injections.push(ArmOne { id, start_boot_us, hold, fingerprint });
        }
        for (id, injection, own_start_us) in armed {
            self.recorder.write(Event::Armed {
                attack: index,
                injection: id.clone(),
                host: injection.host.clone(),
                kind: injection.fault.kind().to_owned(),
                start_us: own_start_us,
                hold: injection.hold,
            })?;
            let host = injection.host.clone();
            let tracked = Tracked::new(host, index, own_start_us, injection.hold);
            self.tracked.insert(id, tracked.by(&injection.fault, injection.hold));
            if let Some(peer) = self.peers.get_mut(&injection.host) {
                // The host counts as touched from the request on: the answer may be lost although the host was armed.
                // A host without a renewed lease does not start, so no lease is renewed until all have answered.
                peer.touched = true;
                peer.active.send_replace(false);
            }
        }
        let armed = self.arm_hosts(bodies, bounds, start_us).await;
        if let Err(Unarmed { why, by_person }) = &armed {
            if *by_person {
                self.stop.get_or_insert(Stop::Person(why.clone()));
            }
            self.disarm(index, why).await?;
        }
        Ok(armed.map(|()| start_us).map_err(|unarmed| unarmed.why))
    }

    /// Sends the request to arm, then the renewal; without it nothing starts.
    async fn arm_hosts(
        &mut self,
        bodies: BTreeMap<String, Arm>,
        bounds: Option<Bounds>,
        start_us: i64,
    ) -> Result<(), Unarmed> {
        let calls = bodies.into_iter().filter_map(|(host, body)| {
            let (agent, run) = (self.peers.get(&host)?.agent.clone(), self.id.clone());
            let lease = self.plan.lease;
            Some(async move {
                let armed = agent.arm(&run, &body).await.map_err(|error| Unarmed {
                    by_person: error.problem().is_some_and(by_person),
                    why: format!("{host} did not arm: {error}"),
                })?;
                if armed.injections.len() != body.injections.len() {
                    let (some, all) = (armed.injections.len(), body.injections.len());
                    return Err(Unarmed::because(format!("{host} armed {some} of {all}")));
                }
                Ok((host, agent, run, lease))
            })
        });
        let armed: Vec<_> = join_all(calls).await.into_iter().collect::<Result<_, Unarmed>>()?;
        self.still_room(bounds, start_us).await.map_err(Unarmed::because)?;
        let late = self.clock.now_us() - start_us;
        if late >= 0 {
            return Err(Unarmed::because(format!("the hosts took {} ms too long to arm", late / 1000)));
        }
        // If one acknowledgement is missing, no lease is renewed, so nothing starts.
        let renewals = armed.into_iter().map(|(host, agent, run, lease)| async move {
            let renewed = agent.renew(&run, &Renew { lease }).await;
            renewed.map(|_| host.clone()).map_err(|error| {
                Unarmed::because(format!("{host} was armed and did not take the lease: {error}"))
            })
        });
        for host in join_all(renewals).await.into_iter().collect::<Result<Vec<_>, Unarmed>>()? {
            if let Some(peer) = self.peers.get(&host) {
                peer.active.send_replace(true);
            }
        }
        Ok(())
    }

    /// Disarms all hosts after some could not be armed. Undoes injection by injection, because a run that is undone
    /// as a whole cannot inject anything more.
    async fn disarm(&mut self, index: usize, why: &str) -> Result<(), RunError> {
        self.recorder.write(Event::Note { text: format!("disarming: {why}") })?;
        let asks = self.tracked.iter().filter(|(_, one)| one.attack == index);
        let asks = asks
            .map(|(id, one)| (one.host.clone(), UndoScope::Injection(id.clone()), vec![id.clone()]))
            .collect();
        // A host that does not receive this does not start, or heals, because its lease is not renewed.
        let patience = signed(self.plan.lease.as_micros()) + GRACE_US;
        if !self.put_back(asks, patience, |run| run.settled(index)).await? {
            let text = self.waiting_for();
            self.recorder.write(Event::Note { text })?;
        }
        self.rest();
        Ok(())
    }
}
