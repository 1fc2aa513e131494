//! Plans, made by this program: with the clients of stores that it has. The work is done in the crate `plan`.

use std::path::Path;

use firedrill_wire::identity::Person;

pub use firedrill_plan::plan::*;

use crate::{diagnostic::Report, fleet::FleetSource, stores};

/// Makes the plan, to be run on this machine.
///
/// # Errors
/// All problems of the files, each with its place.
pub fn load(options: &Options) -> Result<Plan, Report> {
    load_as(options, None)
}

/// Makes the plan, to be run on this machine by this person.
///
/// # Errors
/// As for [`load`]; also if the certificate is not valid for the hosts' environments.
pub fn load_as(options: &Options, person: Option<&Person>) -> Result<Plan, Report> {
    firedrill_plan::plan::load_as(options, person, stores::clients())
}

/// Checks everything that can be checked; without a fleet that is less. The drill may be run on another machine.
#[must_use]
pub fn inspect(
    file: &Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    inspect_as(None, file, fleet, params, seed)
}

/// Like [`inspect`], for a drill that this person may run: a certificate that is not valid for the hosts'
/// environments is a warning.
#[must_use]
pub fn inspect_as(
    person: Option<&Person>,
    file: &Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    firedrill_plan::plan::inspect_as((person, stores::clients()), file, fleet, params, seed)
}
