//! StatsD: receives and counts the packets that programs send.

mod alive;
mod gauges;
mod interval;
mod line;
mod listener;
mod query;
mod sampled;
mod socket;
mod store;
mod track;

pub use self::{listener::Listener, store::Counts};
pub(crate) use self::{
    listener::Wanted,
    query::{Query, Reads, Selector},
};
