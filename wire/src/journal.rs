//! The life of an injection, and the events that an agent journals and hands on in order.

use serde::{Deserialize, Serialize};

use crate::{InjectionId, RunId, evidence::Evidence};

/// Where an injection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The intent and its undo are journaled; nothing was touched yet.
    Armed,
    /// The effect is being made.
    Injecting,
    /// The effect is made.
    InForce,
    /// It is being put back.
    Undoing,
    /// Everything is as before.
    Undone,
    /// The effect was made and cannot be undone; nothing of ours remains to be done.
    Done,
    /// It never started, and now it never will.
    Disarmed,
    /// Putting back failed after all retries. A person has to look.
    Stuck,
}

impl State {
    /// Whether something may be there to undo (or is known to be stuck).
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Armed | Self::Injecting | Self::InForce | Self::Undoing | Self::Stuck)
    }
}

/// Why an injection is being put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealReason {
    /// Its hold is over: the planned end.
    HoldOver,
    /// The coordinator was not heard from for as long as the lease.
    LeaseExpired,
    /// Somebody asked for it; the identity that did.
    Asked {
        /// The certificate's name.
        by: String,
    },
    /// The effect could not be made, or not wholly.
    InjectFailed,
    /// The agent is being stopped or upgraded.
    AgentStopping,
    /// The agent found it in its journal when it started.
    FoundAtStart,
    /// The worker died or hung; the guardian healed.
    WorkerDied,
    /// The guardian died; the worker healed.
    GuardianDied,
}

/// One thing that happened on a host, as journaled there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// Rises by one with each event of this agent's journal; starts at 1.
    pub seq: u64,
    /// When, by the host's clock that counts through suspend (CLOCK_BOOTTIME), in microseconds.
    pub boot_us: u64,
    /// Which boot that clock belongs to.
    pub boot_id: String,
    /// When, by the host's wall clock: microseconds since 1970 UTC. For people; never calculated with.
    pub wall_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The agent began to serve.
    AgentStarted {
        /// Its version.
        version: String,
        /// How many injections it found open and put back first.
        healed: u32,
        /// What was wrong with the journal, if anything (a torn tail, a damaged record).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        damage: Vec<String>,
    },
    /// An injection went from one state to another.
    Changed {
        /// Which.
        injection: InjectionId,
        /// Of which run.
        run: RunId,
        /// Its state from now on.
        to: State,
        /// Why it is being put back, where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<HealReason>,
        /// What was done, found or went wrong, for people.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Things found on the way that others did: an administrator stopped the unit, a process was replaced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        foreign: Vec<String>,
    },
    /// An undo failed and will be tried again.
    UndoRetry {
        /// Which.
        injection: InjectionId,
        /// Of which run.
        run: RunId,
        /// The how-manieth try failed, from 1.
        attempt: u32,
        /// Why.
        error: String,
    },
    /// One look at a fault in force.
    Looked {
        /// Which.
        injection: InjectionId,
        /// Of which run.
        run: RunId,
        /// What was seen.
        evidence: Evidence,
    },
    /// The lease of a run ended without renewal; all of the run is being put back.
    LeaseExpired {
        /// Which run.
        run: RunId,
    },
    /// A halt was latched: nothing is injected until a person releases it.
    Halted {
        /// The identity that asked.
        by: String,
    },
    /// The halt was released.
    Released {
        /// The identity that asked.
        by: String,
    },
}
