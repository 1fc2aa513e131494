//! Tests of coordinator and agent over the real link, with real certificates and TLS, on loopback. A recorder takes the place of the agent's
//! actions on a host.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod curl;
mod cut;
mod flood;
mod frames;
mod house;
mod passkeys;
mod recorded;
mod refused;
mod roles;
mod streams;
mod trust;
