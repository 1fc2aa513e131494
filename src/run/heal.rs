//! Healing, and the proof that hosts are as before.

use std::{collections::BTreeMap, time::Duration};

use firedrill_wire::{
    InjectionId,
    api::{EndState, HostState, Undo, UndoScope},
    journal::State,
};

use super::{Run, RunError, clock::signed, input::Input};
use crate::log::Event;

/// Patience beyond the lease, after which agents heal by themselves.
const PATIENCE_US: i64 = 30_000_000;
/// Patience for the proof, for hosts that answer at once or come back from a reboot.
const PROOF_US: i64 = 60_000_000;
const AGAIN: Duration = Duration::from_millis(500);

impl Run {
    /// Heals all touched hosts at once and waits for their answers. Nothing interrupts it. The run can inject nothing
    /// more on these hosts.
    pub(super) async fn heal(&mut self, why: &str) -> Result<(), RunError> {
        if !self.anything_open() {
            return Ok(());
        }
        self.recorder.write(Event::Note { text: format!("healing every host: {why}") })?;
        // Agents refuse all later requests of this run.
        self.undone = true;
        let mut by_host: BTreeMap<&str, Vec<InjectionId>> = BTreeMap::new();
        for (id, one) in &self.tracked {
            by_host.entry(&one.host).or_default().push(id.clone());
        }
        let mut asks = Vec::new();
        for (host, peer) in self.peers.iter().filter(|(_, peer)| peer.touched) {
            // If the call does not arrive, the lease runs out and the agent heals anyway.
            peer.active.send_replace(false);
            let of = by_host.remove(host.as_str()).unwrap_or_default();
            asks.push((host.clone(), UndoScope::Run(self.id.clone()), of));
        }
        let patience = signed(self.plan.lease.as_micros()) + PATIENCE_US;
        if !self.put_back(asks, patience, |run| !run.anything_open()).await? {
            let text = self.waiting_for();
            self.recorder.write(Event::Note { text })?;
        }
        Ok(())
    }

    /// Whether an open injection could still be undone.
    pub(super) fn anything_open(&self) -> bool {
        self.tracked.values().any(|one| one.state.is_open() && one.state != State::Stuck)
    }

    /// Requests undo again and again until each host has answered, and processes input until it is done or the time
    /// is over.
    pub(super) async fn put_back(
        &mut self,
        asks: Vec<(String, UndoScope, Vec<InjectionId>)>,
        patience_us: i64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, RunError> {
        let (calls, _end_with_this) = self.tasks.until_dropped();
        for (host, scope, of) in asks {
            let now = self.clock.now_us();
            for id in &of {
                self.asked.entry(id.clone()).or_insert(now);
            }
            let Some(peer) = self.peers.get(&host) else { continue };
            let (agent, mail) = (peer.agent.clone(), calls.clone());
            let undo = Undo { scope, halt: false };
            calls.spawn(async move {
                let mut said = String::new();
                loop {
                    let answer = agent.undo(&undo).await.map_err(|error| error.to_string());
                    let over = answer.is_ok();
                    // A repeated error is reported once.
                    let news = !matches!(&answer, Err(why) if *why == said);
                    if let Err(why) = &answer {
                        said.clone_from(why);
                    }
                    let healed = Input::Healed { host: host.clone(), of: of.clone(), answer };
                    if (news && !mail.send(healed)) || over {
                        return;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        let mut until = self.clock.now_us() + patience_us;
        loop {
            if self.pump_anyway(until, &done).await? {
                return Ok(true);
            }
            // An undo in progress is waited for as long as its agent may try.
            match self.undone_by_us() {
                Some(later) if later > until => until = later,
                _ => return Ok(false),
            }
        }
    }

    /// Returns the open injections in words, with the commands to undo them by hand.
    pub(super) fn waiting_for(&self) -> String {
        let open: Vec<String> = self
            .tracked
            .iter()
            .filter(|(_, one)| one.state.is_open())
            .map(|(id, one)| format!("{id} on {}", one.host))
            .collect();
        let unproven: Vec<&str> =
            self.proofs.iter().filter(|(_, end)| end.is_none()).map(|(host, _)| host.as_str()).collect();
        if !open.is_empty() {
            return format!(
                "still waiting for {}; by hand, on the host: `firedrill-agent undo --all`, or from anywhere: `firedrill undo --run {}`",
                open.join(", "),
                self.id
            );
        }
        if !unproven.is_empty() {
            return format!(
                "nothing is in force; {} still compare with their state before",
                unproven.join(", ")
            );
        }
        "nothing is in force; the last measurements are read".to_owned()
    }

    /// Asks every touched host to compare itself with its snapshot from before the run.
    pub(super) async fn prove(&mut self) -> Result<(), RunError> {
        let (calls, _end_with_this) = self.tasks.until_dropped();
        for (host, peer) in self.peers.iter().filter(|(_, peer)| peer.touched) {
            self.proofs.entry(host.clone()).or_insert(None);
            let (host, agent, run, mail) = (host.clone(), peer.agent.clone(), self.id.clone(), calls.clone());
            calls.spawn(async move {
                loop {
                    let end = agent.finish(&run).await;
                    let over = !end.as_ref().is_err_and(|error| error.passing() || error.is_busy());
                    let proven = Input::Proven {
                        host: host.clone(),
                        end: end.map_err(|error| error.to_string()),
                        last_word: over,
                    };
                    if !mail.send(proven) || over {
                        return;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        let until = self.clock.now_us() + PROOF_US;
        let all = self.pump_anyway(until, |run| run.proofs.values().all(Option::is_some)).await?;
        if !all {
            let silent: Vec<String> =
                self.proofs.iter().filter(|(_, end)| end.is_none()).map(|(host, _)| host.clone()).collect();
            for host in silent {
                let why = self.silence.remove(&host).unwrap_or_else(|| "it did not answer".to_owned());
                self.proven(host, Err(why))?;
            }
        }
        // Collects the events that agents have journaled so far.
        let last = self.clock.now_us() + 300_000;
        self.pump_anyway(last, |_| false).await?;
        Ok(())
    }

    /// Records the final state of a host.
    pub(super) fn proven(&mut self, host: String, end: Result<EndState, String>) -> Result<(), RunError> {
        let end = end.unwrap_or_else(|why| self.no_proof(&host, why));
        self.proofs.insert(host.clone(), Some(end.state));
        self.recorder.write(Event::HostEnded { host, end })
    }

    fn no_proof(&self, host: &str, why: String) -> EndState {
        let off = self.down.contains(host);
        let reachable = self.peers.get(host).is_some_and(|peer| peer.reachable);
        let state = if off && !reachable { HostState::Gone } else { HostState::Unproven };
        EndState { state, ours: vec![why], foreign: Vec::new(), compared: 0 }
    }
}
