//! The states of an injection, and the events that an agent writes to its journal and sends to coordinators, in order.
//!
//! "Put back" and "heal" both mean "undo".

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
    /// The effect was made and cannot be undone. The agent has nothing left to do for this injection.
    Done,
    /// It never started, and now it never will.
    Disarmed,
    /// Putting back failed after all retries. A person has to look.
    Stuck,
}

impl State {
    /// Whether the agent still has to undo the injection, or to disarm it. A stuck one is open, too.
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
    /// The lease expired: the coordinator did not renew it in time.
    LeaseExpired,
    /// Somebody asked for it.
    Asked {
        /// The name in the certificate of the person who asked.
        by: String,
    },
    /// It was armed, but the host's policy has changed since then and does not allow it. [`What::Changed`] has the reason as its detail.
    NotAllowed,
    /// The effect could not be made, or only a part of it.
    InjectFailed,
    /// The agent is being stopped or upgraded.
    AgentStopping,
    /// The agent started and found the injection open in its journal.
    FoundAtStart,
    /// The worker died or hung; the guardian healed.
    WorkerDied,
    /// The guardian died; the worker healed.
    GuardianDied,
    /// The agent no longer trusts the certificate of a person who took part in the run.
    Distrusted {
        /// The certificate's name.
        name: String,
    },
}

/// An event on a host, as in the agent's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvent {
    /// Rises by one with each event of this agent's journal; starts at 1.
    pub seq: u64,
    /// The time by the host's clock that counts through suspend (CLOCK_BOOTTIME), in microseconds.
    pub boot_us: u64,
    /// The boot that the clock belongs to.
    pub boot_id: String,
    /// The time by the host's wall clock: microseconds since 1970 UTC. For people: no code calculates with it.
    pub wall_us: u64,
    /// The event itself.
    #[serde(flatten, deserialize_with = "what_or_unknown")]
    pub what: What,
}

/// Reads an event. One that this version cannot read becomes [`What::Unknown`], so that the events after it are read all the same.
fn what_or_unknown<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<What, D::Error> {
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
        /// Number of open injections that it found and undid before it began to serve.
        healed: u32,
        /// The damage that it found in its journal, such as an incomplete last record.
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
        /// Changes by others that the agent noticed, such as a unit that an administrator stopped, or a process that was replaced.
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
    /// The agent checked a fault that is in force.
    Looked {
        /// The injection.
        injection: InjectionId,
        /// Its run.
        run: RunId,
        /// The observation.
        evidence: Evidence,
    },
    /// The lease of a run expired without a renewal. The agent undoes all injections of the run on its host.
    LeaseExpired {
        /// The run.
        run: RunId,
    },
    /// Somebody undid a known run of which nothing was in force on this host, so that there is no [`What::Changed`]. The run's coordinator then
    /// ends the run on all hosts.
    RunUndone {
        /// The run.
        run: RunId,
        /// The name in the certificate of the person who asked.
        by: String,
    },
    /// The agent no longer trusts the certificate of a person who took part in a run. It undoes all injections of the run on its host.
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
    /// Somebody halted the host: the agent injects nothing until a person releases it.
    Halted {
        /// The name in the certificate of the person who asked.
        by: String,
    },
    /// The halt was released.
    Released {
        /// The name in the certificate of the person who asked.
        by: String,
    },
    /// An event of another version that this version cannot read. Its text is kept, and its meaning is not guessed.
    Unknown {
        /// Its own fields as JSON, without those of [`AgentEvent`].
        text: String,
    },
}

impl What {
    /// Returns a change of an injection's state, without details.
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
        for (later, word) in [
            (r#""event":"rolled-over","how":"far""#, "rolled-over"),
            (r#""event":"changed","injection":"r-1-1","run":"r","to":"half-done""#, "half-done"),
        ] {
            let event = read(later);
            let What::Unknown { text } = &event.what else { panic!("{event:?}") };
            assert_eq!(event.seq, 7);
            assert!(text.contains(word), "{text}");
            let again: AgentEvent =
                serde_json::from_str(&serde_json::to_string(&event).expect("prints")).expect("reads back");
            assert_eq!(again, event);
        }
    }
}
