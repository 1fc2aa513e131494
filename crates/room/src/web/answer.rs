//! Makes HTTP responses: pages, and pages about errors.

use std::{error::Error, iter::successors};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use minijinja::{Value, context};

use crate::{error::RoomError, store::Session, template};

/// An error as the answer to a request. People see it as a page; the API makes a problem of it (`problem.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The error, as a sentence.
    pub(crate) text: String,
    /// The next step, as a sentence.
    pub(crate) help: String,
    /// The time after which the client may ask again, in seconds; `None` if no time is said.
    pub(crate) retry_after_s: Option<u32>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status, text: text.into(), help: help.into(), retry_after_s: None }
    }

    /// Returns the answer for a run that does not exist.
    pub(crate) fn no_run(name: &str) -> Self {
        let name = firedrill_wire::text::clean(name, 80);
        Self::new(
            StatusCode::NOT_FOUND,
            format!("There is no run {name} here."),
            "All runs are on the page Runs, and in GET /api/v1/runs.",
        )
    }

    /// Returns the answer to a valid request on which the server failed.
    pub(crate) fn failed(error: &(dyn Error + 'static)) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The server failed: {}.", whole(error)),
            "Try again; if that does not help, see to the cause on the server.",
        )
    }

    /// Returns the answer to a valid request on which the program around the control room failed, for the reason `why`.
    pub(crate) fn outside(why: String) -> Self {
        Self::failed(&std::io::Error::other(why))
    }
}

impl From<RoomError> for Answer {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::TokenTaken { .. } => Self::new(
                StatusCode::CONFLICT,
                format!("No token was made: {error}."),
                "Go back, and change it.",
            ),
            error => Self::failed(&error),
        }
    }
}

impl From<firedrill_history::HistoryError> for Answer {
    fn from(error: firedrill_history::HistoryError) -> Self {
        Self::failed(&error)
    }
}

impl From<std::io::Error> for Answer {
    fn from(error: std::io::Error) -> Self {
        Self::failed(&error)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let heading = self.status.canonical_reason().unwrap_or("Error");
        let values = context! { heading, text => &self.text, help => &self.help };
        let page = template::render("error", (heading, ""), None, values).unwrap_or_else(|_| {
            format!("{heading}: {}", firedrill_wire::text::clean(&self.text, 400).replace('<', "&lt;"))
        });
        let mut response = (self.status, html(page)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For requests to the API, `problem::for_program` replaces the page by this value.
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns an error and its causes as one text.
pub(crate) fn whole(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Returns a page as a response. The parameters are those of [`template::render`].
pub(crate) fn page(
    name: &str,
    about: (&str, &str),
    who: Option<&Session>,
    values: Value,
) -> Result<Response, Answer> {
    let made = template::render(name, about, who, values);
    made.map(html).map_err(|why| Answer::failed(&std::io::Error::other(why)))
}

fn html(text: String) -> Response {
    typed("text/html; charset=utf-8", text)
}

/// Returns a text as a response with a content type.
pub(crate) fn typed(kind: &'static str, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Tells proxies not to buffer a stream.
pub(crate) fn unbuffered(mut stream: Response) -> Response {
    stream.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    stream
}

/// Returns a redirect to another page of the control room, which the browser loads by GET.
pub(crate) fn see(address: &str) -> Response {
    let Ok(address) = HeaderValue::from_str(address) else { return StatusCode::BAD_REQUEST.into_response() };
    (StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response()
}
