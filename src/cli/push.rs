//! Sends the metrics of a run to a Pushgateway, where they replace the metrics of earlier runs of the same scenario in the same
//! environment. Never tries again: the caller reports the failure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, StatusCode};

use super::{
    failure::{Result, Wrap as _},
    post::{SMALL, Sent, Server},
};

/// The content type of Prometheus' text format, which every Pushgateway accepts. The text is written as OpenMetrics. It has only gauges, and
/// such a text is valid in both formats.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The address of a Pushgateway, and the login for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gateway(Server);

impl Gateway {
    /// Parses `http://HOST[:PORT][/PATH]`, also with `https` and with `USER:PASSWORD@`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Server::parse(text, "a Pushgateway's address such as http://push.example:9091 is wanted").map(Self)
    }

    /// Sends the metrics of a run, in OpenMetrics text. `environment` may be empty.
    ///
    /// # Errors
    /// The Pushgateway does not answer in time, or does not accept them.
    pub(super) fn push(&self, metrics: Vec<u8>, scenario: &str, environment: &str) -> Result<()> {
        self.send(metrics, scenario, environment).wrap(format!("cannot push the metrics to {}", self.0))
    }

    fn send(&self, metrics: Vec<u8>, scenario: &str, environment: &str) -> Result<()> {
        let answer = self.0.send(Sent {
            // PUT replaces the whole group, so a metric that this run did not measure does not remain from an earlier run.
            method: Method::PUT,
            path: self.group(scenario, environment),
            content_type: CONTENT,
            headers: Vec::new(),
            body: metrics,
            most: SMALL,
        })?;
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
            StatusCode::UNAUTHORIZED => {
                Err(answer.failure().help("put a valid USER:PASSWORD@ before the host"))
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Err(answer.failure().help("is this a Pushgateway? check host, port and path"))
            }
            _ => Err(answer.failure()),
        }
    }

    /// Returns the path of the group of metrics that a push replaces. The names are in Base64, because they may have any characters; a
    /// Pushgateway reads `=` as the empty name.
    fn group(&self, scenario: &str, environment: &str) -> String {
        let encoded =
            |text: &str| if text.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(text) };
        format!(
            "{}/metrics/job/firedrill/scenario@base64/{}/environment@base64/{}",
            self.0.path,
            encoded(scenario),
            encoded(environment)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_are_not_shown() {
        let at = Gateway::parse("https://me:secret@push.example/prom/").unwrap();
        assert_eq!(format!("{at:?}"), "Gateway(https://push.example:443/prom)");
        assert_eq!(
            at.group("a/b", ""),
            "/prom/metrics/job/firedrill/scenario@base64/YS9i/environment@base64/="
        );
        assert_ne!(at, Gateway::parse("https://me:other@push.example/prom/").unwrap());
        // A slash in a password can be written only as %2F.
        assert_eq!(at, Gateway::parse("https://me:s%65cret@push.example/prom/").unwrap());
        assert_eq!(Gateway::parse("http://[::1]:9091").unwrap().0.to_string(), "http://[::1]:9091");
        for bad in ["push.example:9091", "ftp://push.example", "http://push.example/?a=b", "file:///x"] {
            assert!(Gateway::parse(bad).is_err(), "{bad}");
        }
    }
}
