//! Tests of faults on traffic and interfaces, by real traffic between namespaces.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod admin;
mod block;
mod chosen;
mod clean;
mod dns;
mod down;
mod engine;
mod flap;
mod flap_without_files;
mod ifbs;
mod iptables;
mod iptables_shapes;
mod others;
mod reset;
mod service;
mod shape;
mod shape_switches;
mod trip;
mod world;
