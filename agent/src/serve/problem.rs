//! The problem for which a call failed, with its status code.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use firedrill_wire::api::Problem;

/// A problem with its HTTP status.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: &str,
        title: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, problem: Problem { code: code.to_owned(), title: title.into(), hint: hint.into() } }
    }

    /// Makes the problem of an agent that is too busy.
    pub(super) fn busy(what: &str) -> Self {
        let title = format!("{what}: the agent has too many calls of this kind under way");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title, "try again in a moment")
    }

    /// Makes the problem of an error of the agent itself.
    pub(super) fn bug(what: &str, why: &str) -> Self {
        let hint = "this is a bug in the agent; `status` says what is in force, `undo` puts it back";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", format!("{what} failed: {why}"), hint)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = match problem.code.as_str() {
            "not-allowed" | "policy" => StatusCode::FORBIDDEN,
            "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
            "busy" => StatusCode::SERVICE_UNAVAILABLE,
            "journal" | "internal" => StatusCode::INTERNAL_SERVER_ERROR,
            code if code.starts_with("unknown-") => StatusCode::NOT_FOUND,
            code if code.starts_with("bad-") => StatusCode::UNPROCESSABLE_ENTITY,
            // halted, tombstone, too-late, lease-over, …: the host's state does not allow it.
            _ => StatusCode::CONFLICT,
        };
        Self { status, problem }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self.problem)).into_response();
        // For the record of requests.
        response.extensions_mut().insert(self.problem);
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
