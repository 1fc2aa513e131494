//! Firedrill's root daemon. It injects faults on its own host and always undoes them, whichever process dies.
//!
//! It talks to the kernel over netlink and `/proc`, and never runs a shell. Everything below `fault`, `undo` and `host`
//! is blocking code without an async runtime, so that the guardian's helper process, which has no runtime, runs the same undo.

// The print macros of the standard library panic if the output cannot be written. Such a panic would keep the host from being healed.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

#[macro_use]
mod terminal;

pub mod active;
pub mod audit;
pub mod bell;
pub mod built_in;
pub mod caller;
pub mod cli;
mod code_pages;
pub mod config;
pub mod control;
mod crash_point;
pub mod decide;
pub mod doctor;
pub mod fault;
pub mod guardian;
pub mod heal;
mod heap;
pub use firedrill_kernel as host;
pub use firedrill_probe::NoStores;
pub mod identity;
pub mod injection;
pub mod journal;
pub mod local;
pub mod logs;
pub mod metrics;
mod mutex;
pub mod path_check;
pub mod policy;
pub mod prober;
mod programs;
mod records;
mod sched;
pub mod secrets;
pub mod serve;
pub mod service;
pub mod snapshot;
pub mod supervisor;
pub mod sweep;
#[doc(hidden)]
pub use firedrill_kernel::{sandboxed, testing};
pub mod time;
pub mod transition;
pub mod trust;
pub mod undo;
pub mod wiring;
