//! Heals: asks agents to put everything back that is in force, and waits until they have.

use std::{collections::HashSet, time::Duration};

use firedrill_wire::{
    InjectionId,
    api::{Undo, UndoScope},
};

use super::super::{error::RunError, input::Input, parts::Run};

/// Time to wait for healing after the lease has run out, when agents heal by themselves, in microseconds.
const PATIENCE_US: i64 = 30_000_000;
/// Interval at which a host that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// A request to undo: the host, the scope, and the injections of the host in that scope.
pub(super) type Ask = (String, UndoScope, Vec<InjectionId>);

/// Heals all touched hosts at the same time, and waits for their answers. Nothing interrupts it. Afterwards the run can inject nothing
/// more on these hosts. `why` is the reason for the log.
pub(crate) async fn heal(run: &mut Run, why: &str) -> Result<(), RunError> {
    if !run.injections.can_be_undone() {
        return Ok(());
    }
    run.recorder.note(format!("healing every host: {why}"))?;
    run.injections.ask_undo_of_run();
    // Leases are no longer renewed: if the request does not arrive, the agent heals when the lease runs out.
    run.peers.rest(&HashSet::new());
    let mut by_host = run.injections.by_host();
    let asks = run.peers.touched().map(|(host, _)| {
        let injections = by_host.remove(host).unwrap_or_default();
        (host.clone(), UndoScope::Run(run.facts.id.clone()), injections)
    });
    let asks = asks.collect();
    let patience = run.facts.lease_us() + PATIENCE_US;
    if !put_back(run, asks, patience, |run| !run.injections.can_be_undone()).await? {
        run.recorder.note(run.waiting_for())?;
    }
    Ok(())
}

/// Requests undos, from each host again and again until it has answered, and processes input meanwhile. Returns whether `done` returned
/// true; `false` if the time was over first. The time is `patience_us`, or more while an agent is still undoing.
pub(super) async fn put_back(
    run: &mut Run,
    asks: Vec<Ask>,
    patience_us: i64,
    done: impl Fn(&Run) -> bool,
) -> Result<bool, RunError> {
    let (calls, _end_with_this) = run.tasks.until_dropped();
    for (host, scope, injections) in asks {
        run.injections.ask_undo(&injections, run.facts.now_us());
        let Some(agent) = run.peers.agent(&host).cloned() else { continue };
        let mail = calls.clone();
        let undo = Undo { scope, halt: false };
        calls.spawn(async move {
            let mut last_error = String::new();
            loop {
                let answer = agent.undo(&undo).await.map_err(|error| error.to_string());
                let over = answer.is_ok();
                // A repeated error is reported once.
                let is_new = !matches!(&answer, Err(why) if *why == last_error);
                if let Err(why) = &answer {
                    last_error.clone_from(why);
                }
                let healed = Input::Healed { host: host.clone(), injections: injections.clone(), answer };
                if (is_new && !mail.send(healed)) || over {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    let mut until = run.facts.now_us() + patience_us;
    loop {
        if run.pump_anyway(until, &done).await? {
            return Ok(true);
        }
        // An undo in progress is waited for as long as its agent may try.
        match run.undone_by_us() {
            Some(later) if later > until => until = later,
            _ => return Ok(false),
        }
    }
}
