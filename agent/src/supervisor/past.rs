//! The part of an injection that comparisons of hosts need. Small, because many are kept.

use firedrill_wire::{
    InjectionId, RunId,
    api::{About, Claim},
    journal::State,
};
use serde::{Deserialize, Serialize};

use crate::{journal::Intent, snapshot::Other};

/// An injection's [`Past`] in one block of memory: each small block that is kept keeps a whole page in use.
#[derive(Debug)]
pub(super) struct Kept {
    /// The injection's id, and its past as JSON.
    text: Box<str>,
    id_bytes: usize,
    pub(super) state: State,
    /// When it ended (CLOCK_BOOTTIME, microseconds).
    pub(super) ended_boot_us: Option<u64>,
}

impl Kept {
    /// Returns `None` if it cannot be kept.
    pub(super) fn of(id: &InjectionId, past: &Past, ended_boot_us: Option<u64>) -> Option<Self> {
        let text = format!("{id}{}", serde_json::to_string(past).ok()?).into();
        Some(Self { text, id_bytes: id.as_str().len(), state: past.state, ended_boot_us })
    }

    /// Whether it is of this injection.
    pub(super) fn is(&self, id: &InjectionId) -> bool {
        self.text.get(..self.id_bytes) == Some(id.as_str())
    }

    /// Returns the injection's id and its past; `None` if they cannot be read.
    pub(super) fn past(&self) -> Option<(InjectionId, Past)> {
        let (id, past) = self.text.split_at_checked(self.id_bytes)?;
        Some((id.parse().ok()?, serde_json::from_str(past).ok()?))
    }
}

/// The claims of an injection and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    pub(super) run: RunId,
    /// For people: run, drill and operator.
    label: String,
    /// Its claims. Empty if it has nothing to undo, because everything was already as somebody else had set it.
    pub(super) claims: Vec<Claim>,
    pub(super) state: State,
    /// Changes by others that its undo found.
    pub(super) foreign: Vec<String>,
    /// When it ended, by the wall clock in microseconds.
    pub(super) ended_wall_us: Option<u64>,
}

impl Past {
    pub(super) fn of(intent: &Intent, state: State, foreign: &[String], ended_wall_us: Option<u64>) -> Self {
        let prepared = &intent.live.prepared;
        let touched = !prepared.undo.is_empty() || !intent.live.ask.fault.reversible();
        let About { drill, operator, .. } = &intent.about;
        Self {
            run: intent.run.clone(),
            label: format!("run {} ({drill}, by {operator})", intent.run),
            claims: if touched { prepared.claims.clone() } else { Vec::new() },
            state,
            foreign: foreign.to_vec(),
            ended_wall_us,
        }
    }

    /// Returns it as seen by another run whose snapshot was taken at that time. Objects with its name belong to it at
    /// any time.
    pub(super) fn into_other(self, injection: InjectionId, since_wall_us: u64) -> Other {
        let in_time = self.ended_wall_us.is_none_or(|ended| ended >= since_wall_us);
        // An injection that has not started has only objects with its name.
        let touched = in_time && !matches!(self.state, State::Armed | State::Disarmed);
        let claims = if touched { self.claims } else { Vec::new() };
        Other { injection, claims, open: self.state.is_open(), run: self.label }
    }
}
