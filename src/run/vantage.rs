//! Starts and stops the probes, here and on agents.

use std::{sync::Arc, time::Duration};

use firedrill_wire::{RunId, Span, api::StartProbes, probe::ProbeSpec};
use futures_util::{StreamExt as _, future::join_all};

use super::{
    Run, RunError,
    clock::signed,
    input::Input,
    tracked::UNDO_MOST,
    watchers::{self, Follow},
};
use crate::{
    log::Event,
    plan::{
        Plan,
        model::{COORDINATOR, Probe},
        select::arrivals_key,
    },
};

/// Returns the probes of a vantage.
fn specs(plan: &Plan, run: &RunId, vantage: &str) -> Vec<ProbeSpec> {
    let spec = |probe: &Probe| ProbeSpec {
        name: probe.name.clone(),
        kind: probe.kind.clone(),
        rate: probe.rate,
        arrivals: probe.arrivals,
        key: arrivals_key(plan.seed, run.as_str(), &probe.name, vantage),
        timeout: probe.timeout,
        connection: probe.connection,
        names: probe.names.clone(),
    };
    plan.probes.iter().filter(|probe| probe.from.iter().any(|from| from == vantage)).map(spec).collect()
}

/// Time for arming an attack, and for the last answers of its baseline and its recovery, beside the probes'
/// time-outs.
const AROUND: Span = Span::secs(30);

/// Returns the time after which probes on agents stop by themselves: twice the maximum duration of the plan, with the
/// longest start and undo of each attack, within the agents' limit.
fn at_most(plan: &Plan) -> Span {
    let slowest = plan.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default();
    let around = AROUND + slowest + slowest + plan.lease + UNDO_MOST;
    let attacks: Span = plan
        .attacks
        .iter()
        .map(|attack| {
            let longest = attack
                .injections
                .iter()
                .map(|one| one.at + one.fault.ramp(one.hold) + one.hold)
                .max()
                .unwrap_or(attack.hold);
            let waiting = attack.approve.as_ref().map_or(Span::ZERO, |approve| approve.expires);
            attack.baseline
                + longest.max(attack.hold)
                + attack.recovery
                + attack.settle_within
                + waiting
                + around
        })
        .sum();
    (attacks + attacks + Span::secs(60)).min(StartProbes::LONGEST)
}

impl Run {
    /// Starts all probes. The inner error is a vantage that cannot measure; then no attack runs.
    pub(super) async fn start_probes(&mut self) -> Result<Result<(), String>, RunError> {
        let plan = Arc::clone(&self.plan);
        let longest = at_most(&plan);
        let vantages: Vec<String> =
            self.peers.keys().filter(|name| !specs(&plan, &self.id, name).is_empty()).cloned().collect();
        let calls = vantages.iter().filter_map(|name| {
            let (agent, run) = (self.peers.get(name)?.agent.clone(), self.id.clone());
            let (probes, environment) = (specs(&plan, &self.id, name), plan.environment.clone());
            let start = StartProbes { probes, at_most: longest, environment };
            Some(async move { (name.clone(), agent.start_probes(&run, &start).await, agent, start) })
        });
        let mut failed = Vec::new();
        for (name, answer, agent, start) in join_all(calls).await {
            match answer {
                Ok(()) => {
                    self.measuring.insert(name.clone());
                    let again = Some((start, self.probing.clone()));
                    let follow = Follow { run: self.id.clone(), after: 0, again };
                    watchers::bins(name, agent, follow, &self.tasks);
                }
                Err(error) => failed.push(format!("{name} cannot measure: {error}")),
            }
        }
        let own = specs(&plan, &self.id, COORDINATOR);
        if failed.is_empty() && own.is_empty() {
            return Ok(Ok(()));
        }
        if failed.is_empty() {
            match firedrill_probe::start(own, longest.0) {
                Ok(running) => {
                    let mut feed = Box::pin(running.spool.feed(0));
                    let mail = self.tasks.clone();
                    self.measuring.insert(COORDINATOR.to_owned());
                    self.tasks.spawn(async move {
                        while let Some(bin) = feed.next().await {
                            mail.send(Input::Bin { vantage: COORDINATOR.to_owned(), bin });
                        }
                        mail.send(Input::BinsEnded { vantage: COORDINATOR.to_owned() });
                    });
                    self.local = Some(running);
                    return Ok(Ok(()));
                }
                Err(error) => failed.push(format!("the coordinator cannot measure: {error}")),
            }
        }
        self.probing.cancel();
        self.halt_remote_probes().await;
        Ok(Err(failed.join("; ")))
    }

    async fn halt_remote_probes(&self) {
        let calls = self.measuring.iter().filter_map(|name| {
            let (agent, run) = (self.peers.get(name)?.agent.clone(), self.id.clone());
            // The probes of an unreachable agent stop by themselves.
            Some(async move { drop(agent.stop_probes(&run).await) })
        });
        join_all(calls).await;
    }

    /// Stops all probes and waits until their measurements are in the log.
    pub(super) async fn stop_probes(&mut self) -> Result<(), RunError> {
        const DRAIN: Duration = Duration::from_secs(10);
        self.probing.cancel();
        if let Some(local) = self.local.take() {
            local.stop();
        }
        self.halt_remote_probes().await;
        let slowest = self.plan.probes.iter().map(|probe| probe.timeout).max().unwrap_or_default();
        let until = self.clock.now_us() + signed(Span(DRAIN).as_micros()) + signed(slowest.as_micros());
        self.pump_anyway(until, |run| {
            run.measuring.iter().all(|name| run.peers.get(name).is_some_and(|peer| !peer.reachable))
        })
        .await?;
        for (name, peer) in &mut self.peers {
            let early = std::mem::take(&mut peer.early).len();
            if early > 0 {
                let text = format!(
                    "{early} measurements of {name} have no place in time: its clock was not measured"
                );
                self.recorder.write(Event::Note { text })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Drill;

    #[test]
    fn probes_outlast_slow_stops_and_slow_undos() {
        let mut plan = Drill::good().plan();
        let short = Span::secs(5);
        for attack in &mut plan.attacks {
            (attack.baseline, attack.hold, attack.recovery) = (short, short, short);
            attack.settle_within = Span::ZERO;
            attack.injections.iter_mut().for_each(|one| one.hold = short);
        }
        let slowest = plan.probes.iter().map(|probe| probe.timeout).max().expect("it has probes");
        // Baseline and its last answers, start, hold, undo, recovery and its last answers.
        let one = short + slowest + short + short + UNDO_MOST + short + slowest;
        let all: Span = plan.attacks.iter().map(|_| one).sum();
        assert!(at_most(&plan) > all, "{} is less than {all}", at_most(&plan));
    }
}
