//! What the control room needs of the program around it: the way to runs that go on.

use std::{future::Future, pin::Pin};

use firedrill_wire::RunId;

/// The result of an attempt to halt a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    /// Its coordinator has taken the halt, and ends the run.
    Ends,
    /// The run ends already, or has ended.
    Over,
    /// There is no coordinator of this run on this machine that this user can reach.
    Nowhere,
    /// Its coordinator did not answer.
    Silent(String),
}

/// What a future of this crate's traits is.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The program around the control room.
pub trait Outside: Send + Sync + 'static {
    /// Asks the coordinator of a run on this machine to end it and to put everything back. `by` names the person. Takes a few seconds at
    /// most.
    fn halt<'a>(&'a self, run: &'a RunId, by: &'a str) -> Later<'a, Halted>;
}
