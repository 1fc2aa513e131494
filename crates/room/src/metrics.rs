//! `/metrics` on a separate address: runs, findings, game days and messages as gauges for Prometheus. The page needs no login, and changes nothing.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use axum::{Router, extract::State, middleware::from_fn_with_state, response::Response, routing::get};
use firedrill_history::{Filter, State as Standing};
use firedrill_judge::gauges::{Exposition, Unit};

use crate::{
    app::App,
    web::{
        answer::{Answer, typed},
        guard::guard,
        who::slow,
    },
};

/// The last run of each scenario is searched among this number of the newest runs.
const NEWEST: usize = 1_000;
/// For [`firedrill_history::Entry::ended_as`]: the run has ended.
const NOT_RUNNING: bool = false;
/// The content type of the OpenMetrics text format.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the routes of the address for metrics.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// `GET /metrics`
async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Answer> {
    slow(&app, |app| Ok(typed(TYPE, text(app)?))).await
}

/// Returns all metrics as text.
fn text(app: &App) -> Result<String, Answer> {
    let mut metrics = Exposition::default();
    runs(app, &mut metrics)?;
    scenarios(app, &mut metrics)?;
    gamedays(app, &mut metrics)?;
    messages(app, &mut metrics)?;
    Ok(metrics.text())
}

/// Adds metrics of the runs that go on, and the number of open findings.
fn runs(app: &App, metrics: &mut Exposition) -> Result<(), Answer> {
    let going_on = app.runs.going_on()?;
    let (mut in_force, mut lost_hosts) = (0, 0);
    let mut kinds: BTreeMap<(String, String), u32> = BTreeMap::new();
    for (environment, faults, lost) in app.courses.of(&going_on, |_, course| {
        let environment = course.plan.as_ref().and_then(|plan| plan.environment.clone()).unwrap_or_default();
        let faults: Vec<String> = course.in_force().map(|open| open.kind.clone()).collect();
        (environment, faults, course.lost.len())
    }) {
        in_force += faults.len();
        lost_hosts += lost;
        for kind in faults {
            *kinds.entry((kind, environment.clone())).or_default() += 1;
        }
    }
    metrics.add("runs_going_on", "Runs that go on", None).set(&[], going_on.len() as f64);
    metrics
        .add("faults_in_force", "Faults in force, by the logs of the runs that go on", None)
        .set(&[], in_force as f64);
    let by_kind = metrics.add("faults_in_force_of_kind", "Faults in force of a kind in an environment", None);
    for ((kind, environment), count) in &kinds {
        by_kind.set(&[("kind", kind), ("environment", environment)], f64::from(*count));
    }
    metrics
        .add("hosts_not_answering", "Hosts to which runs that go on have lost the link", None)
        .set(&[], lost_hosts as f64);
    let findings = app.runs.with(|history| history.findings())?;
    let open = findings.all.iter().filter(|finding| finding.state == Standing::Open).count();
    metrics
        .add("findings_open", "Findings that no later run has shown to be right", None)
        .set(&[], open as f64);
    Ok(())
}

/// Adds metrics of the last ended run of each scenario in each environment, and counts of results.
fn scenarios(app: &App, metrics: &mut Exposition) -> Result<(), Answer> {
    let started = metrics.add(
        "scenario_last_run_timestamp",
        "Start of the last run of a scenario that has ended",
        Some(Unit::Seconds),
    );
    let exit = metrics.add(
        "scenario_last_exit_code",
        "Exit code of that run: 0 held, 1 violated, 3 unknown, 6 something may not have been put back",
        None,
    );
    let score = metrics.add("scenario_last_score", "Score of that run, 0 to 100", None);
    let results = metrics.add("runs_ended", "Runs that have ended, by their result, among the newest", None);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut seen = HashSet::new();
    let page = app.runs.page(&Filter { limit: Some(NEWEST), ..Filter::default() })?;
    // Entries are sorted, the newest first: the first one of a scenario and environment is its last run.
    for entry in page.entries.iter().filter(|entry| entry.ended) {
        *counts.entry(entry.ended_as(NOT_RUNNING)).or_default() += 1;
        let Some(name) = &entry.scenario else { continue };
        let environment = entry.environment.as_deref().unwrap_or_default();
        if seen.insert((name, environment)) {
            let labels = [("scenario", name.as_str()), ("environment", environment)];
            started.set(&labels, entry.at_s as f64);
            exit.set_known(&labels, entry.exit.map(f64::from));
            score.set_known(&labels, entry.score.map(f64::from));
        }
    }
    for (result, count) in counts {
        results.set(&[("result", result)], f64::from(count));
    }
    Ok(())
}

/// Adds metrics of each channel: messages that wait, and messages that were given up.
fn messages(app: &App, metrics: &mut Exposition) -> Result<(), Answer> {
    let unreadable = metrics.add(
        "messages_unreadable",
        "Message files that cannot be read; it is not known whether these messages were delivered",
        None,
    );
    let messages = app.outside.messages().map_err(Answer::outside)?;
    unreadable.set(&[], messages.unreadable as f64);
    let waiting = metrics.add("messages_waiting", "Messages that a channel has not taken yet", None);
    let tries = metrics.add(
        "messages_waiting_tries",
        "Failed tries of the message of a channel that was tried most often of those that wait",
        None,
    );
    let lost =
        metrics.add("messages_given_up", "Messages of the last 30 days that a channel never took", None);
    for channel in messages.channels {
        let labels = [("channel", channel.name.as_str())];
        waiting.set(&labels, f64::from(channel.waiting));
        tries.set(&labels, f64::from(channel.tries));
        lost.set(&labels, f64::from(channel.given_up));
    }
    Ok(())
}

/// Adds metrics of the next start and of the last start of each game day.
fn gamedays(app: &App, metrics: &mut Exposition) -> Result<(), Answer> {
    let calendar = app.newest.calendar(&*app.outside);
    let next = metrics.add(
        "gameday_next_start_timestamp",
        "Next start of a game day that is neither skipped nor closed",
        Some(Unit::Seconds),
    );
    let mut seen = HashSet::new();
    for slot in calendar.slots.iter().filter(|slot| slot.held) {
        if seen.insert(&slot.gameday) {
            next.set(&[("gameday", &slot.gameday)], slot.starts_s as f64);
        }
    }
    let state = metrics.add(
        "gameday_last",
        "1; the state says how the last start of a game day went: goes-on, ended, not-held, missed, died or unreadable",
        None,
    );
    let exit =
        metrics.add("gameday_last_exit_code", "Exit code of the last start of a game day that ended", None);
    let reason = metrics.add(
        "gameday_last_not_held",
        "1 if the last start of a game day was not held; the reason says why",
        None,
    );
    let held = app.outside.held().map_err(Answer::outside)?;
    let mut seen = HashSet::new();
    // `held` is sorted, the newest first.
    for start in &held {
        if seen.insert(&start.gameday) {
            state.set(&[("gameday", &start.gameday), ("state", start.state)], 1.0);
            exit.set_known(&[("gameday", &start.gameday)], start.exit.map(f64::from));
            if let Some(word) = start.reason {
                reason.set(&[("gameday", &start.gameday), ("reason", word)], 1.0);
            }
        }
    }
    let look = metrics.add(
        "schedule_last_look_timestamp",
        "Time at which a control room looked last for slots to start",
        Some(Unit::Seconds),
    );
    look.set_known(&[], app.outside.looked_s().map(|at_s| at_s as f64));
    Ok(())
}
