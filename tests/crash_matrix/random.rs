//! Random trials. The number of a trial determines its faults, its moment and its death. `FIREDRILL_TRIALS` is the number of trials and
//! `FIREDRILL_SEED` the number of the first one. Without `FIREDRILL_TRIALS` there are none.

use std::{env, time::Duration};

use fastrand::Rng;
use firedrill_wire::{
    Fault, Span,
    api::{Undo, UndoScope},
    journal::State,
};
use rustix::process::Signal;

use super::{
    Case,
    drill::{Drill, SHORT, fault},
    host::{Host, Who, World, states, wait},
    inside::ANY,
    matrix::KINDS,
};

/// The death: the processes that are killed or stopped, or the connection or power that is cut.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// The first processes of the list, as many as the number says, one after another. Each has its signal, and the pause before it in
    /// milliseconds.
    Of([(Who, Signal, u64); 3], usize),
    Coordinator,
    LinkCut,
    /// The host loses its power.
    Power,
}

/// The plan of a trial.
#[derive(Debug)]
struct Plan {
    faults: Vec<&'static str>,
    /// Milliseconds from arming to the start.
    ahead: u64,
    /// Milliseconds from arming to the death.
    after: u64,
    /// The place at which the agent is stopped first; `None` if it is not.
    place: Option<&'static str>,
    death: Death,
}

/// The places before an undo, then the places in an undo.
const PLACES: [&str; 5] = ["staged", "before-inject", "injected", "before-undo", "put-back"];

/// Reads a number from the environment; `None` if it is not set.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Returns the trials that the environment asks for; `None` if it asks for none.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let count = number("FIREDRILL_TRIALS")?;
    let first = number("FIREDRILL_SEED").unwrap_or(1);
    let case = |seed| {
        let run = move |world: &World, host: &Host<'_>| world.runtime.block_on(trial(world, host, seed));
        Case::new(format!("random::{seed}"), run)
    };
    Some((first..first + count).map(case).collect())
}

impl Plan {
    /// Returns the plan of the trial with that number.
    fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let first = rng.usize(..KINDS.len());
        let mut faults = vec![KINDS[first].1];
        // A fault on the service is combined only with a fault on packets or interfaces. The first two kinds are on the service.
        let second = rng.usize(..KINDS.len());
        let is_on_service = |kind: usize| kind < 2;
        if is_on_service(first) != is_on_service(second) {
            faults.push(KINDS[second].1);
        }
        let mut whom = [Who::Guardian, Who::Worker, Who::Helper];
        rng.shuffle(&mut whom);
        let hit = |who, rng: &mut Rng| {
            let signal = if rng.u8(..100) < 70 { Signal::KILL } else { Signal::STOP };
            (who, signal, [0, rng.u64(..20), rng.u64(..200)][rng.usize(..3)])
        };
        let hits = whom.map(|who| hit(who, &mut rng));
        let count = rng.usize(1..=3);
        // A service manager restarts an agent whose main process has ended, but not one whose main process is stopped.
        let sleeps = count == 3
            && hits.iter().any(|(who, signal, _)| *who == Who::Guardian && *signal == Signal::STOP);
        let death = match rng.u8(..100) {
            0..15 => Death::Coordinator,
            15..30 => Death::LinkCut,
            30..40 => Death::Power,
            _ if sleeps => Death::Power,
            _ => Death::Of(hits, count),
        };
        let places = cfg!(debug_assertions) && rng.u8(..100) < 40;
        Self {
            faults,
            ahead: rng.u64(50..900),
            after: rng.u64(..1400),
            place: places.then(|| PLACES[rng.usize(..PLACES.len())]),
            death,
        }
    }
}

/// Makes the trial with that number, and checks that the host is as before.
async fn trial(world: &World, host: &Host<'_>, seed: u64) {
    let plan = Plan::of(seed);
    println!("trial {seed}: {plan:?}");
    let before = host.quiet().await;
    let processes = host.processes().await;
    let faults: Vec<Fault> = plan.faults.iter().map(|json| fault(json)).collect();
    let which: Vec<usize> = (0..faults.len()).collect();
    let mut drill = Drill::prepare(world, host, &faults).await.with_lease(SHORT);
    if let Some(place) = plan.place {
        host.inside(&["stop-at", place]);
    }
    drill.begin(&which, Span::millis(plan.ahead)).await;
    match plan.place {
        Some("before-undo" | "put-back") => {
            let (agent, scope) = (drill.agent.clone(), UndoScope::Run(drill.run.clone()));
            for at in &which {
                drill.wait(*at, State::InForce).await;
            }
            // The answer to this call is lost with the agent.
            tokio::spawn(async move { agent.undo(&Undo { scope, halt: false }).await });
            host.inside(&["reached", ANY]);
        }
        // A fault that stages nothing never comes to the place `staged`, so the wait has an end.
        Some(_) => {
            host.inside(&["reached-or", &(plan.ahead + 1500).to_string()]);
        }
        None => tokio::time::sleep(Duration::from_millis(plan.after)).await,
    }
    match plan.death {
        Death::Of(hits, count) => {
            for (who, signal, pause) in &hits[..count] {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
                processes.signal_if_there(*who, *signal);
            }
            drill.silence();
        }
        Death::Coordinator => drill.silence(),
        Death::LinkCut => host.lab().cut(host.name()).unwrap(),
        Death::Power => drill.silence(),
    }
    if plan.place.is_some() {
        host.inside(&["go-on"]);
    }
    match plan.death {
        Death::Power => host.power_cycle().await,
        Death::LinkCut => {
            // The host heals while it cannot be reached.
            wait("the host to heal by itself", async || {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let look = host.look();
                drill.ids.iter().all(|id| states(&look, id).0.last().is_some_and(|state| !state.is_open()))
            })
            .await;
            drill.silence();
            host.lab().plug(host.name()).unwrap();
        }
        _ => {}
    }
    let after = host.clean(&before, &drill.run).await;
    for id in &drill.ids {
        let last = states(&after, id).0.last().copied();
        assert!(matches!(last, Some(State::Undone | State::Disarmed)), "{last:?}\n{}", host.story());
    }
}
