//! `events.jsonl`: the one source that the screen, the score and every report read.
//!
//! One record a line, appended and never changed. All times in it are microseconds on the run's clock: since the run
//! began, by a clock of the coordinator that counts through suspend; times from agents are mapped onto it by the
//! offset that was measured, whose uncertainty stands in `Clock` records. A log may be cut at any record.
//!
//! What was measured is by far the most: it is written in blocks of some seconds of all vantages (`docs/log.md`), and never
//! held in memory as a whole. A [`Log`] has all other records, and knows where the blocks lie.

mod measured;
mod pending;
mod read;
mod scales;
mod write;

pub(crate) use measured::Damaged;
pub use measured::Log;
pub use read::{parse, read};
pub(crate) use scales::Scales;
pub use write::Writer;

#[cfg(test)]
mod tests;

use firedrill_wire::{
    InjectionId, RunId, Span, api,
    exchange::{Exchange, Exchanged},
    journal,
    probe::Bin,
    text::{self, Breaks},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    plan::{Plan, model::Phase},
    verdict::Verdict,
};

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format's version.
    pub v: u32,
    /// Rises by one with each record; starts at 1.
    pub seq: u64,
    /// When it was written, on the run's clock, in microseconds.
    pub at_us: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The format's version that this build writes.
    pub const VERSION: u32 = 1;

    /// Reads a line. Whoever wrote it, what it tells people is cleaned.
    ///
    /// # Errors
    /// It is no record of this version.
    pub fn of_line(line: &[u8]) -> serde_json::Result<Self> {
        from_line(line)
    }
}

/// Keys of a plan's probes whose texts are compared or sent byte by byte; all other texts are one line each.
const AS_IT_IS: [&str; 2] = ["body", "contains"];

/// Reads a line of a log. Its texts are cleaned: none but those of [`AS_IT_IS`] keeps a line break, with which a name could forge
/// another line on a terminal.
fn from_line<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    let escape = |pair: &[u8]| pair[0] == b'\\' && b"nrtu".contains(&pair[1]);
    if !line.windows(2).any(escape) {
        return text::from_json(line, Breaks::Kept);
    }
    let mut value = serde_json::from_slice(line)?;
    one_line(&mut value);
    text::from_json(&serde_json::to_vec(&value)?, Breaks::Kept)
}

fn one_line(value: &mut serde_json::Value) {
    use serde_json::Value;
    let breaks = ['\n', '\r', '\t'];
    match value {
        Value::String(text) if text.contains(breaks) => *text = text.replace(breaks, " "),
        Value::Array(all) => all.iter_mut().for_each(one_line),
        Value::Object(all) => {
            all.iter_mut()
                .filter(|(key, _)| !AS_IT_IS.contains(&key.as_str()))
                .for_each(|(_, one)| one_line(one));
            if all.keys().any(|key| key.contains(breaks)) {
                let old = std::mem::take(all);
                all.extend(old.into_iter().map(|(key, one)| (key.replace(breaks, " "), one)));
            }
        }
        _ => {}
    }
}

/// When packets were exchanged, as to the fault that this is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// In the baseline.
    Before,
    /// While it is in force.
    During,
    /// After it was put back.
    After,
}

impl Moment {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first record.
    RunStarted {
        /// The run.
        run: RunId,
        /// All that will happen.
        plan: Box<Plan>,
        /// Wall clock of time 0, RFC 3339 UTC.
        wall: String,
        /// Who runs it.
        operator: String,
        /// Firedrill's version.
        version: String,
        /// Which try this is, from 1 (`retry_unknown`).
        #[serde(default = "one")]
        attempt: u32,
    },
    /// What an agent said it would do. One for each injection.
    Prepared {
        /// The host.
        host: String,
        /// The attack, by its place in the plan.
        attack: usize,
        /// The answer.
        prepared: api::PreparedOne,
    },
    /// A host's clock against the run's.
    Clock {
        /// The host.
        host: String,
        /// Its CLOCK_BOOTTIME at the run's time 0, in microseconds.
        boot_at_zero_us: i64,
        /// Half of the round trip that this was measured with, in microseconds.
        uncertainty_us: u64,
        /// Its boot.
        boot_id: String,
    },
    /// A phase of an attack began.
    Phase {
        /// The attack, by its place in the plan.
        attack: usize,
        /// The phase.
        phase: Phase,
        /// When it is planned to end, on the run's clock, in microseconds.
        until_us: i64,
    },
    /// An injection was armed on its host.
    Armed {
        /// The attack.
        attack: usize,
        /// The injection.
        injection: InjectionId,
        /// The host.
        host: String,
        /// The fault's kind.
        kind: String,
        /// When it is to start, on the run's clock, in microseconds.
        start_us: i64,
        /// How long it is to stay.
        hold: Span,
    },
    /// An agent journaled something. Every event of the agents is here, also those read after a link came back.
    Agent {
        /// The host.
        host: String,
        /// When it happened there, on the run's clock, in microseconds.
        happened_us: i64,
        /// What.
        what: journal::AgentEvent,
    },
    /// Two hosts exchanged packets over a path that a fault is about.
    Exchanged {
        /// The attack, by its place in the plan.
        attack: usize,
        /// The injection that this is about.
        injection: InjectionId,
        /// Before it, while it is in force, or after it.
        moment: Moment,
        /// The host that asked.
        asker: String,
        /// The host that was asked.
        other: String,
        /// When it began, on the run's clock, in microseconds; this record stands at its end.
        from_us: i64,
        /// What was asked.
        ask: Exchange,
        /// What came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        met: Option<Exchanged>,
        /// Why nothing did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A vantage measured. As it comes in, and in logs that earlier versions wrote; a [`Writer`] puts it into [`Self::Bins`].
    Bin {
        /// `coordinator` or a host's name.
        vantage: String,
        /// The bin's start on the run's clock, in microseconds.
        start_us: i64,
        /// What was measured.
        bin: Bin,
    },
    /// Measurements of all vantages in some seconds (`docs/log.md`).
    Bins {
        /// When the first of the bins begins, on the run's clock, in microseconds.
        from_us: i64,
        /// When the last of them ends.
        until_us: i64,
        /// Number of bins.
        bins: u64,
        /// The bins: [`firedrill_probe::seconds`] in base64.
        data: String,
    },
    /// The link to a host broke.
    LinkLost {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The link to a host works again.
    LinkBack {
        /// The host.
        host: String,
        /// Whether it is another boot than before.
        rebooted: bool,
    },
    /// People were asked.
    ApprovalAsked {
        /// The attack.
        attack: usize,
        /// How many must agree.
        people: u32,
    },
    /// Somebody answered.
    ApprovalGiven {
        /// The attack.
        attack: usize,
        /// Who.
        by: String,
        /// Yes or no.
        yes: bool,
        /// The serial number of the certificate that they signed with; none for a word on the terminal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A guard's condition was met, or could not be evaluated for too long. The run aborts.
    GuardTripped {
        /// Which, and with which figures.
        why: String,
        /// Whether it was blindness.
        blind: bool,
    },
    /// The coordinator itself was not running (sleep, stop) for so long.
    Gap {
        /// From, on the run's clock, in microseconds.
        from_us: i64,
        /// To, on the run's clock, in microseconds.
        to_us: i64,
    },
    /// An attack ended.
    AttackEnded {
        /// The attack.
        attack: usize,
        /// How.
        outcome: Outcome,
        /// The verdict that the run went on with, where it ran (a report computes its own).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
    },
    /// How a host ended.
    HostEnded {
        /// The host.
        host: String,
        /// Its state and what was found.
        end: api::EndState,
    },
    /// Something that people should know and that no other record says.
    Note {
        /// What.
        text: String,
    },
    /// A record that this version has no word for. Only reading makes one; it is never written. What it said may have
    /// mattered, so a run with one is `unknown` at best.
    #[serde(skip)]
    Unknown {
        /// What it calls itself.
        name: String,
        /// What is known of it, for people.
        text: String,
    },
    /// The last record. A log without it is of a run that did not end in order.
    RunEnded {
        /// How.
        outcome: RunOutcome,
    },
}

const fn one() -> u32 {
    1
}

/// How an attack ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All its phases were gone through.
    Ran,
    /// It was begun and healed before its end.
    Aborted(String),
    /// It was not begun, and why.
    NotRun(String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// All attacks had their turn (some may be `not run`).
    Completed,
    /// A guard aborted it.
    Guarded(String),
    /// A person or a signal stopped it.
    Stopped(String),
    /// An agent refused, or the first baseline did not hold; nothing was touched.
    Refused(String),
    /// It could not go on: sleep, no settling, a stuck host, a time limit.
    Failed(String),
}

impl RunOutcome {
    /// Why it ended, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Completed => "it is complete",
            Self::Guarded(why) | Self::Stopped(why) | Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}

/// A log could not be read or written. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be opened, read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process writes it.
    #[error("{} is being written by another firedrill; follow it with `firedrill watch`, or wait until it ends", path.display())]
    Busy {
        /// The file.
        path: std::path::PathBuf,
    },
    /// A line before the last is not a record. Nothing after it can be trusted.
    #[error("{} line {line} is damaged: {why}; restore the file from a copy, nothing in it was changed", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The record could not be put into JSON.
    #[error("cannot write a record to {} as JSON", path.display())]
    Encode {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}
