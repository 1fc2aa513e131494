//! The shop of the rehearsals: `checkout`, a small service with real state, and `edge`, a load balancer in front of several checkouts.
//! Both are ordinary programs of a host; neither knows about faults.

pub(crate) mod balance;
pub(crate) mod checkout;
pub(crate) mod edge;
mod edge_config;
pub(crate) mod haproxy;
mod http;
mod orders;
mod proxy;

pub use edge::Balancer;
pub use edge_config::{Backend, EdgeConfig};
