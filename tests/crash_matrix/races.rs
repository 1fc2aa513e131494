//! Races: an undo before arming, a link cut before the start, an agent stopped during the start, a halt between
//! attacks, an administrator who acts during the hold, and deaths while other processes undo.

use std::time::{Duration, Instant};

use firedrill::link::LinkError;
use firedrill_wire::{
    Span,
    api::{HostState, Undo, UndoScope},
    journal::State,
};
use rustix::process::Signal;

use super::{
    Case,
    drill::{Drill, SHORT, fault},
    host::{Host, Processes, VICTIM, Who, World, states, wait},
    inside::ANY,
    matrix::{KINDS, of_kind},
};

/// For [`Case::with_points`]: the agent stops at a named place.
const STOPS: bool = true;

/// The start of the agent after the machine id has changed.
#[derive(Clone, Copy)]
enum Start {
    /// In the same boot.
    SameBoot,
    /// In the next boot.
    NextBoot,
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |name: &str, test: fn(&World, &Host<'_>)| Case::new(format!("races::{name}"), test);
    let mut cases = vec![
        case("undo_overtakes_a_delayed_arm", |w, h| w.runtime.block_on(undo_overtakes_arm(w, h))),
        case("link_cut_between_arm_and_start", |w, h| w.runtime.block_on(cut_before_start(w, h))),
        case("agent_paused_across_the_start", |w, h| w.runtime.block_on(paused_across_start(w, h))),
        case("halt_between_two_attacks", |w, h| w.runtime.block_on(halt_between(w, h))),
        case("administrator_stops_the_unit", |w, h| w.runtime.block_on(administrator(w, h))),
        case("another_machine_id_in_the_hold", |w, h| {
            w.runtime.block_on(another_machine_id(w, h, Start::SameBoot));
        }),
        case("another_machine_id_and_boot", |w, h| {
            w.runtime.block_on(another_machine_id(w, h, Start::NextBoot));
        }),
        case("whole_agent_stopped_and_continued", |w, h| w.runtime.block_on(frozen(w, h))),
    ];
    for (kind, json) in KINDS {
        let test = move |w: &World, h: &Host<'_>| w.runtime.block_on(killed_again_and_again(w, h, json));
        cases.push(
            Case::new(format!("races::killed_again_and_again_during_undo::{kind}"), test).with_points(STOPS),
        );
        let test = move |w: &World, h: &Host<'_>| w.runtime.block_on(one_after_the_other(w, h, json));
        cases.push(Case::new(format!("races::killed_one_after_the_other::{kind}"), test));
    }
    cases
}

/// Returns the code of a refusal.
fn refused(result: Result<impl std::fmt::Debug, LinkError>) -> String {
    match result {
        Err(LinkError::Refused { problem, .. }) => problem.code.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Kills all processes of the agent, and waits until new ones serve.
async fn restart(host: &Host<'_>) {
    host.processes().await.signal(Who::ALL, Signal::KILL);
    host.healed().await;
}

async fn undo_overtakes_arm(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let faults = [of_kind("service-stop"), of_kind("net-block")];
    let mut drill = Drill::prepare(world, host, &faults).await;
    assert!(drill.undo(0).await.injections.is_empty());
    assert_eq!(refused(drill.arm(&[0], Span::millis(100)).await), "tombstone");
    // Arming is all or nothing: an injection that was not undone is not armed together with one that was.
    assert_eq!(refused(drill.arm(&[1, 0], Span::millis(100)).await), "tombstone");
    restart(host).await;
    drill.prepare_again(&faults).await.unwrap();
    assert_eq!(refused(drill.arm(&[0], Span::millis(100)).await), "tombstone", "after a restart");
    drill.in_force(&[1]).await;
    // Now the whole run is undone.
    let whole = Undo { scope: UndoScope::Run(drill.run.clone()), halt: false };
    assert_eq!(drill.agent.undo(&whole).await.unwrap().stuck, [""; 0]);
    assert_eq!(refused(drill.prepare_again(&faults).await), "tombstone");
    restart(host).await;
    assert_eq!(refused(drill.prepare_again(&faults).await), "tombstone", "after a restart");
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(states(&after, &drill.ids[0]).0, []);
    assert_eq!(states(&after, &drill.ids[1]).0.last(), Some(&State::Undone));
}

async fn cut_before_start(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let mut drill = Drill::prepare(world, host, &[of_kind("service-stop")]).await.with_lease(SHORT);
    drill.arm(&[0], Span::millis(400)).await.unwrap();
    host.lab().cut(host.name()).unwrap();
    wait("the injection to be disarmed", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        states(&host.look(), &drill.ids[0]).0.last() == Some(&State::Disarmed)
    })
    .await;
    host.lab().plug(host.name()).unwrap();
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(states(&after, &drill.ids[0]).0, [State::Armed, State::Disarmed]);
}

async fn paused_across_start(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let processes = host.processes().await;
    let mut drill = Drill::prepare(world, host, &[of_kind("service-stop")]).await;
    let ahead = Span::secs(4);
    drill.begin(&[0], ahead).await;
    let begun = Instant::now();
    processes.signal(Who::ALL, Signal::STOP);
    // The wait passes the start and the time by which a start may be late (`start_tolerance` in host.rs, 6 s).
    wait("the start to be long over", async || begun.elapsed() > ahead.0 + Duration::from_secs(7)).await;
    processes.signal(Who::ALL, Signal::CONT);
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(states(&after, &drill.ids[0]).0, [State::Armed, State::Disarmed], "{}", host.story());
}

async fn halt_between(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let attacks = [of_kind("service-stop"), of_kind("net-block")];
    let mut drill = Drill::prepare(world, host, &attacks).await;
    drill.in_force(&[0]).await;
    let halt = Undo { scope: UndoScope::Injection(drill.ids[0].clone()), halt: true };
    let answer = drill.agent.undo(&halt).await.unwrap();
    assert_eq!(answer.injections.iter().map(|open| open.state).collect::<Vec<_>>(), [State::Undone]);
    assert_eq!(refused(drill.arm(&[1], Span::millis(50)).await), "halted");
    restart(host).await;
    assert_eq!(drill.agent.status().await.unwrap().halted_by.as_deref(), Some("alice"));
    assert_eq!(refused(drill.prepare_again(&attacks).await), "halted", "after a restart");
    drill.agent.release().await.unwrap();
    drill.prepare_again(&attacks).await.unwrap();
    drill.in_force(&[1]).await;
    drill.undo(1).await;
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(states(&after, &drill.ids[1]).0.last(), Some(&State::Undone));
}

async fn administrator(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let mut drill = Drill::prepare(world, host, &[of_kind("service-stop")]).await;
    drill.in_force(&[0]).await;
    // The administrator's stop changes the mark that the agent has set.
    host.inside(&["control", VICTIM, "d"]);
    let answer = drill.undo(0).await;
    assert_eq!(answer.stuck, [""; 0]);
    host.healed().await;
    assert_eq!(host.victim(), None, "the undo has started what the administrator stopped");
    let (states, foreign) = states(&host.look(), &drill.ids[0]);
    assert_eq!(states.last(), Some(&State::Undone));
    assert!(foreign.iter().any(|line| line.contains(VICTIM)), "{foreign:?}\n{}", host.story());
    let end = drill.agent.finish(&drill.run).await.unwrap();
    assert!(
        end.state == HostState::Dirty || !end.foreign.is_empty(),
        "the agent does not report the change: {end:?}"
    );
    // The administrator starts the service again.
    host.inside(&["control", VICTIM, "u"]);
    host.clean(&before, &drill.run).await;
}

/// In the same boot the next agent undoes all effects; in another boot, those that outlive a boot. This does not depend on the machine id, so
/// a clone of the machine does the same.
async fn another_machine_id(world: &World, host: &Host<'_>, start: Start) {
    let before = host.quiet().await;
    let faults = ["service-stop", "net-block", "net-down"].map(of_kind);
    let mut drill = Drill::prepare(world, host, &faults).await;
    drill.in_force(&[0, 1, 2]).await;
    host.inside(&["machine-id", "0123456789abcdef0123456789abcdef"]);
    match start {
        Start::SameBoot => restart(host).await,
        Start::NextBoot => host.power_cycle().await,
    }
    let after = host.clean(&before, &drill.run).await;
    for id in &drill.ids {
        assert_eq!(states(&after, id).0.last(), Some(&State::Undone), "{}", host.story());
    }
}

/// All processes of the agent are stopped, so none can act. Faults with a switch in the kernel end by themselves, the
/// others when the processes run again.
async fn frozen(world: &World, host: &Host<'_>) {
    let before = host.quiet().await;
    let processes = host.processes().await;
    let faults = ["process-pause", "net-block", "net-slow"].map(of_kind);
    let mut drill = Drill::prepare(world, host, &faults).await.with_lease(SHORT);
    drill.in_force(&[0, 1, 2]).await;
    processes.signal(Who::ALL, Signal::STOP);
    tokio::time::sleep(Duration::from(SHORT) * 2).await;
    processes.signal(Who::ALL, Signal::CONT);
    host.clean(&before, &drill.run).await;
}

/// The worker dies during the undo, then the helper that took its place, then the guardian, then the next agent during
/// its start.
async fn killed_again_and_again(world: &World, host: &Host<'_>, json: &str) {
    let before = host.quiet().await;
    let first = host.processes().await;
    let mut drill = Drill::prepare(world, host, &[fault(json)]).await;
    drill.in_force(&[0]).await;
    host.inside(&["stop-at", "before-undo before-recovery"]);
    let (agent, scope) = (drill.agent.clone(), UndoScope::Run(drill.run.clone()));
    tokio::spawn(async move { agent.undo(&Undo { scope, halt: false }).await });
    let mut last = host.inside(&["reached", ANY]);
    let mut next = async |processes: &Processes, who: Who| {
        processes.signal(&[who], Signal::KILL);
        last = host.inside(&["reached", last.trim()]);
    };
    next(&first, Who::Worker).await;
    next(&first, Who::Helper).await;
    next(&first, Who::Guardian).await;
    // The processes of the next agent exist before it has put anything back.
    let second = host.processes().await;
    next(&second, Who::Worker).await;
    next(&second, Who::Helper).await;
    next(&second, Who::Guardian).await;
    host.inside(&["go-on"]);
    let after = host.clean(&before, &drill.run).await;
    assert_eq!(states(&after, &drill.ids[0]).0.last(), Some(&State::Undone), "{}", host.story());
}

/// The processes die one after another, some milliseconds apart, while another one may already undo.
async fn one_after_the_other(world: &World, host: &Host<'_>, json: &str) {
    use Who::{Guardian, Helper, Worker};
    for (order, pause_ms) in [
        ([Guardian, Worker, Helper], 0),
        ([Guardian, Worker, Helper], 5),
        ([Worker, Helper, Guardian], 3),
        ([Helper, Guardian, Worker], 10),
    ] {
        let before = host.quiet().await;
        let processes = host.processes().await;
        let mut drill = Drill::prepare(world, host, &[fault(json)]).await;
        drill.in_force(&[0]).await;
        for who in order {
            processes.signal_if_there(who, Signal::KILL);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        let after = host.clean(&before, &drill.run).await;
        let (states, _) = states(&after, &drill.ids[0]);
        assert_eq!(states.last(), Some(&State::Undone), "{order:?} {pause_ms} ms\n{}", host.story());
    }
}
