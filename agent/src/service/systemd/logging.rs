//! Reads from systemd whether and how fast a service may write to the journal. Changes nothing.

use std::{path::Path, time::Duration};

use super::{
    bus::{ask, unreachable},
    unit::load,
};
use crate::service::manager::ServiceError;

/// Time limit of the question. Whoever starts to read logs waits for it.
const QUESTION: Duration = Duration::from_secs(2);

/// A service's settings for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logging {
    /// The service's name, where it was asked for by another one.
    pub(crate) id: String,
    /// Whether it exists.
    pub(crate) known: bool,
    /// The journal that it writes to, if that is not the system's.
    pub(crate) namespace: String,
    /// Its own rate limit, in microseconds and messages; 0 where it has none.
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
