//! Tests of coordinator and agent over the real link: real certificates and real TLS, on loopback. A recorder stands in
//! place of the agent's actions on a host. Everything between is the product's own code.

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
