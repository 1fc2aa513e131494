//! Checks that a lab can start on this machine, by starting the smallest possible lab. Leaves nothing behind.

use crate::{HostSpec, Lab, LabError, LabSpec, Options};

/// Starts a lab of one host and ends it again (about 30 ms).
///
/// # Errors
/// The machine does not allow a lab; the message has advice.
pub fn preflight() -> Result<(), LabError> {
    let addresses = [std::net::IpAddr::from([10, 77, 1, 1])].to_vec();
    let host = HostSpec { name: "preflight".into(), addresses, ..HostSpec::default() };
    let spec = LabSpec::new(format!("preflight-{}", std::process::id()), vec![host]);
    Lab::up(&spec, &Options::default())?.down()
}
