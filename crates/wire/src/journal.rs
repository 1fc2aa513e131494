//! The life of an injection, and the events that an agent journals and hands on in order.

use serde::{Deserialize, Serialize};

use crate::{InjectionId, RunId, evidence::Evidence};

/// The state of an injection.
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

/// The reason for an undo.
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
    /// It was armed, and the host's policy, which changed since, does not allow it. The detail says why.
    NotAllowed,
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
    /// The certificate of somebody who took part in its run is not trusted any more.
    Distrusted {
        /// The certificate's name.
        name: String,
    },
}

/// One thing that happened on a host, as journaled there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// Rises by one with each event of this agent's journal; starts at 1.
    pub seq: u64,
    /// The time by the host's clock that counts through suspend (CLOCK_BOOTTIME), in microseconds.
    pub boot_us: u64,
    /// The boot that the clock belongs to.
    pub boot_id: String,
    /// The time by the host's wall clock: microseconds since 1970 UTC. For people; never calculated with.
    pub wall_us: u64,
    /// The event itself.
    #[serde(flatten, deserialize_with = "known_or_not")]
    pub what: What,
}

/// Reads an event, also one of another version: a reader must not lose the other events because of it.
fn known_or_not<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<What, D::Error> {
    let value = serde_json::Value::Object(serde_json::Map::deserialize(deserializer)?);
    Ok(What::deserialize(&value).unwrap_or_else(|_| What::Unknown { text: value.to_string() }))
}

/// An event on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The agent began to serve.
    AgentStarted {
        /// Its version.
        version: String,
        /// Number of injections that it found open and put back first.
        healed: u32,
        /// Damage of the journal, if any: a torn tail, a damaged record.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        damage: Vec<String>,
    },
    /// An injection went from one state to another.
    Changed {
        /// The injection.
        injection: InjectionId,
        /// Its run.
        run: RunId,
        /// Its state from now on.
        to: State,
        /// The reason for the undo, if it is being undone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<HealReason>,
        /// Details for people: the action, the finding or the error.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
        /// Things found on the way that others did: an administrator stopped the unit, a process was replaced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        foreign: Vec<String>,
    },
    /// An undo failed and will be tried again.
    UndoRetry {
        /// The injection.
        injection: InjectionId,
        /// Its run.
        run: RunId,
        /// The number of the try that failed, from 1.
        attempt: u32,
        /// The error.
        error: String,
    },
    /// One look at a fault in force.
    Looked {
        /// The injection.
        injection: InjectionId,
        /// Its run.
        run: RunId,
        /// The observation.
        evidence: Evidence,
    },
    /// The lease of a run ended without renewal; all of the run is being put back.
    LeaseExpired {
        /// The run.
        run: RunId,
    },
    /// Somebody undid a run that is known here and of which nothing was in force here, so that no change of an injection
    /// tells it: whoever coordinates the run is to end it everywhere.
    RunUndone {
        /// The run.
        run: RunId,
        /// The identity that asked.
        by: String,
    },
    /// The certificate of somebody who took part in a run is not trusted any more; all of the run is being put back.
    Distrusted {
        /// The run.
        run: RunId,
        /// The certificate's name.
        name: String,
        /// The certificate's serial number in hexadecimal.
        serial: String,
        /// The reason why it is not trusted.
        why: String,
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
    /// An event of another version, which this one cannot read: its text. Nothing that it may have said is guessed.
    Unknown {
        /// The event in JSON, as it was received.
        text: String,
    },
}

impl What {
    /// A change of an injection's state, without details.
    #[must_use]
    pub fn changed(injection: &InjectionId, run: &RunId, to: State, reason: Option<HealReason>) -> Self {
        let (injection, run) = (injection.clone(), run.clone());
        Self::Changed { injection, run, to, reason, detail: String::new(), foreign: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_another_version_are_kept_as_they_came() {
        let read = |what: &str| {
            let text = format!(r#"{{"seq":7,"boot_us":1,"boot_id":"b","wall_us":2,{what}}}"#);
            serde_json::from_str::<AgentEvent>(&text).expect("an event")
        };
        assert_eq!(read(r#""event":"halted","by":"alice""#).what, What::Halted { by: "alice".into() });
        for later in [
            r#""event":"rolled-over","how":"far""#,
            r#""event":"changed","injection":"r-1-1","run":"r","to":"half-done""#,
        ] {
            let event = read(later);
            let What::Unknown { text } = &event.what else { panic!("{event:?}") };
            assert!(event.seq == 7 && text.contains("rolled-over") || text.contains("half-done"), "{text}");
            let again: AgentEvent =
                serde_json::from_str(&serde_json::to_string(&event).expect("prints")).expect("reads back");
            assert_eq!(again, event);
        }
    }
}
