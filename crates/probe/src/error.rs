//! Reasons why probes could not be started. Never holds a secret's text.

use std::io;

/// Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Two probes of one name: their bins could not be told apart.
    #[error("two probes are named `{0}`; give each a name of its own")]
    Twice(String),
    /// Values of a probe are not valid, or name something that cannot be had on this machine.
    #[error("probe `{probe}`: {}", wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused {
        /// The probe.
        probe: String,
        /// The refusals of all these values.
        wrong: Vec<firedrill_wire::probe::Refusal>,
    },
    /// Too many connections at once for what this process may open.
    #[error(
        "the probes may need {needed} connections at once, and this process may open {limit} files; raise the limit (LimitNOFILE, ulimit -n), or lower rates or time-outs"
    )]
    Files {
        /// Rate × time-out, summed over all probes.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The thread or its runtime could not be made.
    #[error("failed to start the prober's thread")]
    Thread(#[source] io::Error),
}
