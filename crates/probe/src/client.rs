//! The parts of the prober that clients of stores use too: connections, handshakes, secrets, and the words for what went wrong.

pub use crate::{
    answer::Ask,
    clock::boot_us,
    connect::Connector,
    handshake::{Handshake, failure},
    outcome::{Cause, Failure, Phases, Told, of_io},
    resolve::Resolver,
    secret::text as secret_of,
    tls::builder as tls_builder,
};
