//! The claim of a game day, as the runs that are a part of it know it. Keeps no hosts: that is `whole.rs`.

use std::sync::{Arc, OnceLock};

use firedrill_wire::RunId;

/// The claim of a game day, as its own runs know it.
#[derive(Clone, Debug)]
pub struct Within {
    id: RunId,
    undone_by: Arc<OnceLock<String>>,
}

impl Within {
    pub(super) const fn new(id: RunId, undone_by: Arc<OnceLock<String>>) -> Self {
        Self { id, undone_by }
    }

    /// Returns the name of the claim.
    pub(super) const fn id(&self) -> &RunId {
        &self.id
    }

    /// Returns the person who undid something on the game day's hosts since it began, on this machine.
    #[must_use]
    pub fn undone_by(&self) -> Option<&str> {
        self.undone_by.get().map(String::as_str)
    }
}
