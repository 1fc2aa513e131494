//! Asks a source by HTTP, or returns what a listener has received. Neither tries again nor judges an answer.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use firedrill_probe::{Anything, Fetched, Fetcher, clock};
use firedrill_wire::probe::{HttpProbe, Refusal};

use crate::{
    AlertQuery, AlertSeen, Behind, Listener, Metrics, Point, Question, Questions, SourceKind, Way,
    clock::date_us,
};

/// The means to ask one source.
#[expect(missing_debug_implementations, reason = "it may hold a token")]
pub struct Asker {
    kind: SourceKind,
    timeout: Duration,
    via: Via,
}

/// The way by which answers come.
enum Via {
    /// By HTTP requests.
    Http(Box<Fetcher>),
    /// From a listener; `None` if it was not started.
    Heard(Option<Arc<Listener>>),
}

/// The reason why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// A clause for people.
    pub why: String,
    /// Whether the source has read this question and gave no answer to it, so that another try for these moments is likely to fail, too. False if
    /// the source could not be asked now, or did not accept the credentials.
    pub refused: bool,
}

impl From<String> for NoAnswer {
    fn from(why: String) -> Self {
        Self { why, refused: false }
    }
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<T> {
    /// The content of the answer, such as points sorted by time.
    pub says: T,
    /// The header `Date`, in microseconds since 1970; `None` without one.
    pub date_us: Option<i64>,
    /// Time at which the question was sent, by the clock of [`firedrill_probe::clock`].
    pub sent_us: u64,
    /// Time at which the answer was complete, by the same clock.
    pub received_us: u64,
}

impl Asker {
    /// Prepares to ask a source: reads authorities and secrets. Sends nothing, and does not listen. `names` has the addresses of host names that the fleet
    /// knows.
    ///
    /// # Errors
    /// The source cannot be asked, or a file or secret cannot be read on this machine; all errors are listed.
    pub fn new(
        kind: &SourceKind,
        timeout: Duration,
        names: &BTreeMap<String, Vec<IpAddr>>,
    ) -> Result<Self, Vec<Refusal>> {
        let Way::Asked(request) = kind.way() else {
            return Ok(Self { kind: kind.clone(), timeout, via: Via::Heard(None) });
        };
        // A sample question completes the request, so that all its parts can be checked.
        let sample = Question { query: "q".to_owned(), from_us: 0, until_us: 0, step_us: 1_000_000 };
        let questions = kind.metrics().and_then(|metrics| metrics.questions());
        let request = questions.map_or(*request, |questions| questions.question(&sample));
        let fetcher = Box::new(Fetcher::new(&request, names, &Anything)?);
        Ok(Self { kind: kind.clone(), timeout, via: Via::Http(fetcher) })
    }

    /// Returns the means to ask a listener.
    #[must_use]
    pub fn hearing(kind: &SourceKind, listener: Arc<Listener>) -> Self {
        Self { kind: kind.clone(), timeout: Duration::ZERO, via: Via::Heard(Some(listener)) }
    }

    /// Whether the times in answers are by the clock [`firedrill_probe::clock::boot_us`] of this machine.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        matches!(self.via, Via::Heard(_))
    }

    /// Returns the reason why a listener has nothing for a query, in words; `None` if it has something.
    #[must_use]
    pub fn missing(&self, query: &str) -> Option<String> {
        match &self.via {
            Via::Heard(Some(listener)) => listener.missing(query),
            _ => None,
        }
    }

    /// Returns the source's kind with its parameters.
    #[must_use]
    pub const fn kind(&self) -> &SourceKind {
        &self.kind
    }

    /// Asks a question once.
    ///
    /// # Errors
    /// There is no answer, or none to the question. The error is a clause for people.
    pub async fn ask(&self, question: &Question) -> Result<Asked<Vec<Point>>, NoAnswer> {
        if let Via::Heard(listener) = &self.via {
            return heard(listener.as_deref(), |listener| {
                listener.points(&question.query, question.moments())
            });
        }
        let metrics = self.questions()?;
        self.read(&metrics.question(question), |status, body| metrics.points(question, status, body)).await
    }

    /// Asks once for facts about the data behind other queries. The question has the query of [`crate::Metrics::behind_query`].
    ///
    /// # Errors
    /// There is no answer, or none to the question. The error is a clause for people.
    pub async fn behind(&self, question: &Question) -> Result<Asked<Vec<Behind>>, NoAnswer> {
        if let Via::Heard(listener) = &self.via {
            return heard(listener.as_deref(), |listener| {
                listener.behind(&question.query, question.moments())
            });
        }
        let metrics = self.questions()?;
        self.read(&metrics.question(question), |status, body| metrics.behind(question, status, body)).await
    }

    /// Asks once whether an alert is firing.
    ///
    /// # Errors
    /// There is no answer, or none to the question. The error is a clause for people.
    pub async fn alert(&self, query: &AlertQuery) -> Result<Asked<Vec<AlertSeen>>, String> {
        let alerts = self.kind.alerts().ok_or_else(|| format!("{} has no alerts", self.kind.name()))?;
        let request = alerts.ask(query);
        let read = self.read(&request, |status, body| alerts.firing(query, status, body));
        read.await.map_err(|none| none.why)
    }

    fn questions(&self) -> Result<&dyn Questions, String> {
        let questions = self.kind.metrics().and_then(Metrics::questions);
        questions.ok_or_else(|| format!("{} has no metrics", self.kind.name()))
    }

    /// Sends a request, and reads the answer by `read`, which gets its status and body.
    async fn read<T>(
        &self,
        request: &HttpProbe,
        read: impl Fn(u16, &[u8]) -> Result<T, String>,
    ) -> Result<Asked<T>, NoAnswer> {
        let answer = self.fetch(request).await?;
        // The status of a source that has read the question.
        let refused = matches!(answer.status, 200..=299 | 400 | 422 | 500);
        let says = read(answer.status, &answer.body).map_err(|_| {
            // The error contains the beginning of the body. So the body is read again without the secrets that were sent.
            let shown = read(answer.status, &answer.without_secrets(&answer.body)).err();
            let shown = shown.unwrap_or_else(|| format!("status {}: it is no answer", answer.status));
            let why = String::from_utf8_lossy(&answer.without_secrets(shown.as_bytes())).into_owned();
            NoAnswer { why, refused }
        })?;
        Ok(Asked {
            says,
            date_us: answer.date.as_deref().and_then(date_us),
            sent_us: answer.sent_us,
            received_us: answer.received_us,
        })
    }

    /// Sends a request, and returns the answer. A redirect is an error.
    async fn fetch(&self, request: &HttpProbe) -> Result<Fetched, String> {
        let Via::Http(fetcher) = &self.via else {
            return Err("it is not asked, but listened for".to_owned());
        };
        let answer = fetcher.fetch(request, self.timeout, &Anything).await?;
        if (300..=399).contains(&answer.status) {
            return Err(format!("status {}: it sends the question elsewhere; give that url", answer.status));
        }
        Ok(answer)
    }
}

/// Makes an answer from a listener.
fn heard<T>(
    listener: Option<&Listener>,
    says: impl FnOnce(&Listener) -> Result<T, String>,
) -> Result<Asked<T>, NoAnswer> {
    let sent_us = clock::boot_us();
    let says = says(listener.ok_or_else(|| "nobody listens".to_owned())?)?;
    Ok(Asked { says, date_us: None, sent_us, received_us: clock::boot_us() })
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const QUESTION: Question = Question { query: String::new(), from_us: 0, until_us: 0, step_us: 1_000_000 };

    /// Asks a server that answers with a status line and headers (`head`) and a body, in which `{sent}` becomes the request's header `Authorization`.
    /// `more` has further parameters of the source.
    async fn asked(head: &str, body: &str, more: &str) -> Result<Asked<Vec<Point>>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (head, body) = (head.to_owned(), body.to_owned());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.expect("a request");
            let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let sent =
                request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
            let body = body.replace("{sent}", sent);
            let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("an answer");
        });
        let kind: SourceKind =
            serde_json::from_str(&format!(r#"{{"prometheus":{{"url":"{url}"{more}}}}}"#)).expect("a source");
        let asker = Asker::new(&kind, Duration::from_secs(5), &BTreeMap::new()).expect("it can be asked");
        asker.ask(&QUESTION).await.map_err(|none| none.why)
    }

    #[tokio::test]
    async fn a_token_that_an_answer_repeats_is_not_shown() {
        let path = std::env::temp_dir().join(format!("firedrill-ask-{}", std::process::id()));
        std::fs::write(&path, "s3cret-t0ken").expect("a file");
        let more = format!(r#","bearer":{{"secret_file":"{}"}}"#, path.display());
        for body in ["{sent} may not ask", r#"{"status":"error","error":"who is {sent}?"}"#] {
            let why = asked("401 Unauthorized", body, &more).await.expect_err("a refusal");
            assert!(!why.contains("s3cret") && why.contains("Bearer ***"), "{why}");
        }
        std::fs::remove_file(&path).expect("it was there");
    }

    #[tokio::test]
    async fn the_date_of_a_cached_answer_is_not_used() {
        let empty = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        for (age, is_used) in [("", true), ("Age: 0\r\n", true), ("Age: 40\r\n", false)] {
            let head = format!("200 OK\r\n{age}Date: Sun, 06 Nov 1994 08:49:37 GMT");
            let answer = asked(&head, empty, "").await.expect("an answer");
            assert_eq!(answer.date_us.is_some(), is_used, "{age}");
        }
    }
}
