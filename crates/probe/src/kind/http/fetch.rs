//! Asks a server by HTTP and reads its whole answer, with the connections, the certificates and the secrets of the `http` probe.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_wire::{
    Span,
    probe::{HttpProbe, Refusal},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    clock::boot_us,
    kind::http::{echo::Echoes, request::Template, whole::Way},
    outcome::{Cause, Failure},
    reads::{Once, Reads},
};

/// Maximum length of an answer's body in bytes.
const MOST: usize = 4 << 20;

/// Asks one server.
#[expect(missing_debug_implementations, reason = "it may hold a token")]
pub struct Fetcher {
    way: Way,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: u16,
    /// Its header `Date`, unless a cache kept the answer for a while.
    pub date: Option<String>,
    /// Its header `Retry-After`.
    pub retry_after: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
    /// The time at which the request was begun, by [`boot_us`].
    pub sent_us: u64,
    /// The time at which the whole answer had been read, by the same clock.
    pub received_us: u64,
    echoes: Echoes,
}

impl Fetched {
    /// Returns a text of the answer without what the request keeps secret, for messages: servers repeat tokens that they refuse.
    #[must_use]
    pub fn without_secrets(&self, text: &[u8]) -> Vec<u8> {
        self.echoes.hide(text)
    }
}

impl Fetcher {
    /// Returns the way to the server that a request names. Reads authorities and secrets, and sends nothing. `names` has the addresses that
    /// the fleet gives to names.
    ///
    /// # Errors
    /// All that is invalid in the request, and all files and variables that cannot be read on this machine.
    pub fn new(
        request: &HttpProbe,
        names: &BTreeMap<String, Vec<IpAddr>>,
        reads: &dyn Reads,
    ) -> Result<Self, Vec<Refusal>> {
        Template::once(request, reads)?;
        Ok(Self { way: Way::new(request, names, reads)? })
    }

    /// Asks once. Secrets are read anew, so that a new token counts at once.
    ///
    /// # Errors
    /// There is no whole answer. The error is a clause for people.
    pub async fn fetch(
        &self,
        request: &HttpProbe,
        timeout: Duration,
        reads: &dyn Reads,
    ) -> Result<Fetched, String> {
        let (template, echoes) = {
            let once = Once::new(reads);
            let template = Template::once(request, &once)
                .map_err(|all| all.first().map_or_else(String::new, |one| one.what.clone()))?;
            // The secrets that are sent are the ones that are hidden, also if a secret is renewed meanwhile.
            (template, Echoes::of(request, &once))
        };
        let sent_us = boot_us();
        let until = Instant::now() + timeout;
        let asked = timeout_at(until, self.way.ask(&template, until, MOST)).await;
        let (head, body) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => return Err(words(failure).to_owned()),
            Err(_) => return Err(format!("no answer within {}", Span(timeout))),
        };
        let text = |name| head.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let kept = text(http::header::AGE).is_some_and(|age| age.trim() != "0");
        let date = text(http::header::DATE).filter(|_| !kept);
        Ok(Fetched {
            status: head.status.as_u16(),
            date: date.map(str::to_owned),
            retry_after: text(http::header::RETRY_AFTER).map(str::to_owned),
            body,
            sent_us,
            received_us: boot_us(),
            echoes,
        })
    }
}

/// Says why there is no answer.
const fn words(failure: Failure) -> &'static str {
    match failure {
        Failure::Vantage => "this machine could not open a connection",
        Failure::Bad(cause) => match cause {
            Cause::Vantage => "this machine could not open a connection",
            Cause::Timeout => "no answer in time",
            Cause::Refused => "the connection was refused",
            Cause::Unreachable => "its host cannot be reached",
            Cause::Reset => "the connection was cut before the answer was whole",
            Cause::Dns => "its name could not be looked up",
            Cause::Tls => {
                "TLS failed: its certificate is not one that this machine trusts, or it speaks no TLS"
            }
            Cause::Body => "the answer is larger than 4 MiB",
            _ => "the answer is not HTTP",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::reads::Use;

    /// A secret that is renewed after each read.
    #[derive(Default)]
    struct Renewed(AtomicU32);

    impl Reads for Renewed {
        fn file(&self, path: &str, _: Use) -> Result<Vec<u8>, String> {
            Err(format!("{path} is not there"))
        }

        fn variable(&self, _: &str) -> Result<String, String> {
            Ok(format!("t0ken-{}", self.0.fetch_add(1, Ordering::SeqCst)))
        }
    }

    #[tokio::test]
    async fn a_token_that_is_renewed_after_it_was_sent_is_hidden() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.expect("a request");
            let head = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {read}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.expect("an answer");
            stream.write_all(&bytes[..read]).await.expect("an answer");
        });
        let text = format!(
            r#"{{"url":"{url}","bearer":{{"secret_env":"T"}},"secrets":{{"k":{{"secret_env":"T"}}}},"headers":{{"X-Key":"{{k}}"}}}}"#
        );
        let request: HttpProbe = serde_json::from_str(&text).expect("a request");
        let reads = Renewed::default();
        let fetcher = Fetcher::new(&request, &BTreeMap::new(), &reads).expect("it can be asked");
        let answer = fetcher.fetch(&request, Duration::from_secs(5), &reads).await.expect("an answer");
        assert!(String::from_utf8_lossy(&answer.body).contains("t0ken-"), "it was sent");
        let shown = String::from_utf8(answer.without_secrets(&answer.body)).expect("text");
        assert!(!shown.contains("t0ken-") && shown.matches("***").count() == 2, "{shown}");
    }
}
