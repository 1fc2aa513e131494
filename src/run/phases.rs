//! The phases of a run, in their order: connect, prepare, the attacks, heal, prove. A phase takes only the parts of the run that it needs.
//! Phases that wait for input take the whole run, because an input may be for any part.

pub(super) mod attack;
pub(super) mod connect;
pub(super) mod heal;
pub(super) mod leader;
pub(super) mod prepare;
pub(super) mod prove;
pub(super) mod step;
pub(super) mod turn;

mod approval;
mod arm;
mod baseline;
mod baseline_judge;
mod exchange;
mod fault;
mod questions;
mod read_back;
mod settle;
