//! The end of a run: stops probes, waits for the last measurements, and lets hosts prove that they are as before.

use std::time::Duration;

use firedrill_wire::Span;

use super::super::{clock::signed, error::RunError, input::Input, parts::Run};

/// Maximum time to wait for the proofs of hosts, which may come back from a reboot, in microseconds.
const PROOF_US: i64 = 60_000_000;
/// Interval at which a host that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// Maximum time to wait for the bins that are on their way when probes stop.
const DRAIN: Span = Span::secs(10);

/// Stops all probes and readers of logs, and waits until their measurements are in the log.
pub(crate) async fn stop_probes(run: &mut Run) -> Result<(), RunError> {
    tokio::join!(run.vantages.stop(&run.facts, &run.peers), run.host_logs.stop(&run.facts, &run.peers));
    let patience = signed(DRAIN.as_micros()) + signed(run.facts.plan.slowest().as_micros());
    run.pump_anyway(run.facts.now_us() + patience, |run| {
        run.vantages.all_in(&run.peers) && run.host_logs.all_in(&run.peers)
    })
    .await?;
    for event in run.host_logs.flush() {
        run.recorder.write(event)?;
    }
    for (name, early) in run.peers.drop_early() {
        let text =
            format!("{early} measurements of {name} have no place in time: its clock was not measured");
        run.recorder.note(text)?;
    }
    Ok(())
}

/// Asks every touched host to compare itself with its snapshot from before the run, and records the results. A host without an answer in
/// time is recorded as unproven.
pub(crate) async fn prove(run: &mut Run) -> Result<(), RunError> {
    let (calls, _end_with_this) = run.tasks.until_dropped();
    for (host, agent) in run.peers.touched() {
        run.proofs.ask(host);
        let (host, agent, id, mail) = (host.clone(), agent.clone(), run.facts.id.clone(), calls.clone());
        calls.spawn(async move {
            loop {
                let end = agent.finish(&id).await;
                let last_word = !end.as_ref().is_err_and(|error| error.passing() || error.is_busy());
                let end = end.map_err(|error| error.to_string());
                if !mail.send(Input::Proven { host: host.clone(), end, last_word }) || last_word {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    let until = run.facts.now_us() + PROOF_US;
    if !run.pump_anyway(until, |run| run.proofs.all_in()).await? {
        for (host, why) in run.proofs.give_up() {
            run.proven(host, Err(why))?;
        }
    }
    // Events that agents have journaled so far are on their way for another 0.3 seconds at most.
    let last_us = run.facts.now_us() + 300_000;
    run.pump_anyway(last_us, |_| false).await?;
    Ok(())
}
