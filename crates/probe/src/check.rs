//! Whether a probe can run. `check`, the plan and the prober all ask here.

use firedrill_wire::probe::{Connection, Connections, Field, ProbeSpec, Refusal};

use crate::{
    ask::{Means, resolver},
    error::ProbeError,
    files, kind,
    kind::stores::Stores,
    pace::pace,
    reads::Anything,
    schedule::most_at_once,
};

/// Requests that may be under way beyond those that the schedule explains.
const SLACK: u64 = 16;

/// The most programs that a probe starts in a second: each is two processes.
const PROGRAMS_MOST: f64 = 100.0;

/// Returns all reasons to refuse a probe, wherever it runs. Reads no file and sends nothing.
#[must_use]
pub fn refusals(spec: &ProbeSpec) -> Vec<Refusal> {
    let mut wrong = pace(spec.rate, spec.timeout);
    let about = spec.kind.about();
    let invalid = spec.kind.invalid();
    if invalid.is_empty() {
        let to = spec.kind.destinations();
        wrong.extend(to.into_iter().filter_map(|(host, port)| resolver(spec, &host, port).err()).flatten());
    }
    wrong.extend(invalid);
    if spec.kind.runs().is_some() && spec.rate > PROGRAMS_MOST {
        let what =
            format!("{} programs a second are too many; at most {PROGRAMS_MOST} are started", spec.rate);
        let help = "programs are much larger than requests: a few a second show as much";
        wrong.push(Refusal::new(Field::probe("rate"), what, "too many programs", help));
    }
    if let (Connection::Reuse, Connections::New(why)) = (spec.connection, about.connections) {
        let help = "write \"new\", or leave it out";
        wrong.push(Refusal::new(Field::probe("connection"), why, "cannot be used again", help));
    }
    wrong
}

/// Returns the refusals of secrets and authorities that cannot be read on this machine, and of a client that this program lacks. Reads the
/// secrets and the authorities, and sends nothing. The probe must have no [`refusals`].
#[must_use]
pub fn unreadable(spec: &ProbeSpec, stores: &dyn Stores) -> Vec<Refusal> {
    kind::of(&spec.kind).unreadable(spec, Means { reads: &Anything, stores })
}

/// Refuses a probe that cannot run anywhere.
///
/// # Errors
/// All of its [`refusals`].
pub fn check(spec: &ProbeSpec) -> Result<(), ProbeError> {
    match refusals(spec) {
        wrong if wrong.is_empty() => Ok(()),
        wrong => Err(ProbeError::Refused { probe: spec.name.clone(), wrong }),
    }
}

/// Checks that this process may have the connections that the probes need at once. Changes nothing.
///
/// # Errors
/// [`ProbeError::Files`] where the hard limit of open files is below that.
pub fn fits_here<'s>(specs: impl IntoIterator<Item = &'s ProbeSpec>) -> Result<(), ProbeError> {
    files::enough(connections(specs))
}

/// Returns the number of connections that the probes may need at once.
pub(crate) fn connections<'s>(specs: impl IntoIterator<Item = &'s ProbeSpec>) -> u64 {
    specs.into_iter().map(most_under_way).fold(0, u64::saturating_add)
}

/// Returns the number of requests of one probe that may be under way at once.
pub(crate) fn most_under_way(spec: &ProbeSpec) -> u64 {
    most_at_once(spec.rate, spec.timeout.0, spec.arrivals).unwrap_or(u64::MAX).saturating_add(SLACK)
}
