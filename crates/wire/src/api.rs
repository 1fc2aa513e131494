//! The bodies of `/v1`, in the order in which a run uses them.
//!
//! | call | body → answer |
//! |---|---|
//! | `GET /v1/status` | → [`AgentStatus`] |
//! | `GET /v1/clock` | → [`Clock`] |
//! | `GET /v1/doctor` | → [`Doctor`] |
//! | `POST /v1/runs/{run}/prepare` | [`Prepare`] → [`PrepareAnswer`] |
//! | `POST /v1/runs/{run}/arm` | [`Arm`] → [`Armed`] |
//! | `POST /v1/runs/{run}/renew` | [`Renew`] → [`Renewed`] |
//! | `POST /v1/runs/{run}/probes` | [`StartProbes`] → `{}`; a second call replaces the first |
//! | `POST /v1/runs/{run}/read-back` | `{}` → [`ReadBacks`](crate::writes::ReadBacks); answers when the records are compared |
//! | `DELETE /v1/runs/{run}/probes` | → `{}`; bins can still be fetched |
//! | `POST /v1/runs/{run}/exchange` | [`crate::exchange::Exchange`] → [`crate::exchange::Exchanged`], when it is over |
//! | `GET /v1/runs/{run}/bins?after=N` | → server-sent events, each a [`crate::probe::Bin`], id = its `seq` |
//! | `POST /v1/runs/{run}/logs` | [`crate::logs::StartLogs`] → `{}`; a second call replaces the first |
//! | `DELETE /v1/runs/{run}/logs` | → `{}`; bins can still be fetched |
//! | `GET /v1/runs/{run}/log-bins?after=N` | → server-sent events, each a [`crate::logs::LogBin`], id = its `seq` |
//! | `GET /v1/events?after=N` | → server-sent events, each a [`crate::journal::AgentEvent`], id = its `seq` |
//! | `POST /v1/undo` | [`Undo`] → [`UndoAnswer`] |
//! | `POST /v1/release` | `{}` → `{}` |
//! | `POST /v1/runs/{run}/finish` | `{}` → [`EndState`]: compares with the snapshot from the run's first prepare |
//!
//! All streams also resume by the `Last-Event-ID` header, and stay open for further events. A comment comes every second.
//! If a stream ends in order (the run's probes or readers have stopped, and all was sent), its last event is of the type [`END`];
//! without that event it was cut.
//! Every refusal has status 4xx or 5xx and a [`Problem`].

mod prepare;
mod status;

use serde::{Deserialize, Serialize};

use crate::{InjectionId, RefusalCode, RunId, Span, journal::State, probe::ProbeSpec, text};

pub use prepare::{
    Assertion, Claim, Means, Prepare, PrepareAnswer, PrepareOne, Prepared, PreparedOne, Signed,
};
pub use status::{AgentStatus, Doctor, EndState, Finding, Grade, HostState};

/// The type of the server-sent event that says that a stream has ended in order.
pub const END: &str = "end";

/// The reason why a call was refused. `application/problem+json`, after RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// The action, its object, and the error.
    pub title: String,
    /// The next step for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// The agent's clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// CLOCK_BOOTTIME in microseconds.
    pub boot_us: u64,
    /// The id of the boot.
    pub boot_id: String,
    /// The wall clock, in microseconds since 1970 UTC.
    pub wall_us: u64,
}

/// Journals injections that were prepared, to start together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// The plan's digest, as at prepare.
    pub plan_digest: String,
    /// The boot that the coordinator's clock offset was measured in.
    pub boot_id: String,
    /// The length of a silence of the coordinator after which the agent heals everything of the run.
    pub lease: Span,
    /// The drill, for people on the host.
    #[serde(default)]
    pub about: About,
    /// The injections.
    pub injections: Vec<ArmOne>,
}

impl Arm {
    /// Maximum number of injections that an agent arms at once. Each has a thread, and is checked again before it is armed.
    pub const MOST: usize = 100;
}

/// The description of a drill for people on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The scenario's name.
    #[serde(deserialize_with = "text::short")]
    pub drill: String,
    /// The person who started it. An agent takes the name of the certificate instead.
    #[serde(deserialize_with = "text::short")]
    pub operator: String,
    /// The ticket, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub ticket: Option<String>,
}

/// One injection that is to be armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmOne {
    /// Its id, as at prepare.
    pub id: InjectionId,
    /// The time of its start, by the agent's CLOCK_BOOTTIME, in microseconds.
    pub start_boot_us: u64,
    /// Duration of the hold. At its end the agent undoes the injection by itself.
    pub hold: Span,
    /// The fingerprint from prepare.
    pub fingerprint: String,
}

/// All of the call's injections are journaled and will start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// The ids.
    pub injections: Vec<InjectionId>,
}

/// Shows that the coordinator is alive. An armed injection starts only if at least one renewal arrived after it was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// The length of the lease from now on.
    pub lease: Span,
}

/// The lease was renewed. A run whose lease has ended is not revived: that is a [`Problem`] `lease-over`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The agent's clocks, so that each renewal also measures the offset.
    pub clock: Clock,
    /// The newest event in the journal.
    pub last_seq: u64,
    /// The open injections of the run.
    pub open: Vec<OpenOne>,
}

/// One injection on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOne {
    /// Its id.
    pub id: InjectionId,
    /// Its run.
    pub run: RunId,
    /// The fault's kind.
    pub kind: String,
    /// Its state.
    pub state: State,
    /// The time at which it ends by itself, by CLOCK_BOOTTIME in microseconds. Until it is in force this is the planned end: a slow
    /// start moves it.
    pub ends_boot_us: u64,
    /// Its effects, for people.
    pub effects: Vec<String>,
    /// About the drill.
    #[serde(default)]
    pub about: About,
    /// Whether it is armed and the lease was renewed since, so that it starts at its time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due: bool,
}

/// Undoes injections. Never refused to a person whose certificate this agent's authority has signed and not revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The scope: what is undone.
    pub scope: UndoScope,
    /// Whether to halt the agent: it refuses every further injection until somebody releases it.
    #[serde(default)]
    pub halt: bool,
}

/// The scope: what is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndoScope {
    /// One injection. An id that is not known leaves a tombstone: a delayed arm for it is refused.
    Injection(InjectionId),
    /// All injections of a run. A run that is not known leaves a tombstone.
    Run(RunId),
    /// Everything.
    All,
}

/// The result of an undo. Sent when the undo has ended, not before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoAnswer {
    /// Each injection that was open, with the state it is in now.
    pub injections: Vec<OpenOne>,
    /// Known runs that this ends. A coordinator that follows this agent's events learns of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
    /// Injections that could not be undone, each with the attempt and the manual steps.
    pub stuck: Vec<String>,
    /// Objects that were removed from the kernel because they had Firedrill's name and belonged to no live injection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swept: Vec<String>,
    /// Damage to the records of injections that was found when the agent started: more may have been in force than is reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// Starts probes on the agent. They go on if the link is cut; their measurements are kept until they were read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartProbes {
    /// The probes.
    pub probes: Vec<ProbeSpec>,
    /// The probes stop by themselves after this time, even if nobody stops them; at most [`StartProbes::LONGEST`].
    pub at_most: Span,
    /// The environment of the scenario, for the policy (`prod`, `ci`, …).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub environment: Option<String>,
    /// The name of this vantage in the run. It makes the keys of its records different from those of other vantages. Without it, the host's own name
    /// is used.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub vantage: Option<String>,
}

impl StartProbes {
    /// Maximum number of probes of one run on an agent.
    pub const MOST: usize = 256;
    /// The longest time that an agent measures for one run: seven days.
    pub const LONGEST: Span = Span::secs(7 * 24 * 3600);
}
