//! The traits that each kind of source implements for its parameters. All differences between kinds are in these implementations and in the list of kinds
//! (`lib.rs`). Sends nothing.

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

/// A question to a source: the values of a query at some moments. Times are microseconds since 1970 by the source's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The query, in the source's language.
    pub query: String,
    /// The first moment.
    pub from_us: i64,
    /// The last moment.
    pub until_us: i64,
    /// The time between two moments, in microseconds.
    pub step_us: i64,
}

impl Question {
    /// Returns the moments, in ascending order.
    pub(crate) fn moments(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { from_us, until_us, step_us, .. } = *self;
        let step_us = step_us.max(1);
        (0..).map(move |step| from_us + step * step_us).take_while(move |at_us| *at_us <= until_us)
    }
}

/// A kind of source, implemented by its parameters.
pub trait Kind: Send + Sync {
    /// Returns the way by which its answers come.
    fn way(&self) -> Way<'_>;

    /// Returns all errors in the parameters that can be found without reading files. They are checked by `firedrill check`, and again before the source is
    /// asked.
    fn invalid(&self) -> Vec<Refusal>;

    /// Returns warnings about parameters that are valid but seldom intended.
    fn doubts(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Returns its functions for metrics; `None` if it has no metrics.
    fn metrics(&self) -> Option<&dyn Metrics>;

    /// Returns its functions for alerts; `None` if it has no alerts.
    fn alerts(&self) -> Option<&dyn Alerts>;
}

/// The way by which a source's answers come.
pub enum Way<'k> {
    /// The source is asked by HTTP. This is the request before a question is filled in.
    Asked(Box<HttpProbe>),
    /// Programs send to the coordinator, which listens.
    Listens(&'k dyn Listens),
}

/// A kind of source that sends to a listener of the coordinator.
pub trait Listens: Send + Sync {
    /// Returns the address on which it listens.
    fn address(&self) -> String;

    /// Returns the address with its protocol, such as `UDP 127.0.0.1:8126`.
    fn words(&self) -> String;

    /// Starts a listener for some questions.
    ///
    /// # Errors
    /// The address cannot be listened on. The error is a clause for people, with the remedy.
    fn open(&self, queries: &[&str]) -> Result<Listener, String>;
}

/// The keys of an objective's metric, without its name or query.
#[derive(Clone, Copy, Debug)]
pub struct Written<'w> {
    /// The wanted value of the metric, such as `p99`.
    pub value: Option<&'w str>,
    /// Tags that the metric must have.
    pub tags: &'w BTreeMap<String, String>,
    /// Another metric that shows that the sender is alive.
    pub alive_by: Option<&'w str>,
    /// The time between two samples.
    pub every: Span,
    /// Whether the metric is one of the two parts of a share: the number of good events, or of all events.
    pub part: bool,
    /// If it is the number of good events: the name or query of the number of all events.
    pub total: Option<&'w str>,
    /// Whether the goal of the objective is about an increase.
    pub increase: bool,
}

/// A kind of source that has metrics.
pub trait Metrics: Send + Sync {
    /// Returns the key in an objective under which the metric's name or query is written.
    fn key(&self) -> &'static str;

    /// Returns further keys of an objective's metric that this kind accepts, and not all kinds do.
    fn takes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the query for a metric: made from its name or query and the other keys.
    fn written(&self, text: &str, _: &Written<'_>) -> String {
        text.to_owned()
    }

    /// Returns the errors in the keys of an objective's metric: the key, a sentence, and the help.
    fn wrong(&self, _: &str, _: &Written<'_>) -> Vec<(&'static str, String, String)> {
        Vec::new()
    }

    /// Returns the errors in a query, each a sentence with the help.
    fn invalid_query(&self, query: &str) -> Vec<(String, String)>;

    /// Returns the minimum time from a moment until its value can be known.
    fn least_lag(&self, _: &str) -> Span {
        Span::ZERO
    }

    /// Returns the length of time that each value describes because of the query itself, in microseconds: 10 s for `rate(x[10s])`.
    fn window_us(&self, query: &str) -> i64;

    /// Whether answers have exactly the moments of the question. Otherwise the source chooses the moments.
    fn has_steps(&self) -> bool;

    /// Returns a query for facts about the data behind other queries: the age of the newest data of each series, and the number of series. `None` if the
    /// kind has no such query.
    fn behind_query(&self, queries: &[&str]) -> Option<String>;

    /// Returns the meaning of a query's value if some series behind it are missing, as far as the query's text shows it.
    fn missing(&self, _query: &str) -> Missing {
        Missing::Open
    }

    /// Returns the functions to ask it by HTTP; `None` for a kind with a listener.
    fn questions(&self) -> Option<&dyn Questions> {
        None
    }
}

/// A kind of source that is asked for metrics by HTTP.
pub trait Questions: Send + Sync {
    /// Returns the request for a question.
    fn question(&self, question: &Question) -> HttpProbe;

    /// Reads an answer into points.
    ///
    /// # Errors
    /// It is not an answer to the question. The error is a clause for people.
    fn points(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Point>, String>;

    /// Reads an answer to the query of [`Metrics::behind_query`].
    ///
    /// # Errors
    /// It is not an answer to the question. The error is a clause for people.
    fn behind(&self, question: &Question, status: u16, body: &[u8]) -> Result<Vec<Behind>, String>;
}

/// The meaning of a value if some series behind it are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The other series still have correct values of their own.
    Each,
    /// With all series the value would be at least as high, if no series is negative.
    AtLeast,
    /// With all series the value would be at most as high.
    AtMost,
    /// With all series the value may be higher or lower.
    Open,
}

/// The parts of a kind that cannot be called by a trait object: its example, and its copy without secrets.
pub trait Form: Sized {
    /// A short example of its table, for messages.
    const EXAMPLE: &'static str;

    /// Returns a copy without texts that may be secrets.
    #[must_use]
    fn without_secrets(&self) -> Self;
}

/// Returns the errors of a request to whose path questions are appended. `source` is the name of the system, for messages.
fn path_only(request: &HttpProbe, source: &str, example: &str) -> Vec<Refusal> {
    let mut wrong = request.parsed().err().unwrap_or_default();
    if request.url.contains(['?', '#']) {
        let what = format!("the url of {source} has a query, and the question is put behind its path");
        wrong.push(Refusal::new(
            Field::request(&["url"]),
            what,
            "ends with a query",
            format!("for example {example}"),
        ));
    }
    wrong
}

/// Moves errors of secrets from the place that they have in a request (`secrets.KEY`) to the key that they have in the source's table.
fn secrets_at(mut wrong: Vec<Refusal>, keys: &[&str]) -> Vec<Refusal> {
    for key in keys {
        let in_request = Field::request(&["secrets", key]);
        for refusal in wrong.iter_mut().filter(|refusal| refusal.field == in_request) {
            refusal.field = Field::request(&[key]);
        }
    }
    wrong
}
