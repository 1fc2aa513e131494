//! The calls that answer once. Each takes the caller's right, a turn in its lane, the body, and asks [`Control`].
//!
//! [`Control`]: crate::control::Control

use std::sync::Arc;

use axum::{Json, body::Body, extract::State};
use firedrill_wire::api::{
    AgentStatus, Arm, Armed, Clock, Doctor, EndState, Prepare, PrepareAnswer, Renew, Renewed, StartProbes,
    Undo, UndoAnswer,
};
use firedrill_wire::exchange::{Exchange, Exchanged};
use serde_json::{Map, Value};

use super::{
    body::{LARGE, SMALL, bytes, json},
    identity::{Harm, Heal, Look},
    problem::Refusal,
    routes::{App, Run},
};

type Answer<T> = Result<Json<T>, Refusal>;
type Shared = State<Arc<App>>;

/// The answer `{}`; an object, so that fields can be added.
type Empty = Json<Map<String, Value>>;

pub(super) async fn status(State(app): Shared, _: Look) -> Answer<AgentStatus> {
    let turn = app.lanes.look("status").await?;
    turn.run("status", move || app.control.status()).await.map(Json)
}

/// On the server's own thread: reading clocks does not block, and a hand-over would spoil the measurement.
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
) -> Answer<PrepareAnswer> {
    let turn = app.lanes.harm("prepare").await?;
    let ask: Prepare = json(body, Prepare::MOST_BYTES).await?;
    Ok(Json(turn.run("prepare", move || app.control.prepare(&caller, &run, &ask)).await??))
}

pub(super) async fn arm(State(app): Shared, Harm(caller): Harm, Run(run): Run, body: Body) -> Answer<Armed> {
    let turn = app.lanes.harm("arm").await?;
    let arm: Arm = json(body, LARGE).await?;
    let work = move || app.harm(&caller, || app.control.arm(&caller, &run, &arm));
    Ok(Json(turn.run("arm", work).await??))
}

/// Keeping a fault in force is harm too.
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
) -> Result<Empty, Refusal> {
    let turn = app.lanes.harm("probes").await?;
    let start: StartProbes = json(body, LARGE).await?;
    let work = move || app.harm(&caller, || app.control.start_probes(&caller, &run, &start));
    turn.run("probes", work).await??;
    Ok(Empty::default())
}

pub(super) async fn stop_probes(State(app): Shared, _: Look, Run(run): Run) -> Result<Empty, Refusal> {
    let turn = app.lanes.heal("probes").await?;
    turn.run("probes", move || app.control.stop_probes(&run)).await?;
    Ok(Empty::default())
}

/// It sends packets from here, so it takes the right to harm; it may wait long, so it has a lane of its own.
pub(super) async fn exchange(
    State(app): Shared,
    Harm(caller): Harm,
    Run(_): Run,
    body: Body,
) -> Answer<Exchanged> {
    let ask: Exchange = json(body, SMALL).await?;
    let turn = app.lanes.exchange("exchange").await?;
    Ok(Json(turn.run("exchange", move || app.control.exchange(&caller, &ask)).await??))
}

pub(super) async fn undo(State(app): Shared, Heal(caller): Heal, body: Body) -> Answer<UndoAnswer> {
    let undo: Undo = json(body, SMALL).await?;
    let turn = app.lanes.heal("undo").await?;
    turn.run("undo", move || app.control.undo(&caller, &undo)).await.map(Json)
}

/// Lets faults in again, so it takes the right to harm.
pub(super) async fn release(State(app): Shared, Harm(caller): Harm, body: Body) -> Result<Empty, Refusal> {
    bytes(body, SMALL).await?;
    let turn = app.lanes.heal("release").await?;
    turn.run("release", move || app.control.release(&caller)).await??;
    Ok(Empty::default())
}

pub(super) async fn finish(State(app): Shared, _: Look, Run(run): Run, body: Body) -> Answer<EndState> {
    bytes(body, SMALL).await?;
    let turn = app.lanes.heal("finish").await?;
    Ok(Json(turn.run("finish", move || app.control.finish(&run)).await??))
}
