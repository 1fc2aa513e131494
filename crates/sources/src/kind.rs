//! The descriptor of a source kind. Together with the list of the crate it is the only thing that differs by kind.

pub(crate) mod alertmanager;
pub(crate) mod datadog;
pub(crate) mod grafana;
pub(crate) mod json;
pub(crate) mod opsgenie;
pub(crate) mod pagerduty;
pub(crate) mod prometheus;
pub(crate) mod statsd;

use std::collections::BTreeMap;

use firedrill_wire::{
    Span,
    probe::{Field, HttpProbe, Refusal},
};

use crate::{Behind, Point, alert::Alerts, statsd::Listener};

/// A question to a source: some moments of one query. Times are microseconds since 1970 by the source's clock.
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

impl Question {
    /// Returns the moments.
    pub(crate) fn moments(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { from_us, until_us, step_us, .. } = *self;
        let step_us = step_us.max(1);
        (0..).map(move |step| from_us + step * step_us).take_while(move |at_us| *at_us <= until_us)
    }
}

/// A source kind, implemented by its parameters.
pub trait Kind: Send + Sync {
    /// Returns the way that its answers come.
    fn way(&self) -> Way<'_>;

    /// Returns all errors in the parameters that need no file to be found. `check` asks, and whoever asks the source does again.
    fn invalid(&self) -> Vec<Refusal>;

    /// Returns what is valid and seldom intended.
    fn doubts(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Returns its functions for metrics; `None` if it has no metrics.
    fn metrics(&self) -> Option<&dyn Metrics>;

    /// Returns its functions for alerts; `None` if it has no alerts.
    fn alerts(&self) -> Option<&dyn Alerts>;
}

/// The way that a source's answers come.
pub enum Way<'k> {
    /// It is asked by HTTP, by a request in which a question is filled in.
    Asked(Box<HttpProbe>),
    /// Programs send to the coordinator, which listens.
    Listens(&'k dyn Listens),
}

/// A kind of sources that is listened for.
pub trait Listens: Send + Sync {
    /// Returns the address on which it listens.
    fn address(&self) -> String;

    /// Returns the same in words: `UDP 127.0.0.1:8126`.
    fn words(&self) -> String;

    /// Starts a listener for some questions.
    ///
    /// # Errors
    /// The address cannot be listened on; a clause for people, with what to do.
    fn open(&self, queries: &[&str]) -> Result<Listener, String>;
}

/// The keys of an objective's metric beside its name or query.
#[derive(Clone, Copy, Debug)]
pub struct Written<'w> {
    /// The value that is meant, such as `p99`.
    pub value: Option<&'w str>,
    /// Tags that it has.
    pub tags: &'w BTreeMap<String, String>,
    /// The metric that shows that its sender is alive.
    pub alive_by: Option<&'w str>,
    /// The distance of two samples.
    pub every: Span,
    /// Whether it is a part of a share, of good or of all events.
    pub part: bool,
    /// The name or query of all events, for that of good ones.
    pub total: Option<&'w str>,
    /// Whether its goal is about an increase.
    pub increase: bool,
}

/// A kind of sources that has metrics.
pub trait Metrics: Send + Sync {
    /// Returns the key of an objective's metric that has its name or query.
    fn key(&self) -> &'static str;

    /// Returns further keys of an objective's metric that not all kinds have.
    fn takes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the query for the keys of an objective's metric.
    fn written(&self, text: &str, _: &Written<'_>) -> String {
        text.to_owned()
    }

    /// Returns the errors in the keys of an objective's metric: the key, a sentence, and what would be right.
    fn wrong(&self, _: &str, _: &Written<'_>) -> Vec<(&'static str, String, String)> {
        Vec::new()
    }

    /// Returns the errors in a query, each a sentence with what would be right.
    fn invalid_query(&self, query: &str) -> Vec<(String, String)>;

    /// Returns the time that has to pass before a moment can be known.
    fn least_lag(&self, _: &str) -> Span {
        Span::ZERO
    }

    /// Returns the length of time that a value describes by the query itself, such as 10 s of `rate(x[10s])`, in microseconds.
    fn window_us(&self, query: &str) -> i64;

    /// Whether the moments of a question are those of its answer. Otherwise the source has moments of its own.
    fn has_steps(&self) -> bool;

    /// Returns the query that tells which data are behind other queries, if there is one: how old the newest of each series are, and how
    /// many series there are.
    fn behind_query(&self, queries: &[&str]) -> Option<String>;

    /// Returns what the value of a query shows when series behind it are missing, as far as its words tell.
    fn missing(&self, _query: &str) -> Missing {
        Missing::Open
    }

    /// Returns the way to ask it; `None` for a kind that is listened for.
    fn questions(&self) -> Option<&dyn Questions> {
        None
    }
}

/// A kind of sources that is asked for metrics by HTTP.
pub trait Questions: Send + Sync {
    /// Returns the request of a question.
    fn question(&self, question: &Question) -> HttpProbe;

    /// Reads an answer.
    ///
    /// # Errors
    /// It is no answer to the question; a clause for people.
    fn points(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Point>, String>;

    /// Reads an answer to the query of [`Metrics::behind_query`].
    ///
    /// # Errors
    /// It is no answer to the question; a clause for people.
    fn behind(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Behind>, String>;
}

/// The meaning of a value when series behind it are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Each series that is left has its own value.
    Each,
    /// The value of all series is at least as high, if no series is negative.
    AtLeast,
    /// The value of all series is at most as high.
    AtMost,
    /// It may be higher or lower.
    Open,
}

/// The facts of a kind that depend on no parameter, and its copy without secrets.
pub trait Form: Sized {
    /// A short table of it, for messages.
    const EXAMPLE: &'static str;

    /// The same without what may be a secret.
    #[must_use]
    fn without_secrets(&self) -> Self;
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
