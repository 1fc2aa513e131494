//! The routes: path and method of each call. The right that a call needs is part of its signature ([`Look`], [`Heal`]
//! or [`Harm`]).
//!
//! [`Look`]: super::identity::Look
//! [`Heal`]: super::identity::Heal
//! [`Harm`]: super::identity::Harm

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::{Method, Uri, request::Parts},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use firedrill_wire::{API_VERSION, RefusalCode, RunId};
use rustls_pki_types::UnixTime;
use tokio_util::sync::CancellationToken;

use super::{Tls, audited, calls, lanes::Lanes, problem::Refusal, stream};
use crate::control::{Caller, Certificate, Control};

/// The state that all calls share.
pub(super) struct App {
    pub(super) control: Arc<dyn Control>,
    pub(super) lanes: Lanes,
    pub(super) tls: Tls,
    pub(super) stop: CancellationToken,
}

impl App {
    /// Does the work for a caller who was trusted when the call came. If they are no longer trusted when it is done,
    /// their runs are ended.
    pub(super) fn harm<T>(&self, caller: &Caller, work: impl FnOnce() -> T) -> T {
        let done = work();
        if caller.certificate.as_ref().is_some_and(|certificate| self.trusted(certificate).is_err()) {
            self.distrust();
        }
        done
    }

    /// Ends the runs of people who are no longer trusted. Blocks.
    pub(super) fn distrust(&self) {
        self.control.distrust(&|certificate| self.trusted(certificate));
    }

    fn trusted(&self, certificate: &Certificate) -> Result<(), String> {
        let standing = self.tls.loaded().verifier.standing(&certificate.chain, UnixTime::now());
        standing.map(drop).map_err(|error| super::verify::why(&error))
    }
}

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
        .route("/v1/runs/{run}/bins", get(stream::bins))
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

/// Parses the run in a path.
pub(super) struct Run(pub(super) RunId);

impl<S: Send + Sync> FromRequestParts<S> for Run {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let bad = |why: String| Refusal::new(RefusalCode::BadId, why, "");
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad(format!("{}: {error}", parts.uri.path())))?;
        text.parse().map(Self).map_err(|error: firedrill_wire::id::IdError| bad(error.to_string()))
    }
}
