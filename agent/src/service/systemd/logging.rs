//! Reads from systemd whether and how fast a service may write to the journal. Changes nothing.

use std::{path::Path, time::Duration};

use super::{
    bus::{ask, unreachable},
    unit::load,
};
use crate::service::manager::ServiceError;

/// Time limit of the question. The start of reading logs waits for the answer.
const QUESTION: Duration = Duration::from_secs(2);

/// A service's settings for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logging {
    /// The service's own name; the question may have had an alias.
    pub(crate) id: String,
    /// Whether it exists.
    pub(crate) known: bool,
    /// The namespace of the journal that it writes to; empty for the system's journal.
    pub(crate) namespace: String,
    /// Its own rate limit: an interval in microseconds, and a number of messages. 0 means the value of journald.
    pub(crate) rate_limit: (u64, u64),
}

/// Asks systemd for a service's settings.
///
/// # Errors
/// This host does not run systemd, or it does not answer.
pub(crate) fn logging(service: &str) -> Result<Logging, ServiceError> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(unreachable("this host was not booted with it".to_owned()));
    }
    ask(QUESTION, |bus| {
        let (unit, service) = load(bus, service)?;
        let number = |key| service.number(key).unwrap_or_default();
        Ok(Logging {
            id: unit.text("Id"),
            known: unit.text("LoadState") != "not-found",
            namespace: service.text("LogNamespace"),
            rate_limit: (number("LogRateLimitIntervalUSec"), number("LogRateLimitBurst")),
        })
    })
}
