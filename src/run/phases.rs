//! The phases of a run, in their order: connect, prepare, the attacks, heal, prove. Each takes the parts that it needs; the
//! whole run is taken by those that wait for input, because an input may be for any part.

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
