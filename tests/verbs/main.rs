//! Tests the program as people use it: `firedrill` processes and labs. Each lab has another name and is ended in any case. If this machine does
//! not let users make namespaces, the tests of labs say so and are skipped.

#![cfg(feature = "lab")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alerts;
mod approve;
mod around;
mod bench;
mod between;
mod ends;
#[cfg(feature = "serve")]
mod halt_from_page;
mod kinds;
mod leader;
mod logs;
mod lost;
mod metrics;
mod notify;
#[path = "../common/output.rs"]
mod output;
#[expect(dead_code, reason = "its other test uses all of it")]
#[path = "../common/receiver.rs"]
mod receiver;
#[cfg(feature = "serve")]
#[path = "../common/room.rs"]
mod room;
#[path = "../common/runs.rs"]
mod runs;
mod services;
mod several;
mod statsd;
mod steps;
mod words;
