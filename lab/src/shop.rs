//! The shop that rehearsals break: `checkout`, a small service with real state, and `edge`, what stands before several of
//! them. Both are ordinary programs of a host; nothing in them knows of faults.

pub(crate) mod balance;
pub(crate) mod checkout;
pub(crate) mod edge;
pub(crate) mod haproxy;
mod http;
mod orders;
mod proxy;

pub use edge::{Backend, Balancer, EdgeConfig};
