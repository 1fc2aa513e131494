//! Sends one request to a server over HTTP or HTTPS: to a Pushgateway, a collector of traces, a control room. Follows no redirect, and
//! never tries again.

use std::{net::IpAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
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
    failure::{Failure, Result},
};

/// Time for the whole request: to look up the name, to connect, and to get the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Maximum size of an answer that only messages show, in bytes.
pub(super) const SMALL: usize = 64 << 10;
/// Number of characters of an answer that a message shows.
const SHOWN: usize = 300;

/// A server, and the login for it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Server {
    secure: bool,
    host: String,
    port: u16,
    /// The path of the server's address, which the path of each request begins with.
    pub(super) path: String,
    /// The value of the header `Authorization`; a secret.
    login: Option<String>,
}

/// Formats the address without the login.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// A request.
pub(super) struct Sent {
    pub(super) method: Method,
    /// The path and the query of the request.
    pub(super) path: String,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    /// Maximum number of bytes of the answer that are read; a longer one counts as empty.
    pub(super) most: usize,
}

/// The answer of a server.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Answer {
    /// Returns an error with the status and the beginning of the body.
    pub(super) fn failure(&self) -> Failure {
        let body: String = self.body.trim().chars().take(SHOWN).collect();
        let status = self.status;
        Failure::new(if body.is_empty() {
            format!("it answers {status}")
        } else {
            format!("it answers {status}: {body}")
        })
    }
}

impl Server {
    /// Parses `http://HOST[:PORT][/PATH]`, also with `https` and with `USER:PASSWORD@`. `wanted` is the error for any other text: it says
    /// what is wanted.
    pub(super) fn parse(text: &str, wanted: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| wanted.to_owned())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wanted.to_owned()),
        };
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(wanted.to_owned());
        };
        // Characters that an address cannot contain are written as `%2F` and so on. The server gets the decoded login.
        let login = authority
            .as_str()
            .rsplit_once('@')
            .map(|(login, _)| percent_encoding::percent_decode_str(login).collect::<Vec<u8>>());
        if uri.query().is_some() {
            return Err(format!("{wanted}; it has no query"));
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            path: uri.path().trim_end_matches('/').to_owned(),
            login: login.map(|login| format!("Basic {}", STANDARD.encode(login))),
        })
    }

    /// Whether nobody else can read the requests: they are sent over TLS, or do not leave this machine.
    pub(super) fn is_private(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.secure || is_here
    }

    /// Whether the address had a user and a password.
    pub(super) const fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Sends a request, and reads the answer.
    ///
    /// # Errors
    /// There is no answer in time, or the request cannot be sent.
    pub(super) fn send(&self, sent: Sent) -> Result<Answer> {
        let runtime = runtime()?;
        let answer = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.connect_and_send(sent))
                .await
                .unwrap_or_else(|_| Err(Failure::new(format!("no answer within {} s", PATIENCE.as_secs()))))
        });
        runtime.shutdown_background();
        answer
    }

    /// Connects, with TLS for `https`, sends the request, and reads the answer.
    async fn connect_and_send(&self, sent: Sent) -> Result<Answer> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((host.as_str(), self.port)).await?;
        if !self.secure {
            return self.over(stream, sent).await;
        }
        let config = firedrill_probe::of_this_machine().map_err(Failure::new)?;
        let name = ServerName::try_from(host)?;
        let stream = TlsConnector::from(Arc::clone(&config)).connect(name, stream).await?;
        self.over(stream, sent).await
    }

    /// Sends the request over a connection, and reads the answer.
    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        sent: Sent,
    ) -> Result<Answer> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(sent.method)
            .uri(sent.path)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, sent.content_type);
        if let Some(login) = &self.login {
            request = request.header(header::AUTHORIZATION, login);
        }
        for (name, value) in sent.headers {
            request = request.header(name, value);
        }
        let most = sent.most;
        let answer = sender.send_request(request.body(Full::new(Bytes::from(sent.body)))?).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), most).collect().await;
        let body =
            body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        Ok(Answer { status, body })
    }
}
