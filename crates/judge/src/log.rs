//! `events.jsonl`: the only source of the screen, the score and every report.
//!
//! One record a line, appended and never changed. All times are microseconds since the run began, by a clock of the
//! coordinator that counts through suspend. Times from agents are mapped onto it by the measured offset, whose
//! uncertainty is in `Clock` records. A log may be cut at any record.
//!
//! Measurements are by far the largest part: they are written in blocks of some seconds of all vantages
//! (`docs/log.md`), and never held in memory as a whole. A [`Log`] has all other records, and the positions of the
//! blocks.

mod clean;
mod error;
mod host_log;
mod leader;
mod line;
mod measured;
mod outcome;
mod pending;
mod read;
mod sample;
mod scales;
mod source_clock;
mod step;
mod write;
mod writes;

pub use error::LogError;
pub use host_log::{HostLog, KeptLine};
pub use leader::LeaderAsked;
pub(crate) use measured::Damaged;
pub use measured::Log;
pub use outcome::{Outcome, RunOutcome};
pub use read::{parse, read};
pub use sample::{Lack, Sample};
pub(crate) use scales::Scales;
pub use source_clock::SourceClock;
pub use step::{ProgramEnd, StepOutcome};
pub use write::{Writer, is_written};
pub use writes::{WriteExample, WritesRead};

#[cfg(test)]
mod tests;

use firedrill_plan::plan::{Plan, model::Phase};
use firedrill_sources::AlertSeen;
use firedrill_wire::{
    InjectionId, RunId, Span, api,
    exchange::{Exchange, Exchanged},
    journal,
    probe::Bin,
};
use serde::{Deserialize, Serialize};

use self::clean::from_line;
use crate::verdict::Verdict;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format's version.
    pub v: u32,
    /// Rises by one with each record; starts at 1.
    pub seq: u64,
    /// Time at which it was written, on the run's clock, in microseconds.
    pub at_us: i64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// The format's version that this build writes.
    pub const VERSION: u32 = 1;

    /// Parses a line. All texts for people in it are cleaned.
    ///
    /// # Errors
    /// The line is no record of this version.
    pub fn of_line(line: &[u8]) -> serde_json::Result<Self> {
        from_line(line)
    }
}

/// The time of an exchange of packets, relative to its fault.
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
    /// Returns its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first record.
    RunStarted {
        /// The run.
        run: RunId,
        /// The plan.
        plan: Box<Plan>,
        /// Wall clock of time 0, RFC 3339 UTC.
        wall: String,
        /// The person who runs it.
        operator: String,
        /// Firedrill's version.
        version: String,
        /// Number of this try, from 1 (`retry_unknown`).
        #[serde(default = "one")]
        attempt: u32,
    },
    /// An agent's answer to prepare; one for each injection.
    Prepared {
        /// The host.
        host: String,
        /// The attack, by its index in the plan.
        attack: usize,
        /// The answer.
        prepared: api::PreparedOne,
    },
    /// The offset of a host's clock to the run's clock.
    Clock {
        /// The host.
        host: String,
        /// The host's CLOCK_BOOTTIME at the run's time 0, in microseconds.
        boot_at_zero_us: i64,
        /// Half of the round trip of the measurement, in microseconds.
        uncertainty_us: u64,
        /// Its boot.
        boot_id: String,
    },
    /// A phase of an attack began.
    Phase {
        /// The attack, by its index in the plan.
        attack: usize,
        /// The phase.
        phase: Phase,
        /// Planned end on the run's clock, in microseconds.
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
        /// Planned start on the run's clock, in microseconds.
        start_us: i64,
        /// The planned hold.
        hold: Span,
    },
    /// An agent journaled an event. The log has all events of the agents, also those read after a link came back.
    Agent {
        /// The host.
        host: String,
        /// Time at which it happened, on the run's clock, in microseconds.
        happened_us: i64,
        /// The event.
        what: journal::AgentEvent,
    },
    /// Two hosts exchanged packets over a path that a fault is about.
    Exchanged {
        /// The attack, by its index in the plan.
        attack: usize,
        /// The injection of the fault.
        injection: InjectionId,
        /// Before it, while it is in force, or after it.
        moment: Moment,
        /// The host that sent requests.
        asker: String,
        /// The host that was to answer.
        other: String,
        /// Start on the run's clock, in microseconds; the record is written at the end.
        from_us: i64,
        /// The exchange.
        ask: Exchange,
        /// The result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        met: Option<Exchanged>,
        /// The reason why there is no result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A vantage measured a second. Used in memory and in logs of earlier versions; a [`Writer`] puts it into
    /// [`Self::Bins`].
    Bin {
        /// `coordinator` or a host's name.
        vantage: String,
        /// The bin's start on the run's clock, in microseconds.
        start_us: i64,
        /// The measurements.
        bin: Bin,
    },
    /// Measurements of all vantages in some seconds (`docs/log.md`).
    Bins {
        /// Start of the first bin on the run's clock, in microseconds.
        from_us: i64,
        /// End of the last bin.
        until_us: i64,
        /// Number of bins.
        bins: u64,
        /// The bins: [`firedrill_probe::seconds`] in base64.
        data: String,
    },
    /// A source was asked about an objective.
    Sampled {
        /// The objective.
        objective: String,
        /// The last moment that was asked for, on the run's clock, in microseconds.
        until_us: i64,
        /// Its samples since the last answer, in the order of time.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        samples: Vec<Sample>,
        /// Uncertainty of the source's clock, in microseconds.
        unsure_us: i64,
        /// The time that the questions took, in microseconds.
        took_us: i64,
        /// The reason why there is no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
        /// Whether the question before had no answer, either, for the same reason.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// A source was asked whether an alert is firing.
    AlertSeen {
        /// The objective. Others about the same alert rest on the same record.
        objective: String,
        /// Time at which the question was sent, on the run's clock, in microseconds.
        asked_us: i64,
        /// Time at which the answer was there, or at which the wait for it ended.
        answered_us: i64,
        /// The source's clock; `None` if its answers do not give the time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<SourceClock>,
        /// The alerts that were firing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        firing: Vec<AlertSeen>,
        /// The reason why there is no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// An agent read a log.
    HostLog(HostLog),
    /// A vantage compared what it wrote with what the store has.
    WritesRead(WritesRead),
    /// The link to a host broke.
    LinkLost {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// The link to a host works again.
    LinkBack {
        /// The host.
        host: String,
        /// Whether the host was rebooted meanwhile.
        rebooted: bool,
    },
    /// People were asked for approval.
    ApprovalAsked {
        /// The attack.
        attack: usize,
        /// Number of people who must agree.
        people: u32,
    },
    /// A person answered.
    ApprovalGiven {
        /// The attack.
        attack: usize,
        /// The person.
        by: String,
        /// Yes or no.
        yes: bool,
        /// The serial number of the certificate that they signed with; `None` for an answer on the terminal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
        /// The means by which they signed; `None` for an answer on the terminal, and in logs of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        means: Option<api::Means>,
    },
    /// A person asked the run to pause before its next attack.
    PauseAsked {
        /// The attack before which it pauses, if that gets its turn.
        attack: usize,
        /// The person.
        by: String,
        /// The maximum of the pause.
        longest: Span,
    },
    /// The run pauses before an attack. Nothing is armed or in force, and a baseline that had begun no longer counts.
    Paused {
        /// The attack.
        attack: usize,
        /// The person who asked for it.
        by: String,
        /// The time at which the run ends unless a person resumes it, in microseconds on the run's clock.
        until_us: i64,
        /// The same by the coordinator's wall clock, RFC 3339 UTC.
        until: String,
    },
    /// A person ended a pause, or took back the wish for one.
    Resumed {
        /// The attack that is next.
        attack: usize,
        /// The person.
        by: String,
    },
    /// A person asked for the next attack to be skipped.
    SkipAsked {
        /// The attack.
        attack: usize,
        /// The person.
        by: String,
    },
    /// The candidates of a moving target were asked who the leader is.
    LeaderAsked(LeaderAsked),
    /// A step between attacks began: a person is asked for it, or its program is started.
    StepBegan {
        /// The step, by its index in the plan.
        step: usize,
        /// The time at which it is over at the latest, on the run's clock, in microseconds.
        until_us: i64,
        /// The same by the coordinator's wall clock, RFC 3339 UTC.
        until: String,
    },
    /// A step is over.
    StepEnded {
        /// The step.
        step: usize,
        /// The outcome.
        outcome: StepOutcome,
        /// The person who reported the outcome; `None` for a program, and if no person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The person's note, or the reason of the outcome; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
        /// The end of its program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<ProgramEnd>,
    },
    /// A person is asked to put back what was done by hand.
    PutBackAsked {
        /// The step that is put back.
        step: usize,
        /// The time until which the run waits for the answer, on the run's clock, in microseconds.
        until_us: i64,
        /// The same by the coordinator's wall clock, RFC 3339 UTC.
        until: String,
    },
    /// A person said whether a step by hand was put back, or the run stopped waiting for an answer.
    PutBackEnded {
        /// The step.
        step: usize,
        /// The outcome: only `done` means that it was put back.
        outcome: StepOutcome,
        /// The person who said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// The person's note, or the reason of the outcome; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A guard's condition was met, or could not be evaluated for too long. The run aborts.
    GuardTripped {
        /// The condition, and the figures that met it.
        why: String,
        /// Whether the condition could not be evaluated.
        blind: bool,
    },
    /// The coordinator itself was not running (sleep, stop) for a time.
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
        /// The outcome.
        outcome: Outcome,
        /// The verdict on which the run based its next step, if the attack ran (a report computes its own).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
    },
    /// The final state of a host.
    HostEnded {
        /// The host.
        host: String,
        /// Its state, and the findings of the comparison.
        end: api::EndState,
    },
    /// A note for people about something that no other record tells.
    Note {
        /// The text.
        text: String,
    },
    /// A record that this version does not know. Only reading creates it; it is never written. It may have been
    /// important, so a run with such a record is `unknown` at best.
    #[serde(skip)]
    Unknown {
        /// The record's name.
        name: String,
        /// A description for people, as far as it is known.
        text: String,
    },
    /// The last record. A log without it belongs to a run that did not end in order.
    RunEnded {
        /// The outcome.
        outcome: RunOutcome,
    },
}

const fn one() -> u32 {
    1
}
