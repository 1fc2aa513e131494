//! The descriptor of a probe kind. Together with the list in [`super`] it is the only thing that differs by kind outside of the
//! prober.
//!
//! Nothing here but [`Kind::destinations`] and [`Kind::runs`] has a default, so a new kind compiles only when its descriptor is complete.

use super::{
    refused::{Field, Refusal},
    secret::Secret,
};
use crate::hide::Clear;

/// A probe kind, implemented by its parameters.
pub trait Kind {
    /// Describes the kind with its parameters. Implementations destructure the parameters without `..`, so that a new parameter does not compile before it
    /// is considered.
    fn about(&self) -> About<'_>;

    /// Returns all destinations: each the host, without brackets, and the port. The first one is that of [`Reach::to`]. Where the values
    /// name no destination, there is none. A kind with one destination keeps this default.
    fn destinations(&self) -> Vec<(String, u16)> {
        self.about().reach.to.into_iter().collect()
    }

    /// Returns the program that a request runs, as an argument vector; `None` for a kind that opens connections itself.
    fn runs(&self) -> Option<&[String]> {
        None
    }

    /// Returns all errors in the parameters that can be found without reading a file. `check` calls this, and whoever runs the probe
    /// calls it again.
    fn invalid(&self) -> Vec<Refusal>;

    /// Returns the parameters that have no effect, for warnings. Each is a clause about the probe: `has …, but …`.
    fn vain(&self) -> Vec<Refusal>;
}

/// The facts of a kind that depend on no parameter, and its copy without secrets.
pub trait Form: Sized {
    /// A short table of this kind, for messages: `{ url = "http://edge/" }`.
    const EXAMPLE: &'static str;

    /// The keys whose values may be secrets. Excerpts of scenarios cover the values, also in tables that are wrong.
    const HIDES: &'static [(&'static str, Hides)];

    /// The keys whose texts are sent to a server, or compared with its answer, byte by byte.
    const AS_IT_IS: &'static [&'static str];

    /// Returns a copy without the texts that may be secrets.
    #[must_use]
    fn without_secrets(&self) -> Self;
}

/// The part of a value that may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hides {
    /// Parts of a URL.
    Url,
    /// Values of headers, by name.
    Headers,
    /// All of it.
    Whole,
    /// These keys of a table.
    Table(&'static [(&'static str, Hides)]),
}

/// The descriptor of a probe. It has no `Debug`, because it holds URLs and headers with their secrets.
#[derive(Clone)]
pub struct About<'a> {
    /// The request, for the table of a plan: `GET http://edge/`, `tcp db1:5432`. Without secrets.
    pub asks: String,
    /// The measured thing, for reports: `GET http://edge/`, `TCP connections to db1:5432`. Without secrets.
    pub measures: String,
    /// The destination.
    pub reach: Reach<'a>,
    /// The meaning of a good answer.
    pub shows: Shows,
    /// The connections that the probe can use.
    pub connections: Connections,
    /// The files and variables that the probe reads where it runs.
    pub reads: Vec<Read<'a>>,
    /// The names of the probe's secrets. `{name}` stands for the secret of that name.
    pub secrets: Vec<&'a str>,
    /// Texts in which a `{name}` without a secret of that name is most likely an error.
    pub fills: Vec<(Field, &'a str)>,
    /// Texts in clear that may be secrets.
    pub clear: Vec<Clear>,
}

/// The destination of a probe. It has no `Debug`, because a URL may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Reach<'a> {
    /// The value that names it.
    pub field: Field,
    /// The value itself: a URL or an address.
    pub text: &'a str,
    /// The host, without brackets, and the port, which is 0 for a protocol without ports; `None` where the value names no destination.
    pub to: Option<(String, u16)>,
}

/// The meaning of a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The service answers.
    Answers,
    /// Somebody takes connections, or the host is there; a service that answers nothing counts as good.
    Opens,
    /// The service takes records. They are read back, so that it shows what it keeps.
    Keeps,
}

/// The connections that a kind can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// New ones, or one that is used again.
    Any,
    /// New ones only. The text is the reason.
    New(&'static str),
}

/// Something that a probe reads on the machine that it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// The value that names it.
    pub field: Field,
    /// The place.
    pub from: Source<'a>,
    /// Whether it is secret. A file that is not secret may lie beside the scenario, so `check` looks for it.
    pub secret: bool,
}

impl<'a> Read<'a> {
    /// Returns the reading of a secret.
    pub(super) const fn secret(field: Field, secret: &'a Secret) -> Self {
        let from = match secret {
            Secret::SecretFile(path) => Source::File(path.as_str()),
            Secret::SecretEnv(name) => Source::Variable(name.as_str()),
        };
        Self { field, from, secret: true }
    }
}

/// A place that a probe reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A file, by its path.
    File(&'a str),
    /// An environment variable, by its name.
    Variable(&'a str),
}
