//! The parts of the prober that clients of stores use too: connections, handshakes, secrets, and the words for what went wrong.

pub use crate::{
    answer::{Ask, Due},
    ask::resolver,
    clock::boot_us,
    connect::{Connector, share},
    handshake::{Handshake, failure},
    outcome::{Cause, Failure, Phases, Told},
    secret::text as secret_of,
    server::{Server, Stream},
    tls::handshake,
};
