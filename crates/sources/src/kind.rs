//! The descriptor of a source kind. Together with the list of the crate it is the only thing that differs by kind.

pub(crate) mod alertmanager;
pub(crate) mod datadog;
pub(crate) mod grafana;
pub(crate) mod json;
pub(crate) mod opsgenie;
pub(crate) mod pagerduty;
pub(crate) mod prometheus;

use std::collections::BTreeMap;

use firedrill_wire::probe::{Field, HttpProbe, Refusal};

use crate::{Behind, Point, alert::Alerts};

/// What is asked of a source: some moments of one query. Times are microseconds since 1970 by the source's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The query, in the source's language.
    pub query: String,
    /// The first moment.
    pub from_us: i64,
    /// The last moment.
    pub until_us: i64,
    /// The distance of two moments.
    pub step_us: i64,
}

/// A source kind, implemented by its parameters.
pub trait Kind: Send + Sync {
    /// Returns its request, in which a question is filled in.
    fn request(&self) -> HttpProbe;

    /// Returns all errors in the parameters that need no file to be found. `check` asks, and whoever asks the source does again.
    fn invalid(&self) -> Vec<Refusal>;

    /// Returns what it knows of metrics; `None` if it knows none.
    fn metrics(&self) -> Option<&dyn Metrics>;

    /// Returns what it knows of alerts; `None` if it knows none.
    fn alerts(&self) -> Option<&dyn Alerts>;
}

/// A kind of sources that has metrics.
pub trait Metrics: Send + Sync {
    /// Returns the errors in a query, each a sentence with what would be right.
    fn invalid_query(&self, query: &str) -> Vec<(String, String)>;

    /// Returns the length of time that a value describes by the query itself, such as 10 s of `rate(x[10s])`, in microseconds.
    fn window_us(&self, query: &str) -> i64;

    /// Whether the moments of a question are those of its answer. Otherwise the source has moments of its own.
    fn has_steps(&self) -> bool;

    /// Returns the query that tells which data are behind other queries, if there is one: how old the newest of each series are, and how
    /// many series there are. Its answer is read by [`Metrics::behind`].
    fn behind_query(&self, queries: &[&str]) -> Option<String>;

    /// Reads an answer to the query of the data behind others.
    ///
    /// # Errors
    /// It is no answer to the question; a clause for people.
    fn behind(&self, status: u16, body: &[u8]) -> Result<Vec<Behind>, String>;

    /// Returns the request of a question.
    fn question(&self, question: &Question) -> HttpProbe;

    /// Reads an answer.
    ///
    /// # Errors
    /// It is no answer to the question; a clause for people.
    fn points(&self, status: u16, body: &[u8]) -> Result<Vec<Point>, String>;
}

/// The facts of a kind that depend on no parameter, and its copy without secrets.
pub trait Form: Sized {
    /// A short table of it, for messages.
    const EXAMPLE: &'static str;

    /// The same without what may be a secret.
    #[must_use]
    fn without_secrets(&self) -> Self;
}

/// Returns the request of a source that is asked by `GET`.
fn get(url: String) -> HttpProbe {
    HttpProbe {
        url,
        method: "GET".to_owned(),
        status: None,
        contains: None,
        headers: BTreeMap::new(),
        body: None,
        bearer: None,
        ca_file: None,
        secrets: BTreeMap::new(),
    }
}

/// Returns the errors of a request to whose path a question is added.
fn path_only(request: &HttpProbe, of: &str, example: &str) -> Vec<Refusal> {
    let mut wrong = request.parsed().err().unwrap_or_default();
    if request.url.contains(['?', '#']) {
        let what = format!("the url of {of} has a query, and the question is put behind its path");
        wrong.push(Refusal::new(
            Field::request(&["url"]),
            what,
            "ends with a query",
            format!("for example {example}"),
        ));
    }
    wrong
}

/// Moves errors of the secret `token` of a request to the key of that name.
fn token_at(mut wrong: Vec<Refusal>) -> Vec<Refusal> {
    let own = Field::request(&["secrets", "token"]);
    wrong.iter_mut().filter(|one| one.field == own).for_each(|one| one.field = Field::request(&["token"]));
    wrong
}
