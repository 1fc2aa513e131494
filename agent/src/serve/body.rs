//! Bodies: bounded in size and time, and read as JSON with a reason where they are wrong.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::Refusal;

/// Bodies with injections or probes in them.
pub(super) const LARGE: usize = 1024 * 1024;
/// All others.
pub(super) const SMALL: usize = 64 * 1024;
/// How long a body may take to arrive.
const ARRIVE: Duration = Duration::from_secs(10);

/// Reads it all.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(ARRIVE, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("the body has more than {limit} bytes"),
            "send fewer injections, peers or probes in one call",
        )),
        Ok(Err(error)) => Err(bad(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}"))),
        Err(_) => {
            let title = format!("the body did not arrive within {} s", ARRIVE.as_secs());
            Err(bad(StatusCode::REQUEST_TIMEOUT, title))
        }
    }
}

/// Reads it as JSON.
pub(super) async fn json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, Refusal> {
    let whole = bytes(body, limit).await?;
    serde_json::from_slice(&whole).map_err(|error| {
        bad(StatusCode::UNPROCESSABLE_ENTITY, format!("the body is not what this call takes: {error}"))
    })
}

fn bad(status: StatusCode, title: String) -> Refusal {
    Refusal::new(
        status,
        "bad-body",
        title,
        "the bodies of this version are described in the documentation of `/v1`",
    )
}
