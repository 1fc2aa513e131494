//! The program as people use it: real `firedrill` processes against real labs. Each lab has a name of its own and is
//! ended whatever happens; where this machine lets nobody make namespaces, that is said and the rest still runs.

#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod approve;
mod around;
mod bench;
mod ends;
#[path = "../common/output.rs"]
mod output;
mod several;
mod words;
