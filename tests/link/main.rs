//! Coordinator and agent over the real link: real certificates, real TLS, loopback. What the agent would do to a host
//! is a recorder; everything between is the product.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

mod curl;
mod cut;
mod flood;
mod frames;
mod house;
mod recorded;
mod refused;
mod roles;
mod streams;
mod trust;
