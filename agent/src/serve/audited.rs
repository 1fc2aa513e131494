//! Records every call that could harm or heal, with its caller and its result. This one place does it for all calls, so that
//! no call is forgotten and every sort of refusal is recorded. Never refuses a call.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponseParts, Response, ResponseParts},
};
use firedrill_probe::clock;
use firedrill_wire::{RefusalCode, RunId, api::Problem};

use super::{app::App, identity::Peer};
use crate::audit;

/// The text of a call for its audit record. It travels with the answer inside the agent and is not sent.
#[derive(Clone, Debug, Default)]
pub(super) struct ForAudit {
    pub(super) detail: String,
    /// The code of a refusal inside the answer; `None` if nothing was refused.
    pub(super) refused: Option<RefusalCode>,
}

impl ForAudit {
    /// Returns the text of a call that was not refused.
    pub(super) fn done(detail: String) -> Self {
        Self { detail, refused: None }
    }
}

impl IntoResponseParts for ForAudit {
    type Error = Infallible;
    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// A call in progress. A call whose caller disconnects before the answer is recorded too, because its work continues.
struct Pending {
    app: Arc<App>,
    record: Option<audit::Request>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.app.control.audit(record.detail("its caller left before the answer; it may have been done"));
        }
    }
}

/// The middleware that records a call.
pub(super) async fn record(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some((what, run)) = could_harm_or_heal(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let peer = request.extensions().get::<Arc<Peer>>();
    let mut record = audit::Request::accepted(peer.map_or("", |peer| peer.name()), what);
    if let Some(peer) = peer {
        peer.serial().clone_into(&mut record.certificate);
        peer.from().clone_into(&mut record.from);
    }
    // A call with a text that is not an id will be refused. It is recorded without a run.
    let run: Option<RunId> = run.and_then(|run| run.parse().ok());
    record.run = run.map_or_else(String::new, |run| run.to_string());
    let mut pending = Pending { app, record: Some(record) };
    let response = next.run(request).await;
    if let Some(mut record) = pending.record.take() {
        record.wall_us = clock::wall_us();
        if let Some(for_audit) = response.extensions().get::<ForAudit>() {
            record = match &for_audit.refused {
                Some(code) => record.refused(code, &for_audit.detail),
                None => record.detail(&for_audit.detail),
            };
        }
        if let Some(problem) = response.extensions().get::<Problem>() {
            record = record.refused(&problem.code, &problem.title);
        } else if !response.status().is_success() {
            record = record.refused(&RefusalCode::Status, response.status().as_str());
        }
        pending.app.control.audit(record);
    }
    response
}

/// Returns the operation and its run, if the call could harm or heal.
fn could_harm_or_heal<'p>(method: &Method, path: &'p str) -> Option<(&'static str, Option<&'p str>)> {
    let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let post = *method == Method::POST;
    Some(match parts.as_slice() {
        ["undo"] if post => ("undo", None),
        ["release"] if post => ("release", None),
        ["runs", run, "prepare"] if post => ("prepare", Some(run)),
        ["runs", run, "arm"] if post => ("arm", Some(run)),
        ["runs", run, "renew"] if post => ("renew", Some(run)),
        ["runs", run, "exchange"] if post => ("exchange", Some(run)),
        ["runs", run, "read-back"] if post => ("read-back", Some(run)),
        ["runs", run, "probes"] if post => ("probes", Some(run)),
        ["runs", run, "logs"] if post => ("logs", Some(run)),
        ["runs", run, "logs"] if *method == Method::DELETE => ("stop-logs", Some(run)),
        ["runs", run, "probes"] if *method == Method::DELETE => ("stop-probes", Some(run)),
        _ => return None,
    })
}
