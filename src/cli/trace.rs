//! Sends a run as spans to a collector of OpenTelemetry, by OTLP over HTTP in JSON. A run that is sent twice has the same ids, so that nothing
//! is added. Never tries again.

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;

use super::{
    failure::{Failure, Result, Wrap as _},
    post::{SMALL, Sent, Server},
};

/// The path for traces that the OTLP specification defines.
const PATH: &str = "/v1/traces";
/// The environment variable with headers such as an API key, in the format of OpenTelemetry's exporters: `name=value,name=value`,
/// percent-encoded.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The collector to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collector(Server);

/// The part of a collector's answer that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Taken {
    partial_success: Option<Partial>,
}

/// The spans that a collector did not accept.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// A 64-bit number. In the JSON of OTLP it is a text, but some collectors send a number.
    rejected_spans: serde_json::Value,
    error_message: String,
}

impl Collector {
    /// Parses `http://HOST[:PORT][/PATH]`, also with `https` and with `USER:PASSWORD@`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Server::parse(text, "a collector's address such as http://otel.example:4318 is wanted").map(Self)
    }

    /// Sends the spans of a run.
    pub(super) fn send(&self, spans: Vec<u8>) -> Result<()> {
        let headers = std::env::var(HEADERS).unwrap_or_default();
        let sent = headers_of(&headers).and_then(|headers| self.send_with(spans, headers));
        sent.wrap(format!("cannot send the trace to {}", self.0))
    }

    fn send_with(&self, spans: Vec<u8>, headers: Vec<(HeaderName, HeaderValue)>) -> Result<()> {
        let base = self.0.path.strip_suffix(PATH).unwrap_or(&self.0.path);
        let answer = self.0.send(Sent {
            method: Method::POST,
            path: format!("{base}{PATH}"),
            content_type: "application/json",
            headers,
            body: spans,
            most: SMALL,
        })?;
        match answer.status {
            StatusCode::OK => check_taken(&answer.body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(answer
                .failure()
                .help(format!("put USER:PASSWORD@ before the host, or a key into {HEADERS}"))),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(answer.failure().help(
                "is this a collector's address for OTLP over HTTP (port 4318, not 4317), and its path right?",
            )),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Err(answer
                .failure()
                .help("it does not take OTLP in JSON; a collector of OpenTelemetry before it does")),
            _ => Err(answer.failure()),
        }
    }
}

/// Checks by the body of an answer that the collector accepted all spans. A body that is not understood is no error.
fn check_taken(body: &str) -> Result<()> {
    let Some(partial) = serde_json::from_str::<Taken>(body).unwrap_or_default().partial_success else {
        return Ok(());
    };
    let rejected = match &partial.rejected_spans {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "0".to_owned(),
        other => other.to_string(),
    };
    if rejected == "0" {
        return Ok(());
    }
    Err(Failure::new(format!("it rejected {rejected} spans: {}", partial.error_message)))
}

/// Parses the text of the variable into headers. The error names the pair that is wrong by its number.
fn headers_of(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .enumerate()
        .map(|(at, pair)| {
            // The error shows no value, because it may be a key.
            let wrong = || Failure::new(format!("{HEADERS}: pair {} is not name=value", at + 1));
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let decoded = |text: &str| percent_encoding::percent_decode_str(text.trim()).collect::<Vec<u8>>();
            let name = HeaderName::from_bytes(&decoded(name)).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_bytes(&decoded(value)).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_other_exporters_read_them_and_errors_show_no_value() {
        let read = headers_of(" api-key=a%20b , x-team = ops,").unwrap();
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(read, [("api-key", "a b"), ("x-team", "ops")]);
        assert!(headers_of("").unwrap().is_empty());
        for wrong in ["hunter2", "a b=hunter2", "a=hunter2%0a"] {
            let told = headers_of(wrong).unwrap_err().to_string();
            assert!(told.contains("pair 1") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn rejected_spans_are_an_error() {
        for body in
            ["", "{}", "ok", r#"{"partialSuccess":{}}"#, r#"{"partialSuccess":{"rejectedSpans":"0"}}"#]
        {
            assert!(check_taken(body).is_ok(), "{body}");
        }
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#,
            r#"{"partialSuccess":{"rejectedSpans":3,"errorMessage":"too old"}}"#,
        ] {
            assert_eq!(check_taken(body).unwrap_err().to_string(), "it rejected 3 spans: too old");
        }
    }
}
