//! Runs one attack: baseline, fault, recovery, settle. All hosts are armed or none; all start together.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use firedrill_wire::Span;

use super::{
    Run, RunError,
    baseline::Baseline,
    clock::signed,
    stop::Stop,
    tracked::{GRACE_US, Tracked, word_us},
};
use crate::{
    log::{Event, Moment, Outcome},
    plan::model::{Attack, Goal, Phase, Then},
    score,
    verdict::Verdict,
};

/// Interval of repeated undo requests at the end of a fault.
const LOOK_AGAIN_US: i64 = 500_000;

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

    /// Returns the latest end of the holds of an attack that is not over yet, on the run's clock.
    fn ends_us(&self, attack: usize) -> Option<i64> {
        self.tracked.values().filter(|one| one.attack == attack).filter_map(Tracked::ends_us).max()
    }

    /// Returns the time by which all undo actions should be done that agents have begun or that follow an injection in
    /// progress. Unreachable hosts are not waited for.
    pub(super) fn undone_by_us(&self) -> Option<i64> {
        let heard = |one: &&Tracked| self.peers.get(&one.host).is_some_and(|peer| peer.reachable);
        self.tracked.values().filter(heard).filter_map(Tracked::undone_by_us).max()
    }

    /// Stops renewing the leases of hosts without open injections.
    pub(super) fn rest(&mut self) {
        let open = self.tracked.values().filter(|one| one.state.is_open());
        let busy: HashSet<&str> = open.map(|one| one.host.as_str()).collect();
        for (name, peer) in &self.peers {
            let busy = busy.contains(name.as_str());
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
