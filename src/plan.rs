//! Makes and checks plans with the clients of stores that this program was built with. The crate `plan` does the work.

use std::path::Path;

use firedrill_wire::identity::Person;

pub use firedrill_plan::plan::*;

use crate::{diagnostic::Report, fleet::FleetSource, stores};

/// Makes a plan that is run on this machine: the files and variables that it names must be here.
///
/// # Errors
/// All problems of the files, each with its place.
pub fn load(options: &Options) -> Result<Plan, Report> {
    load_as(options, None)
}

/// As [`load`], for a plan that this person runs.
///
/// # Errors
/// As for [`load`]; also if the certificate is not valid for the hosts' environments.
pub fn load_as(options: &Options, person: Option<&Person>) -> Result<Plan, Report> {
    firedrill_plan::plan::load_as(options, person, stores::clients())
}

/// Checks a scenario as far as possible; without a fleet, less can be checked. Files and variables that this machine lacks are no errors,
/// because the drill may be run on another machine.
#[must_use]
pub fn inspect(
    file: &Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    inspect_as(None, file, fleet, params, seed)
}

/// As [`inspect`]. With a person, warns if the person's certificate is not valid for the hosts' environments.
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
