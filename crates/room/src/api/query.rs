//! Reads the keys of a request (the part of its address behind `?`) and its body. An unknown key is refused, because a mistyped filter would show
//! everything.

use axum::{
    Json,
    extract::{FromRequestParts, Query, rejection::JsonRejection},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, request::Parts};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};

use crate::web::answer::Answer;

/// The next step after a request with a wrong key.
pub(super) const KEYS: &str = "Change it; docs/api.md has the keys of each address.";
/// Maximum length of the web framework's reason in an answer, in characters.
const REASON_MOST: usize = 400;

/// The keys behind `?`, as the type `T` describes them.
pub(crate) struct Asked<T>(pub(crate) T);

/// The type for an address that takes no keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(asked)| Self(asked)).map_err(|rejection| {
            let reason = firedrill_wire::text::cleaned(rejection.body_text(), REASON_MOST);
            let text = format!("The part of the address behind `?` was not understood: {reason}.");
            Answer::new(StatusCode::BAD_REQUEST, text, KEYS).into_response()
        })
    }
}

/// Returns the body of a request. `example` is a body that would be understood; an error shows it.
pub(crate) fn body<T>(sent: Result<Json<T>, JsonRejection>, example: &str) -> Result<T, Answer> {
    sent.map(|Json(body)| body).map_err(|rejection| {
        let reason = firedrill_wire::text::cleaned(rejection.body_text(), REASON_MOST);
        Answer::new(
            rejection.status(),
            format!("The body was not understood: {reason}."),
            format!("Send {example} as application/json."),
        )
    })
}
