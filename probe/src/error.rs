//! Why probes could not be started. Never holds a secret's text.

use std::{io, path::PathBuf};

/// Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Two probes of one name: their bins could not be told apart.
    #[error("two probes are named `{0}`; give each a name of its own")]
    Twice(String),
    /// The rate is not above 0 and within what one prober can keep.
    #[error("probe `{probe}`: a rate of {rate} a second cannot be; write a number above 0, at most 20000")]
    Rate {
        /// The probe.
        probe: String,
        /// What was asked.
        rate: f64,
    },
    /// The time-out is nothing, or longer than five minutes.
    #[error("probe `{probe}`: a time-out of {timeout} cannot be; write one from 1ms to 5m")]
    Timeout {
        /// The probe.
        probe: String,
        /// What was asked.
        timeout: firedrill_wire::Span,
    },
    /// The URL, address, method or another text is wrong.
    #[error("probe `{probe}`: {what} `{text}` cannot be used: {why}")]
    Text {
        /// The probe.
        probe: String,
        /// Which text it is.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// The fleet names the host, without an address.
    #[error(
        "probe `{probe}`: the fleet names `{host}` and gives it no address; give it one, or take it from the names"
    )]
    NoAddress {
        /// The probe.
        probe: String,
        /// The name.
        host: String,
    },
    /// A secret could not be read.
    #[error("probe `{probe}`: the bearer token in {place} cannot be used: {why}")]
    Secret {
        /// The probe.
        probe: String,
        /// `file …` or `environment variable …`.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The authorities to trust could not be read.
    #[error("probe `{probe}`: failed to read authorities from {}: {why}", path.display())]
    Authorities {
        /// The probe.
        probe: String,
        /// The PEM file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine has no authorities to trust.
    #[error(
        "probe `{probe}`: this machine has no certificate authorities ({why}); install them (ca-certificates), or set ca_file"
    )]
    NoAuthorities {
        /// The probe.
        probe: String,
        /// What was found.
        why: String,
    },
    /// Too many connections at once for what this process may open.
    #[error(
        "the probes may need {needed} connections at once, and this process may open {limit} files; raise the limit (LimitNOFILE, ulimit -n), or lower rates or time-outs"
    )]
    Files {
        /// What rate × time-out comes to, over all probes.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The thread or its runtime could not be made.
    #[error("failed to start the prober's thread")]
    Thread(#[source] io::Error),
}
