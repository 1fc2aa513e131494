//! The calls with a single answer. Each checks the caller's right, takes a turn in its lane (a bounded number of calls that are worked on
//! at a time), reads the body, and asks [`Control`].
//!
//! [`Control`]: crate::control::Control

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, body::Body, extract::State};
use firedrill_approval::Opened;
use firedrill_wire::api::{
    AgentStatus, Arm, Armed, Clock, Doctor, EndState, Prepare, PrepareAnswer, Prepared, Problem, Renew,
    Renewed, StartProbes, Undo, UndoAnswer,
};
use firedrill_wire::exchange::{Exchange, Exchanged};
use firedrill_wire::logs::StartLogs;
use firedrill_wire::writes::ReadBacks;
use serde_json::{Map, Value};

use super::{
    app::{App, Run},
    approvals::opened,
    audited::ForAudit,
    body::{LARGE, SMALL, bytes, json},
    identity::{Harm, Heal, Look},
    problem::Refusal,
};
use crate::audit::undone;

type Answer<T> = Result<Json<T>, Refusal>;
/// An answer with details for the record of requests.
type Recorded<T> = Result<(ForAudit, Json<T>), Refusal>;
type Shared = State<Arc<App>>;

/// The answer `{}`; an object, so that fields can be added.
type Empty = Json<Map<String, Value>>;

pub(super) async fn status(State(app): Shared, _: Look) -> Answer<AgentStatus> {
    let turn = app.lanes.look("status").await?;
    turn.run("status", move || app.control.status()).await.map(Json)
}

/// Runs on the server's own thread: reading clocks does not block, and a switch of threads would spoil the measurement.
pub(super) async fn clock(State(app): Shared, _: Look) -> Json<Clock> {
    Json(app.control.clock())
}

pub(super) async fn doctor(State(app): Shared, _: Look) -> Answer<Doctor> {
    let turn = app.lanes.look("doctor").await?;
    turn.run("doctor", move || app.control.doctor()).await.map(Json)
}

pub(super) async fn prepare(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Recorded<PrepareAnswer> {
    let turn = app.lanes.harm("prepare").await?;
    let ask: Prepare = json(body, Prepare::MOST_BYTES).await?;
    let mut asked = kinds(ask.injections.iter().map(|one| one.fault.kind()));
    let (approvers, answer) = turn
        .run("prepare", move || {
            let approvals = opened(&app, &run, &ask.approvals);
            let name = |one: &Opened| format!("{} by {}", one.by.name, one.means);
            let names: Vec<String> = approvals.iter().flatten().map(name).collect();
            app.control.prepare_with(&caller, &run, &ask, &approvals).map(|answer| (names, answer))
        })
        .await??;
    if !approvers.is_empty() {
        asked = format!("{asked}; approvals by {}", approvers.join(", "));
    }
    let refused: Vec<&Problem> = (answer.injections.iter())
        .filter_map(|one| match &one.answer {
            Prepared::Refused(problem) => Some(problem),
            Prepared::Ready { .. } => None,
        })
        .collect();
    let for_audit = match refused.first() {
        None => ForAudit::done(asked),
        Some(first) => ForAudit {
            detail: format!("{asked}; {} of them refused: {}", refused.len(), first.title),
            refused: Some(first.code.clone()),
        },
    };
    Ok((for_audit, Json(answer)))
}

pub(super) async fn arm(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Recorded<Armed> {
    let turn = app.lanes.harm("arm").await?;
    let arm: Arm = json(body, LARGE).await?;
    let ids: Vec<&str> = arm.injections.iter().map(|one| one.id.as_str()).collect();
    let hold = arm.injections.iter().map(|one| one.hold).max().unwrap_or_default();
    let for_audit = ForAudit::done(format!(
        "drill \"{}\": {}, held for {hold} at most, lease {}",
        arm.about.drill,
        ids.join(", "),
        arm.lease
    ));
    let work = move || app.harm(&caller, || app.control.arm(&caller, &run, &arm));
    Ok((for_audit, Json(turn.run("arm", work).await??)))
}

/// Needs the right to harm, because a renewal keeps a fault in force.
pub(super) async fn renew(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Answer<Renewed> {
    let renew: Renew = json(body, SMALL).await?;
    let work = {
        let app = Arc::clone(&app);
        move || app.harm(&caller, || app.control.renew(&caller, &run, &renew))
    };
    Ok(Json(app.lanes.renew(work).await??))
}

pub(super) async fn start_probes(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Result<(ForAudit, Empty), Refusal> {
    let turn = app.lanes.harm("probes").await?;
    let start: StartProbes = json(body, LARGE).await?;
    let names: Vec<&str> = start.probes.iter().map(|probe| probe.name.as_str()).collect();
    let for_audit = ForAudit::done(format!("{} for {} at most", names.join(", "), start.at_most));
    let work = move || app.harm(&caller, || app.control.start_probes(&caller, &run, &start));
    turn.run("probes", work).await??;
    Ok((for_audit, Empty::default()))
}

/// Needs the right to harm, because it asks stores with the secrets of this host. It has the lane of exchanges, because it may wait long.
pub(super) async fn read_back(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Answer<ReadBacks> {
    bytes(body, SMALL).await?;
    let turn = app.lanes.exchange("read-back").await?;
    Ok(Json(turn.run("read-back", move || app.control.read_back(&caller, &run)).await??))
}

pub(super) async fn stop_probes(State(app): Shared, _: Look, Run(run): Run) -> Result<Empty, Refusal> {
    let turn = app.lanes.brief("probes").await?;
    turn.run("probes", move || app.control.stop_probes(&run)).await?;
    Ok(Empty::default())
}

/// Needs the right to harm, because lines of logs leave the host.
pub(super) async fn start_logs(
    State(app): Shared,
    Harm(caller): Harm,
    Run(run): Run,
    body: Body,
) -> Result<(ForAudit, Empty), Refusal> {
    let turn = app.lanes.harm("logs").await?;
    let start: StartLogs = json(body, LARGE).await?;
    let files: Vec<&str> = start.logs.iter().map(|log| log.file.as_str()).collect();
    let for_audit = ForAudit::done(format!("{} for {} at most", files.join(", "), start.at_most));
    let work = move || app.harm(&caller, || app.control.start_logs(&caller, &run, &start));
    turn.run("logs", work).await??;
    Ok((for_audit, Empty::default()))
}

pub(super) async fn stop_logs(State(app): Shared, _: Look, Run(run): Run) -> Result<Empty, Refusal> {
    let turn = app.lanes.brief("logs").await?;
    turn.run("logs", move || app.control.stop_logs(&run)).await?;
    Ok(Empty::default())
}

/// Needs the right to harm, because it sends packets from this host. Has a separate lane, because it may take long.
pub(super) async fn exchange(
    State(app): Shared,
    Harm(caller): Harm,
    Run(_): Run,
    body: Body,
) -> Recorded<Exchanged> {
    let ask: Exchange = json(body, SMALL).await?;
    let for_audit = ForAudit::done(format!("with {} by {}", ask.to, ask.way));
    let turn = app.lanes.exchange("exchange").await?;
    Ok((for_audit, Json(turn.run("exchange", move || app.control.exchange(&caller, &ask)).await??)))
}

pub(super) async fn undo(State(app): Shared, Heal(caller): Heal, body: Body) -> Recorded<UndoAnswer> {
    let undo: Undo = json(body, SMALL).await?;
    let asked = undo.clone();
    let turn = app.lanes.undo("undo").await?;
    let answer = turn.run("undo", move || app.control.undo(&caller, &undo)).await?;
    Ok((ForAudit::done(undone(&asked, &answer)), Json(answer)))
}

/// Counts injections by kind.
fn kinds<'k>(of_injections: impl Iterator<Item = &'k str>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for kind in of_injections {
        *counts.entry(kind).or_default() += 1;
    }
    let counted = counts.into_iter().map(|(kind, count)| match count {
        1 => kind.to_owned(),
        _ => format!("{count} × {kind}"),
    });
    counted.collect::<Vec<_>>().join(", ")
}

/// Needs the right to harm, because it allows faults again.
pub(super) async fn release(State(app): Shared, Harm(caller): Harm, body: Body) -> Result<Empty, Refusal> {
    bytes(body, SMALL).await?;
    let turn = app.lanes.brief("release").await?;
    turn.run("release", move || app.control.release(&caller)).await??;
    Ok(Empty::default())
}

pub(super) async fn finish(State(app): Shared, _: Look, Run(run): Run, body: Body) -> Answer<EndState> {
    bytes(body, SMALL).await?;
    let turn = app.lanes.finish("finish").await?;
    Ok(Json(turn.run("finish", move || app.control.finish(&run)).await??))
}
