//! Runs one attack: baseline, fault, recovery, settle. All hosts are armed or none; all start together.

use std::{collections::BTreeMap, sync::Arc};

use firedrill_wire::{
    InjectionId, Span,
    api::{About, Arm, ArmOne, Prepared, Renew, UndoScope},
};
use futures_util::future::join_all;

use super::{
    Answer, Run, RunError,
    baseline::Baseline,
    bounds::Bounds,
    clock::signed,
    input::Stop,
    prepare::{Refusal, by_person},
    tracked::{GRACE_US, Tracked, word_us},
};
use crate::{
    log::{Event, Moment, Outcome},
    plan::model::{Attack, Goal, Phase, Then},
    score,
    verdict::Verdict,
};

/// Minimum time from the request to arm until the start: enough for two intercontinental round trips and an fsync.
const LEAD_US: i64 = 750_000;
/// Maximum of that time, however slow the hosts are.
const LEAD_MOST_US: i64 = 10_000_000;
/// Interval of repeated undo requests at the end of a fault.
const LOOK_AGAIN_US: i64 = 500_000;

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
    /// Runs one attack. The inner error is the reason why the run must stop.
    pub(super) async fn attack(
        &mut self,
        index: usize,
        attack: &Attack,
    ) -> Result<Result<(), Stop>, RunError> {
        if let Some(why) = self.unmet(attack) {
            self.ended(index, Outcome::NotRun(why), None)?;
            return Ok(Ok(()));
        }
        if let Some(approve) = &attack.approve
            && let Err(why) = self.approved(index, attack, approve).await?
        {
            self.ended(index, Outcome::NotRun(why), None)?;
            return Ok(self.stop.clone().map_or(Ok(()), Err));
        }
        if self.anything_open() {
            let why = format!("the end of an earlier fault is not confirmed: {}", self.waiting_for());
            self.ended(index, Outcome::NotRun(why.clone()), None)?;
            return Ok(Err(Stop::Failed(why)));
        }
        if let Err(stop) = self.baseline(index, attack).await? {
            self.ended(index, Outcome::NotRun(stop.reason()), None)?;
            return Ok(Err(stop));
        }
        let start_us = match self.arm(index, attack).await? {
            Ok(start_us) => start_us,
            Err(why) => {
                self.ended(index, Outcome::NotRun(why.clone()), None)?;
                if let Some(stop) = self.stop.clone() {
                    return Ok(Err(stop));
                }
                // A host that may still be armed must not be part of the next attack.
                if self.anything_open() {
                    return Ok(Err(Stop::Failed(why)));
                }
                return Ok(self.after(attack, Verdict::Unknown, &why));
            }
        };
        self.guard.arm();
        let went = self.fault_and_recovery(index, attack, start_us).await?;
        self.guard.disarm();
        if let Err(stop) = went {
            self.heal(&stop.reason()).await?;
            self.ended(index, Outcome::Aborted(stop.reason()), None)?;
            return Ok(Err(stop));
        }
        let verdict = self.recorder.verdict(index)?;
        self.ended(index, Outcome::Ran, Some(verdict))?;
        if let Err(stop) = self.after(attack, verdict, &format!("\"{}\" was {verdict}", attack.name)) {
            return Ok(Err(stop));
        }
        self.settle(index, attack).await
    }

    fn ended(&mut self, attack: usize, outcome: Outcome, verdict: Option<Verdict>) -> Result<(), RunError> {
        self.recorder.write(Event::AttackEnded { attack, outcome, verdict })
    }

    /// Returns the reason why a needed attack does not count: it did not run, or it was violated.
    fn unmet(&self, attack: &Attack) -> Option<String> {
        attack.needs.iter().find_map(|needed| {
            let groups = self
                .plan
                .attacks
                .iter()
                .enumerate()
                .filter(|(_, one)| &one.name == needed || &one.base == needed);
            groups.map(|(index, _)| self.recorder.ended_as(index)).find_map(|ended| match ended {
                Some((Outcome::Ran, Some(Verdict::Held | Verdict::Unknown))) => None,
                Some((Outcome::Ran, _)) => Some(format!("it needs \"{needed}\", which was violated")),
                _ => Some(format!("it needs \"{needed}\", which did not run")),
            })
        })
    }

    /// Applies the scenario's rules for going on after a verdict.
    fn after(&self, attack: &Attack, verdict: Verdict, why: &str) -> Result<(), Stop> {
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

    fn phase(&mut self, attack: usize, phase: Phase, length: Span) -> Result<i64, RunError> {
        let until_us = self.clock.now_us() + signed(length.as_micros());
        self.recorder.write(Event::Phase { attack, phase, until_us })?;
        Ok(until_us)
    }

    /// Returns the reason why the attack's judged probes were not healthy during the last `over`.
    fn unhealthy(&self, attack: &Attack, over: Span) -> Option<String> {
        let judged = self.plan.objectives.iter().filter(|objective| attack.judge.contains(&objective.name));
        judged.into_iter().find_map(|objective| {
            let wanted = match objective.goal {
                Goal::Good(share) => share.fraction(),
                _ => score::good_enough(&self.plan, attack, &objective.probe),
            };
            match self.guard.window.good_share(&objective.probe, over, self.clock.now_us()) {
                None => Some(format!("nothing was measured of {}", objective.probe)),
                Some((share, _)) if share < wanted => Some(format!(
                    "only {:.1}% of {} good over {over}, {:.1}% wanted",
                    share * 100.0,
                    objective.probe,
                    wanted * 100.0
                )),
                Some(_) => None,
            }
        })
    }

    /// Waits until the end of the baseline, which must hold.
    async fn baseline(&mut self, index: usize, attack: &Attack) -> Result<Result<(), Stop>, RunError> {
        self.guard.window.ignore(attack.injections.iter().map(|one| one.host.clone()).collect());
        let from = self.clock.now_us();
        let until = self.phase(index, Phase::Baseline, attack.baseline)?;
        self.exchange(index, attack, Moment::Before, self.clock.now_us());
        if let Err(stop) = self.pump(until, |_| false).await? {
            return Ok(Err(stop));
        }
        if attack.baseline.is_zero() {
            return Ok(Ok(()));
        }
        // The last bins of the baseline arrive a time-out after their end.
        let slowest = self.plan.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default();
        let patience = self.clock.now_us() + signed(slowest.as_micros()) + GRACE_US;
        let plan = Arc::clone(&self.plan);
        let seen = |run: &Self| Baseline::of(&plan, attack, (from, until), run.recorder.bins(from)).judge();
        let judged = self.pump(patience, |run| seen(run).is_final()).await?;
        if let Err(stop) = judged {
            return Ok(Err(stop));
        }
        let against = seen(self).against;
        if against.is_empty() {
            return Ok(Ok(()));
        }
        let why = format!("the baseline of \"{}\" did not hold: {}", attack.name, against.join("; "));
        // If an earlier attack was armed, hosts were touched, so this is not a refusal of the run.
        Ok(Err(if self.tracked.is_empty() { Stop::Refused(why) } else { Stop::Failed(why) }))
    }

    /// Arms all hosts or none. Returns the start; the inner error is the reason why nothing started.
    async fn arm(&mut self, index: usize, attack: &Attack) -> Result<Result<i64, String>, RunError> {
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

    /// Returns the latest end of the holds of an attack that is not over yet, on the run's clock.
    fn ends_us(&self, attack: usize) -> Option<i64> {
        self.tracked.values().filter(|one| one.attack == attack).filter_map(Tracked::ends_us).max()
    }

    /// Returns the time at which all undo actions that agents have begun should be done, or that follow an injection
    /// in progress. Unreachable hosts are not waited for.
    pub(super) fn undone_by_us(&self) -> Option<i64> {
        let heard = |one: &&Tracked| self.peers.get(&one.host).is_some_and(|peer| peer.reachable);
        self.tracked.values().filter(heard).filter_map(Tracked::undone_by_us).max()
    }

    /// Stops renewing the leases of hosts without open injections.
    pub(super) fn rest(&mut self) {
        for (name, peer) in &self.peers {
            let busy = self.tracked.values().any(|one| &one.host == name && one.state.is_open());
            peer.active.send_if_modified(|on| std::mem::replace(on, *on && busy) != (*on));
        }
    }

    async fn fault_and_recovery(
        &mut self,
        index: usize,
        attack: &Attack,
        start_us: i64,
    ) -> Result<Result<(), Stop>, RunError> {
        let boots: BTreeMap<String, String> =
            self.peers.iter().map(|(name, peer)| (name.clone(), peer.boot_id.clone())).collect();
        if let Err(stop) = self.pump(start_us, |_| false).await? {
            return Ok(Err(stop));
        }
        let longest = attack.injections.iter().map(|one| one.at + one.hold).max().unwrap_or(attack.hold);
        let until = start_us + signed(longest.as_micros());
        self.recorder.write(Event::Phase { attack: index, phase: Phase::Fault, until_us: until })?;
        self.exchange(index, attack, Moment::During, start_us);
        // A host that goes down cannot report it: its fault is over when it is back with another boot id.
        let down: Vec<&str> = attack
            .injections
            .iter()
            .filter(|one| one.fault.takes_host_down())
            .map(|one| one.host.as_str())
            .collect();
        let back = |run: &Self| {
            down.iter().all(|host| {
                run.peers
                    .get(*host)
                    .is_some_and(|peer| peer.reachable && boots.get(*host) != Some(&peer.boot_id))
            })
        };
        let extra = word_us(attack.injections.iter().map(|one| &one.fault), self.plan.lease);
        // A slow injection moves the end, and so does a slow undo; both are known only afterwards.
        let over = loop {
            let latest = self.ends_us(index).map_or(until, |ends| until.max(ends)) + extra;
            let latest = self.undone_by_us().map_or(latest, |undone| latest.max(undone));
            if self.clock.now_us() >= latest {
                break false;
            }
            let once = latest.min(self.clock.now_us() + LOOK_AGAIN_US);
            match self.pump(once, |run| run.settled(index) && back(run)).await? {
                Err(stop) => return Ok(Err(stop)),
                Ok(true) => break true,
                Ok(false) => {}
            }
        };
        if !over {
            let open = self.waiting_for();
            self.recorder.write(Event::Note { text: format!("the fault's time is over; {open}") })?;
        }
        self.rest();
        let until = self.phase(index, Phase::Recovery, attack.recovery)?;
        self.exchange(index, attack, Moment::After, self.clock.now_us());
        if let Err(stop) = self.pump(until, |_| false).await? {
            return Ok(Err(stop));
        }
        // The last bins of the recovery arrive a time-out after their end, and judging needs them.
        let slowest = self.plan.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default();
        let tail = self.clock.now_us() + signed(slowest.as_micros()) + 1_500_000;
        Ok(self.pump(tail, |_| false).await?.map(|_| ()))
    }

    /// Waits until the system has been healthy for `settle`, before the next attack.
    async fn settle(&mut self, index: usize, attack: &Attack) -> Result<Result<(), Stop>, RunError> {
        if attack.settle.is_zero() || index + 1 == self.plan.attacks.len() {
            return Ok(Ok(()));
        }
        let from = self.clock.now_us();
        let until = self.phase(index, Phase::Settle, attack.settle_within)?;
        let earliest = from + signed(attack.settle.as_micros());
        let settled = self
            .pump(until, |run| {
                run.clock.now_us() >= earliest
                    && run.tracked.values().all(|one| !one.state.is_open())
                    && run.unhealthy(attack, attack.settle).is_none()
            })
            .await?;
        Ok(match settled {
            Err(stop) => Err(stop),
            Ok(true) => Ok(()),
            Ok(false) => {
                let why = self.unhealthy(attack, attack.settle).unwrap_or_else(|| self.waiting_for());
                Err(Stop::Failed(format!(
                    "not healthy within {} after \"{}\": {why}",
                    attack.settle_within, attack.name
                )))
            }
        })
    }
}
