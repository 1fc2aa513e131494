//! The claim of a game day in the form that the runs of the game day get, so that they can ignore it. Claims no hosts itself; that is
//! `whole.rs`.

use std::sync::{Arc, OnceLock};

use firedrill_wire::RunId;

/// The claim of a game day, for the runs of that game day.
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

    /// Returns the person who asked on this machine for an undo on the game day's hosts since the claim began; `None` if nobody did.
    #[must_use]
    pub fn undone_by(&self) -> Option<&str> {
        self.undone_by.get().map(String::as_str)
    }
}
