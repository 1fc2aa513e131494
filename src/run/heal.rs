//! Putting everything back, and the proof that it was.

use std::time::Duration;

use firedrill_wire::{
    Fault,
    api::{EndState, HostState, Undo, UndoScope},
    journal::State,
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Run, RunError, clock::signed, input::Input};
use crate::log::Event;

/// Beyond the lease, at which agents heal by themselves.
const PATIENCE_US: i64 = 30_000_000;
const AGAIN: Duration = Duration::from_millis(500);

impl Run {
    /// Heals all hosts that were touched, at once, and waits for their word. Nothing stops it.
    pub(super) async fn heal(&mut self, why: &str) -> Result<(), RunError> {
        let open =
            |run: &Self| run.tracked.values().any(|one| one.state.is_open() && one.state != State::Stuck);
        if !open(self) {
            return Ok(());
        }
        self.book.write(Event::Note { text: format!("healing every host: {why}") })?;
        let calls = CancellationToken::new();
        for (host, peer) in &self.peers {
            if !peer.touched {
                continue;
            }
            // Silence heals too, should this call not get through.
            peer.active.send_replace(false);
            let (host, agent, mail) = (host.clone(), peer.agent.clone(), self.mail.clone());
            let undo = Undo { scope: UndoScope::Run(self.id.clone()), halt: false };
            let calling = async move {
                loop {
                    let answer = agent.undo(&undo).await.map_err(|error| error.to_string());
                    let done = answer.is_ok();
                    if mail.send(Input::Healed { host: host.clone(), answer }).is_err() || done {
                        return;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            };
            let calls = calls.clone();
            tokio::spawn(async move { calls.run_until_cancelled(calling).await });
        }
        let until = self.clock.now_us() + signed(self.plan.lease.as_micros()) + PATIENCE_US;
        let healed = self.pump_anyway(until, |run| !open(run)).await?;
        calls.cancel();
        if !healed {
            let text = self.waiting_for();
            self.book.write(Event::Note { text })?;
        }
        Ok(())
    }

    /// What is still open, and how to put it back by hand.
    pub(super) fn waiting_for(&self) -> String {
        let open: Vec<String> = self
            .tracked
            .iter()
            .filter(|(_, one)| one.state.is_open())
            .map(|(id, one)| format!("{id} on {}", one.host))
            .collect();
        if open.is_empty() {
            "nothing is in force".to_owned()
        } else {
            format!(
                "still waiting for {}; by hand, on the host: `firedrill-agent undo --all`, or from anywhere: `firedrill undo --run {}`",
                open.join(", "),
                self.id
            )
        }
    }

    /// Asks every host that was touched to compare itself with its snapshot from before.
    pub(super) async fn prove(&mut self) -> Result<(), RunError> {
        const TRIES: u32 = 20;
        let calls = self.peers.iter().filter(|(_, peer)| peer.touched).map(|(host, peer)| {
            let (host, agent, run) = (host.clone(), peer.agent.clone(), self.id.clone());
            async move {
                let mut last = String::new();
                for _ in 0..TRIES {
                    match agent.finish(&run).await {
                        Ok(end) => return (host, Ok(end)),
                        Err(error) => {
                            let final_word = !error.passing();
                            last = error.to_string();
                            if final_word {
                                break;
                            }
                        }
                    }
                    tokio::time::sleep(AGAIN).await;
                }
                (host, Err(last))
            }
        });
        for (host, end) in join_all(calls).await {
            let end = end.unwrap_or_else(|why| self.no_proof(&host, why));
            self.book.write(Event::HostEnded { host, end })?;
        }
        // What agents journaled until now belongs into the log.
        let last = self.clock.now_us() + 300_000;
        self.pump_anyway(last, |_| false).await?;
        Ok(())
    }

    fn no_proof(&self, host: &str, why: String) -> EndState {
        let off = self.plan.attacks.iter().flat_map(|attack| &attack.injections).any(|one| {
            one.host == host && matches!(one.fault, Fault::HostPoweroff(_) | Fault::HostReboot(_))
        });
        let reachable = self.peers.get(host).is_some_and(|peer| peer.reachable);
        let state = if off && !reachable { HostState::Gone } else { HostState::Unproven };
        EndState { state, ours: vec![why], foreign: Vec::new(), compared: 0 }
    }
}
