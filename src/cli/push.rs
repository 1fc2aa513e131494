//! Sends the metrics of a run to a Pushgateway. They take the place of those of the scenario's runs before, in its environment.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    ask::runtime,
    failure::{Failure, Result, Wrap as _},
};

/// Time for all of it: names, connection, answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of an answer that are read, and letters that are shown.
const ANSWER: usize = 64 << 10;
const SHOWN: usize = 300;
/// The format that every Pushgateway takes. The text is OpenMetrics with gauges alone, which is that, too.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The Pushgateway to push to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Gateway {
    secure: bool,
    host: String,
    port: u16,
    /// The path before `/metrics`.
    path: String,
    /// The value of `Authorization`.
    login: Option<String>,
}

/// Without the login.
impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Gateway {
    /// Parses `http://HOST[:PORT][/PATH]`, also with `https` and with `USER:PASSWORD@`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "a Pushgateway's address such as http://push.example:9091 is wanted";
        let uri: Uri = text.parse().map_err(|_| WANTED.to_owned())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(WANTED.to_owned()),
        };
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(WANTED.to_owned());
        };
        let login = authority.as_str().rsplit_once('@').map(|(login, _)| login);
        let login =
            login.map(|login| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login)));
        if uri.query().is_some() {
            return Err("the address of a Pushgateway has no query".to_owned());
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: uri.path().trim_end_matches('/').to_owned(),
            login,
        })
    }

    /// Sends the metrics of a run.
    pub(super) fn push(&self, metrics: Vec<u8>, scenario: &str, environment: &str) -> Result<()> {
        let runtime = runtime()?;
        let sent = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.send(metrics, scenario, environment))
                .await
                .unwrap_or_else(|_| Err(Failure::new(format!("no answer within {} s", PATIENCE.as_secs()))))
        });
        runtime.shutdown_background();
        sent.wrap(format!("cannot push the metrics to {self}"))
    }

    async fn send(&self, metrics: Vec<u8>, scenario: &str, environment: &str) -> Result<()> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((host.as_str(), self.port)).await?;
        if !self.secure {
            return self.over(stream, metrics, scenario, environment).await;
        }
        let config = firedrill_probe::of_this_machine().map_err(Failure::new)?;
        let name = ServerName::try_from(host)?;
        let stream = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await?;
        self.over(stream, metrics, scenario, environment).await
    }

    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        metrics: Vec<u8>,
        scenario: &str,
        environment: &str,
    ) -> Result<()> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        // PUT replaces all of the group: a figure that this run did not measure does not stay from an earlier one.
        let mut request = Request::builder()
            .method(Method::PUT)
            .uri(self.group(scenario, environment))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, CONTENT);
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(metrics)))?).await?;
        let status = answer.status();
        if matches!(status, StatusCode::OK | StatusCode::ACCEPTED) {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body =
            body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        let said: String = body.trim().chars().take(SHOWN).collect();
        let failure = Failure::new(if said.is_empty() {
            format!("it answers {status}")
        } else {
            format!("it answers {status}: {said}")
        });
        Err(match status {
            StatusCode::UNAUTHORIZED => failure.help("put USER:PASSWORD@ before the host"),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                failure.help("is this a Pushgateway, and its path right?")
            }
            _ => failure,
        })
    }

    /// Returns the path of the group. Names of any signs fit in as Base64; `=` stands for an empty one.
    fn group(&self, scenario: &str, environment: &str) -> String {
        let coded = |text: &str| if text.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(text) };
        format!(
            "{}/metrics/job/firedrill/scenario@base64/{}/environment@base64/{}",
            self.path,
            coded(scenario),
            coded(environment)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_passwords_are_not_shown() {
        let at = Gateway::parse("https://me:secret@push.example/prom/").unwrap();
        assert_eq!(format!("{at:?}"), "https://push.example:443/prom");
        assert_eq!(at.login.as_deref(), Some("Basic bWU6c2VjcmV0"));
        assert_eq!(
            at.group("a/b", ""),
            "/prom/metrics/job/firedrill/scenario@base64/YS9i/environment@base64/="
        );
        assert_eq!(Gateway::parse("http://[::1]:9091").unwrap().to_string(), "http://[::1]:9091");
        for bad in ["push.example:9091", "ftp://push.example", "http://push.example/?a=b", "file:///x"] {
            assert!(Gateway::parse(bad).is_err(), "{bad}");
        }
    }
}
