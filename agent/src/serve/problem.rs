//! The problem for which a call failed, with its status code.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use firedrill_wire::{RefusalCode, api::Problem};

use crate::injection::refuse;

/// A problem with its HTTP status.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

impl Refusal {
    /// Makes the problem with the status of its code.
    pub(super) fn new(code: RefusalCode, title: impl Into<String>, hint: impl Into<String>) -> Self {
        refuse(code, title, hint).into()
    }

    /// Returns it with a more exact status than that of its code.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, problem: self.problem }
    }

    /// Makes the problem of an agent that is too busy.
    pub(super) fn busy(what: &str) -> Self {
        let title = format!("{what}: the agent has too many calls of this kind under way");
        Self::new(RefusalCode::Busy, title, "try again in a moment")
    }

    /// Makes the problem of an error of the agent itself.
    pub(super) fn bug(what: &str, why: &str) -> Self {
        let hint = "this is a bug in the agent; `status` says what is in force, `undo` puts it back";
        Self::new(RefusalCode::Bug, format!("{what} failed: {why}"), hint)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::CONFLICT);
        Self { status, problem }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self.problem)).into_response();
        // The middleware that records calls reads it there.
        response.extensions_mut().insert(self.problem);
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
