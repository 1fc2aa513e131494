//! Reads request bodies within bounds of size and time, and parses them as JSON. An invalid body gets a refusal with the reason.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::Bytes;
use firedrill_wire::RefusalCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::problem::Refusal;

/// Maximum size of bodies with injections or probes.
pub(super) const LARGE: usize = 1024 * 1024;
/// Maximum size of all other bodies.
pub(super) const SMALL: usize = 64 * 1024;
/// A body above [`SMALL`] has at most one value per this many bytes of its limit, because each value takes more memory
/// than its text.
const BYTES_OF_VALUE: usize = 16;
/// Bodies above [`SMALL`] are parsed one after the other. All servers of the process share this permit, because it bounds the memory of
/// the process.
static LARGE_TURN: Semaphore = Semaphore::const_new(1);
/// Maximum time for a body to arrive.
const ARRIVE: Duration = Duration::from_secs(10);

/// Reads the whole body.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(ARRIVE, Limited::new(body, limit).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            RefusalCode::TooLarge,
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

/// Reads a body and parses it as JSON; a body above [`SMALL`] in a separate thread, so that renewals do not wait for it.
pub(super) async fn json<T: DeserializeOwned + Send + 'static>(
    body: Body,
    limit: usize,
) -> Result<T, Refusal> {
    let whole = bytes(body, limit).await?;
    if whole.len() <= SMALL {
        return parsed(&whole);
    }
    let turn = LARGE_TURN.acquire().await.map_err(|_| Refusal::busy("the body"))?;
    let read = move || {
        // The permit is held until the body is parsed, even if the caller disconnects meanwhile.
        let _turn = turn;
        let (values, most) = (values(&whole), limit / BYTES_OF_VALUE);
        if values > most {
            return Err(Refusal::new(
                RefusalCode::TooLarge,
                format!("the body has more than {most} values"),
                "send fewer injections, peers or probes in one call",
            ));
        }
        parsed(&whole)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::bug("the body", &error.to_string()))?
}

fn parsed<T: DeserializeOwned>(whole: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(whole).map_err(|error| {
        bad(StatusCode::UNPROCESSABLE_ENTITY, format!("the body is not what this call takes: {error}"))
    })
}

/// Counts the values in JSON by its commas, without those in strings.
fn values(json: &[u8]) -> usize {
    let (mut commas, mut in_text, mut escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' if !in_text => commas += 1,
            _ => {}
        }
    }
    commas + 1
}

fn bad(status: StatusCode, title: String) -> Refusal {
    Refusal::new(
        RefusalCode::BadBody,
        title,
        "the bodies of this version are described in the documentation of `/v1`",
    )
    .with_status(status)
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use serde::{Deserialize, Deserializer};
    use serde_json::Value;

    use super::*;

    fn list(value: &str, count: usize) -> Body {
        Body::from(format!("[{}]", vec![value; count].join(",")))
    }

    #[test]
    fn commas_in_texts_are_not_counted() {
        assert_eq!(values(br#"["a,b","c\",,\\",{"d":1}]"#), 3);
    }

    #[tokio::test]
    async fn a_body_with_too_many_values_is_refused_with_the_maximum() {
        let most = LARGE / BYTES_OF_VALUE;
        assert!(json::<Value>(list("\"\"", most), LARGE).await.is_ok());
        let refused = json::<Value>(list("\"\"", most + 1), LARGE).await.unwrap_err();
        assert!(format!("{refused:?}").contains("more than 65536 values"), "{refused:?}");
        assert!(json::<Value>(Body::from(format!("\"{}\"", ",".repeat(most * 2))), LARGE).await.is_ok());
    }

    /// A value whose parsing waits until [`GO`] is set.
    struct Slow;
    static GO: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    impl<'de> Deserialize<'de> for Slow {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::de::IgnoredAny::deserialize(deserializer)?;
            let (go, changed) = &GO;
            let at_most = Duration::from_secs(20);
            let (go, _) = changed.wait_timeout_while(go.lock().unwrap(), at_most, |go| !*go).unwrap();
            go.then_some(Self).ok_or_else(|| serde::de::Error::custom("GO was never set"))
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_runtime_goes_on_while_a_large_body_is_read() {
        let slow = tokio::spawn(json::<Slow>(list("1", SMALL / 2 + 1), LARGE));
        tokio::task::yield_now().await;
        assert!(json::<Value>(list("1", 3), SMALL).await.is_ok());
        *GO.0.lock().unwrap() = true;
        GO.1.notify_all();
        assert!(slow.await.unwrap().is_ok());
    }
}
