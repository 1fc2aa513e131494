//! The matrix: all kinds that can be undone × all moments × all deaths.

use std::{collections::BTreeSet, time::Duration};

use firedrill_agent::snapshot::compare;
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
    irreversible,
};

/// Kinds of faults, each with parameters that make its effect show in a snapshot.
pub(crate) const KINDS: [(&str, &str); 9] = [
    ("service-stop", r#"{"service-stop":{"service":"victim"}}"#),
    ("process-pause", r#"{"process-pause":{"match":{"service":"victim"}}}"#),
    ("net-block", r#"{"net-block":{"to":["10.77.0.99","fd77::99"]}}"#),
    ("host-isolate", r#"{"host-isolate":{}}"#),
    ("net-slow", r#"{"net-slow":{"to":["10.77.0.99","fd77::99"],"delay":"200ms","jitter":"50ms"}}"#),
    // With the kernel's engine, because every kernel can limit a rate.
    (
        "net-throttle",
        r#"{"net-throttle":{"to":["10.77.0.99","fd77::99"],"rate":"10mbit","direction":"both","engine":"kernel"}}"#,
    ),
    ("net-down", r#"{"net-down":{"interface":"spare0"}}"#),
    // Down for longer than any case takes, so that a snapshot shows it. agent/tests/net_faults/flap.rs tests deaths in up phases.
    ("net-flap", r#"{"net-flap":{"interface":"spare0","down":"10m","up":"100ms"}}"#),
    ("net-dns", r#"{"net-dns":{"zones":".","how":"nxdomain","to":["10.77.0.99","fd77::99"]}}"#),
];

/// Returns the fault of a kind in [`KINDS`].
pub(crate) fn of_kind(kind: &str) -> Fault {
    let (_, json) = KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    fault(json)
}

/// Kinds without cells, each with the kind whose cells count for it, and the reason. [`every_kind_has_a_cell`] checks them.
const LIKE: [(&str, &str, &str); 7] = [
    ("net-lose", "net-slow", "the same engines carry it out, and the same undo puts it back"),
    ("net-duplicate", "net-slow", "as net-lose"),
    ("net-corrupt", "net-slow", "as net-lose"),
    ("net-reorder", "net-slow", "as net-lose"),
    ("net-partition", "net-block", "a host of a partition has a net-block"),
    ("host-poweroff", "host-reboot", "the same system call, without an undo"),
    ("region-kill", "host-isolate", "a host of a region is isolated or powered off"),
];
/// Kinds whose effect no snapshot shows, each with the reason why there is nothing to undo.
const WITHOUT: [(&str, &str); 1] = [("net-reset", "it ends with the process that does it")];

/// Time from arming to the start, so long that the death and the healing come before the start.
const AHEAD: Span = Span::secs(20);

/// Time from arming to the start in cases of staging. It is so long that the injection is armed before staging begins,
/// however busy the machine is.
const STAGED_AHEAD: Span = Span::secs(3);

/// The moment of the death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The intent is journaled, and the start has not come.
    AfterIntent,
    /// The fault is staged, and the start has not come.
    Staged,
    /// The start is journaled, and nothing was made yet.
    BeforeInject,
    /// The effect is made, and nothing of it is journaled yet.
    DuringInject,
    InForce,
    /// The undo is journaled as begun, and nothing was undone yet.
    DuringUndo,
    /// Everything was undone, and nothing of it is journaled yet.
    PutBack,
}

use Moment::{AfterIntent, BeforeInject, DuringInject, DuringUndo, InForce, PutBack, Staged};

impl Moment {
    /// Returns the place in the agent's code at which it is stopped; `None` if it is not stopped.
    const fn place(self) -> Option<&'static str> {
        match self {
            AfterIntent | InForce => None,
            Staged => Some("staged"),
            BeforeInject => Some("before-inject"),
            DuringInject => Some("injected"),
            DuringUndo => Some("before-undo"),
            PutBack => Some("put-back"),
        }
    }
}

/// The processes that die, or the link that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Of(&'static [Who], Signal),
    Coordinator,
    LinkCut,
}

const WORKER_KILLED: (&str, Death) = ("worker_killed", Death::Of(&[Who::Worker], Signal::KILL));
const GUARDIAN_KILLED: (&str, Death) = ("guardian_killed", Death::Of(&[Who::Guardian], Signal::KILL));
const BOTH_KILLED: (&str, Death) = ("both_killed", Death::Of(&[Who::Worker, Who::Guardian], Signal::KILL));
const ALL_KILLED: (&str, Death) = ("all_three_killed", Death::Of(Who::ALL, Signal::KILL));

/// The deaths of most moments, each with its name.
const DEATHS: [(&str, Death); 8] = [
    WORKER_KILLED,
    ("worker_stopped", Death::Of(&[Who::Worker], Signal::STOP)),
    GUARDIAN_KILLED,
    ("guardian_stopped", Death::Of(&[Who::Guardian], Signal::STOP)),
    BOTH_KILLED,
    ("both_stopped", Death::Of(&[Who::Worker, Who::Guardian], Signal::STOP)),
    ("coordinator_gone", Death::Coordinator),
    ("link_cut", Death::LinkCut),
];
/// The deaths while staged: only those after which the remaining processes act at once. Otherwise they would wait for
/// the start, which ends this moment.
const DEATHS_WHILE_STAGED: [(&str, Death); 4] = [WORKER_KILLED, GUARDIAN_KILLED, BOTH_KILLED, ALL_KILLED];
/// Kinds that make kernel objects before their start (staging).
const STAGING: [&str; 5] = ["net-block", "host-isolate", "net-slow", "net-throttle", "net-dns"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, json) in KINDS {
        assert_eq!(fault(json).kind(), kind, "the name of a cell is not the kind of its fault");
        let mut add = |moment: Moment, (name, death): (&str, Death)| {
            let case = move |world: &World, host: &Host<'_>| {
                world.runtime.block_on(dies(world, host, fault(json), moment, death));
            };
            let name = format!("matrix::{kind}::{moment:?}::{name}");
            cases.push(Case::new(name, case).with_points(moment.place().is_some()));
        };
        for moment in [AfterIntent, DuringInject, InForce, DuringUndo] {
            DEATHS.into_iter().for_each(|death| add(moment, death));
        }
        for moment in [AfterIntent, BeforeInject, DuringInject, InForce, DuringUndo, PutBack] {
            add(moment, ALL_KILLED);
        }
        if STAGING.contains(&kind) {
            DEATHS_WHILE_STAGED.into_iter().for_each(|death| add(Staged, death));
        }
        add(BeforeInject, WORKER_KILLED);
        add(PutBack, WORKER_KILLED);
    }
    every_kind_has_a_cell(&cases);
    cases
}

/// Checks that each kind has cells here, cells in `irreversible`, or an entry in [`LIKE`] or [`WITHOUT`]. Runs before any case, and also if
/// cases are only listed.
fn every_kind_has_a_cell(cases: &[Case]) {
    let irreversible = irreversible::cases();
    // The second part of a case's name is its kind.
    let cells: BTreeSet<&str> =
        cases.iter().chain(&irreversible).filter_map(|case| case.name.split("::").nth(1)).collect();
    for kind in Fault::KINDS {
        let like = LIKE.iter().find(|(listed, ..)| *listed == kind);
        let without = WITHOUT.iter().find(|(listed, _)| *listed == kind);
        match (cells.contains(kind), like, without) {
            (true, None, None) | (false, None, Some(_)) => {}
            (false, Some((_, other, _)), None) => {
                assert!(cells.contains(other), "{kind} counts on the cells of {other}, which has none");
            }
            (false, None, None) => panic!(
                "{kind} is in no cell of the crash matrix: add it to `KINDS`, here or in irreversible.rs, or say in `LIKE` whose cells \
                 count for it"
            ),
            _ => panic!(
                "{kind} is in the crash matrix in two ways: keep one of its cells, `LIKE` and `WITHOUT`"
            ),
        }
    }
    let unknown = LIKE.iter().map(|(kind, ..)| *kind).chain(WITHOUT.iter().map(|(kind, _)| *kind));
    let unknown: Vec<_> = unknown.filter(|kind| !Fault::KINDS.contains(kind)).collect();
    assert!(unknown.is_empty(), "`LIKE` or `WITHOUT` has kinds that do not exist: {unknown:?}");
}

/// Lets a death happen at a moment, and checks that the host is as before.
async fn dies(world: &World, host: &Host<'_>, fault: Fault, moment: Moment, death: Death) {
    let before = host.quiet().await;
    let processes = host.processes().await;
    let mut drill = Drill::prepare(world, host, &[fault]).await;
    if matches!(death, Death::Coordinator | Death::LinkCut) {
        drill = drill.with_lease(SHORT);
    }
    let id = drill.ids[0].clone();
    let wait_for_place = async |drill: &mut Drill, place: &str| {
        host.inside(&["stop-at", place]);
        if matches!(moment, DuringUndo | PutBack) {
            drill.in_force(&[0]).await;
            let (agent, scope) = (drill.agent.clone(), UndoScope::Injection(id.clone()));
            // The answer to this call is lost with the agent.
            tokio::spawn(async move { agent.undo(&Undo { scope, halt: false }).await });
        } else {
            let ahead = if moment == Staged { STAGED_AHEAD } else { Span::millis(50) };
            drill.begin(&[0], ahead).await;
        }
        host.inside(&["reached", ANY]);
    };
    match moment.place() {
        Some(place) => wait_for_place(&mut drill, place).await,
        None if moment == AfterIntent => drill.begin(&[0], AHEAD).await,
        None => drill.in_force(&[0]).await,
    }
    if matches!(moment, Staged | DuringInject | InForce | DuringUndo) {
        let difference = compare(&before.snapshot, &host.look().snapshot, &[]);
        let differences = [difference.ours, difference.foreign].concat();
        assert!(!differences.is_empty(), "nothing was broken, so nothing could be proven");
    }
    match death {
        Death::Of(whom, signal) => processes.signal(whom, signal),
        Death::Coordinator => drill.silence(),
        Death::LinkCut => host.lab().cut(host.name()).unwrap(),
    }
    if moment.place().is_some() {
        host.inside(&["go-on"]);
    }
    if death == Death::LinkCut {
        // The host heals while it cannot be reached.
        tokio::time::sleep(SHORT.into()).await;
        wait("the host to heal by itself", async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            states(&host.look(), &id).0.last().is_some_and(|state| !state.is_open())
        })
        .await;
        drill.silence();
        host.lab().plug(host.name()).unwrap();
    }
    let after = host.clean(&before, &drill.run).await;
    let (states, _) = states(&after, &id);
    if matches!(moment, AfterIntent | Staged) {
        assert_eq!(states, [State::Armed, State::Disarmed], "{}", host.story());
    } else {
        assert_eq!(states.last(), Some(&State::Undone), "{}", host.story());
    }
}
