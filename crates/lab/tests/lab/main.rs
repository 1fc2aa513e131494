//! Tests with real labs: fleets of namespaces on this machine. They are skipped where no lab can start.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod common;
mod death;
mod fleet;
mod power;
mod programs;
mod services;
mod shop;
