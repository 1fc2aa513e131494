//! The routes: path and method of each call. The right that a call needs is part of its signature ([`Look`], [`Heal`]
//! or [`Harm`]).
//!
//! [`Look`]: super::identity::Look
//! [`Heal`]: super::identity::Heal
//! [`Harm`]: super::identity::Harm

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, Uri},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use firedrill_wire::{API_VERSION, RefusalCode};

use super::{app::App, audited, calls, problem::Refusal, stream};

/// Returns the router with all calls of the API.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/status", get(calls::status))
        .route("/v1/clock", get(calls::clock))
        .route("/v1/doctor", get(calls::doctor))
        .route("/v1/events", get(stream::events))
        .route("/v1/undo", post(calls::undo))
        .route("/v1/release", post(calls::release))
        .route("/v1/runs/{run}/prepare", post(calls::prepare))
        .route("/v1/runs/{run}/arm", post(calls::arm))
        .route("/v1/runs/{run}/renew", post(calls::renew))
        .route("/v1/runs/{run}/probes", post(calls::start_probes).delete(calls::stop_probes))
        .route("/v1/runs/{run}/read-back", post(calls::read_back))
        .route("/v1/runs/{run}/bins", get(stream::bins))
        .route("/v1/runs/{run}/logs", post(calls::start_logs).delete(calls::stop_logs))
        .route("/v1/runs/{run}/log-bins", get(stream::log_bins))
        .route("/v1/runs/{run}/exchange", post(calls::exchange))
        .route("/v1/runs/{run}/finish", post(calls::finish))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(Arc::clone(&app), audited::record))
        .with_state(app)
}

async fn no_such_path(uri: Uri) -> Refusal {
    let version = uri.path().split('/').nth(1).and_then(|part| part.strip_prefix('v')?.parse::<u32>().ok());
    let here = format!("this agent speaks version {API_VERSION}: paths begin with /v{API_VERSION}/");
    match version {
        Some(other) if other != API_VERSION => {
            let title = format!("{}: version {other} of the API is not here", uri.path());
            let hint = format!("{here}; use a coordinator and an agent of nearer versions");
            Refusal::new(RefusalCode::UnknownVersion, title, hint)
        }
        _ => Refusal::new(RefusalCode::UnknownPath, format!("{}: no such call", uri.path()), here),
    }
}

async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let title = format!("{}: {method} is not a method of this call", uri.path());
    Refusal::new(RefusalCode::BadMethod, title, "the header `allow` says which are")
}
