//! Audit records of requests and events, and their text for people.

use std::fmt;

use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode,
    api::{Undo, UndoAnswer, UndoScope},
    journal::{AgentEvent, HealReason, What},
    text::{NAME_MOST, TEXT_MOST, clean, cleaned},
};
use serde::{Deserialize, Serialize};

use crate::caller::Caller;

/// Maximum length of a detail, in characters, so that one request cannot fill the files.
const DETAIL_MOST: usize = 500;

/// An entry of the audit files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A request.
    Request(Request),
    /// An event of an injection, a halt or the agent.
    Event(AgentEvent),
}

/// A request that could harm or heal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The time of the answer, in microseconds since 1970 UTC.
    pub wall_us: u64,
    /// The certificate's name; `root@HOST` for root on the host.
    pub who: String,
    /// The certificate's serial number in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub certificate: String,
    /// The address of the caller.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The operation: `prepare`, `arm`, `renew`, `probes`, `stop-probes`, `exchange`, `undo`, `release`, `connect`.
    pub what: String,
    /// The run of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// The result.
    pub outcome: Outcome,
    /// The code of a refusal, as the caller got it: the name of a [`RefusalCode`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Details, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Number of similar requests since the previous record that were not recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was accepted and done.
    Accepted,
    /// It was refused or failed.
    Refused,
}

impl Outcome {
    /// Returns the word for files and fields.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

impl Request {
    /// Makes an accepted request, with the present time.
    #[must_use]
    pub fn accepted(who: &str, what: &str) -> Self {
        Self {
            wall_us: clock::wall_us(),
            who: clean(who, NAME_MOST).into_owned(),
            certificate: String::new(),
            from: String::new(),
            what: what.to_owned(),
            run: String::new(),
            outcome: Outcome::Accepted,
            code: String::new(),
            detail: String::new(),
            more: 0,
        }
    }

    /// Makes an accepted request of a caller, with the present time.
    #[must_use]
    pub fn by(caller: &Caller, what: &str) -> Self {
        let certificate =
            caller.certificate.as_ref().map(|certificate| certificate.serial.clone()).unwrap_or_default();
        Self { certificate, ..Self::accepted(&caller.name, what) }
    }

    /// Returns the request as refused, with the reason.
    #[must_use]
    pub fn refused(self, code: &RefusalCode, why: &str) -> Self {
        Self {
            outcome: Outcome::Refused,
            code: clean(code.as_str(), NAME_MOST).into_owned(),
            ..self.detail(why)
        }
    }

    /// Returns the request with a detail.
    #[must_use]
    pub fn detail(self, detail: &str) -> Self {
        Self { detail: clean(detail, DETAIL_MOST).into_owned(), ..self }
    }
}

impl Entry {
    /// Returns the time of the entry, in microseconds since 1970 UTC.
    #[must_use]
    pub const fn wall_us(&self) -> u64 {
        match self {
            Self::Request(request) => request.wall_us,
            Self::Event(event) => event.wall_us,
        }
    }

    /// Returns the run that the entry is about; empty if there is none.
    #[must_use]
    pub fn run(&self) -> &str {
        match self {
            Self::Request(request) => &request.run,
            Self::Event(event) => match &event.what {
                What::Changed { run, .. }
                | What::UndoRetry { run, .. }
                | What::Looked { run, .. }
                | What::LeaseExpired { run }
                | What::RunUndone { run, .. }
                | What::Distrusted { run, .. } => run.as_str(),
                _ => "",
            },
        }
    }

    /// Returns the name of the person who asked for this, or whose certificate is not trusted any more; empty if the entry
    /// names nobody.
    #[must_use]
    pub fn who(&self) -> &str {
        match self {
            Self::Request(request) => &request.who,
            Self::Event(event) => match &event.what {
                What::Halted { by }
                | What::Released { by }
                | What::RunUndone { by, .. }
                | What::Changed { reason: Some(HealReason::Asked { by }), .. } => by,
                What::Distrusted { name, .. }
                | What::Changed { reason: Some(HealReason::Distrusted { name }), .. } => name,
                _ => "",
            },
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", if self.who.is_empty() { "nobody known" } else { &self.who })?;
        if !self.certificate.is_empty() {
            write!(f, "(certificate {}) ", self.certificate)?;
        }
        if !self.from.is_empty() {
            write!(f, "from {} ", self.from)?;
        }
        write!(f, "{}", self.what)?;
        if !self.run.is_empty() {
            write!(f, " of run {}", self.run)?;
        }
        write!(f, ": {}", self.outcome.word())?;
        if !self.code.is_empty() {
            write!(f, " ({})", self.code)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if self.more > 0 {
            write!(f, "; {} more like it came before and are not listed", self.more)?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Request(request) => request.to_string(),
            Self::Event(event) => event_text(&event.what),
        };
        f.write_str(&cleaned(text, TEXT_MOST))
    }
}

/// Describes an undo in one line: its scope, and the injections that were undone.
#[must_use]
pub fn undone(undo: &Undo, answer: &UndoAnswer) -> String {
    let scope = match &undo.scope {
        UndoScope::Injection(id) => format!("fault {id}"),
        UndoScope::Run(run) => format!("run {run}"),
        UndoScope::All => "everything".to_owned(),
    };
    let halt = if undo.halt { ", with a halt" } else { "" };
    let ids: Vec<&str> = answer.injections.iter().map(|injection| injection.id.as_str()).collect();
    let undone = if ids.is_empty() { "nothing was in force".to_owned() } else { ids.join(", ") };
    let stuck = answer.stuck.len();
    let stuck = if stuck == 0 { String::new() } else { format!("; {stuck} could NOT be put back") };
    format!("{scope}{halt}: {undone}{stuck}")
}

/// Describes an event for people.
fn event_text(what: &What) -> String {
    let with_detail =
        |text: String, detail: &str| if detail.is_empty() { text } else { format!("{text}: {detail}") };
    match what {
        What::AgentStarted { version, healed, damage } => {
            let text = format!("agent {version} started, {healed} faults of an earlier one were put back");
            with_detail(text, &damage.join("; "))
        }
        What::Changed { injection, run, to, reason, detail, foreign } => {
            let state = word(to);
            let reason = reason.as_ref().map(|reason| format!(" ({})", why(reason))).unwrap_or_default();
            let details: Vec<&str> = std::iter::once(detail)
                .chain(foreign)
                .map(String::as_str)
                .filter(|text| !text.is_empty())
                .collect();
            with_detail(format!("fault {injection} of run {run} is {state}{reason}"), &details.join("; "))
        }
        What::UndoRetry { injection, attempt, error, .. } => {
            format!("attempt {attempt} to undo fault {injection} failed: {error}")
        }
        What::Looked { injection, evidence, .. } => format!("fault {injection}: {}", evidence.detail),
        What::LeaseExpired { run } => format!("the lease of run {run} ended"),
        What::RunUndone { run, by } => format!("{by} undid run {run}"),
        What::Distrusted { run, name, serial, why } => {
            format!(
                "run {run} is put back, because the certificate {serial} of {name} is not trusted any more: {why}"
            )
        }
        What::Halted { by } => format!("{by} halted this host"),
        What::Released { by } => format!("{by} released the halt"),
        What::Unknown { text } => format!("an event of another version: {text}"),
    }
}

/// Describes for people why a fault was undone.
fn why(reason: &HealReason) -> String {
    match reason {
        HealReason::Asked { by } => format!("asked by {by}"),
        HealReason::Distrusted { name } => format!("the certificate of {name} is not trusted any more"),
        other => word(other),
    }
}

/// Returns a unit variant's name as it is serialized, with spaces instead of hyphens; empty for other variants.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('-', " "),
        _ => String::new(),
    }
}
