//! Converts error answers to requests of the API into `application/problem+json` (RFC 9457).

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, typed};

/// The prefix of the API's paths.
pub(crate) const API: &str = "/api/";
/// The content type of errors.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// An error: what was tried, what is wrong, and what to do next.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status tells the kind.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// The request: method and path.
    tried: String,
    /// The reason of the failure.
    detail: String,
    /// The next step.
    help: String,
}

/// Replaces the body of an error response by a problem. Other responses stay as they are.
pub(crate) fn for_program(mut response: Response, method: &Method, path: &str) -> Response {
    let answer = response.extensions_mut().remove::<Answer>();
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let Some(answer) = answer.or_else(|| is_error.then(|| of_framework(status))) else { return response };
    let problem = Problem {
        r#type: "about:blank",
        title: answer.status.canonical_reason().unwrap_or("Error"),
        status: answer.status.as_u16(),
        tried: format!("{method} {}", firedrill_wire::text::clean(path, 200)),
        detail: answer.text,
        help: answer.help,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let (head, _) = typed(PROBLEM, Body::empty()).into_parts();
    response.headers_mut().extend(head.headers);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    if answer.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    *response.body_mut() = Body::from(body);
    response
}

/// Returns the answer for a request that the web framework has refused before our code saw it.
fn of_framework(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or("refused");
    Answer::new(
        status,
        format!("The request was not understood ({reason}); nothing was done."),
        "docs/api.md has the addresses and what each takes. Parts of an address are text in UTF-8.",
    )
}
