//! Findings for `doctor` on the kernel, and on other programs that filter and shape packets here. Reads and dry runs
//! only.

mod dry_runs;
mod finding;
mod iptables;
mod others;
mod packages;
mod resets;

use firedrill_wire::api::Finding;

use crate::host::Host;

/// Returns one finding for each check.
#[must_use]
pub fn findings(host: &Host) -> Vec<Finding> {
    let mut findings = dry_runs::findings(host);
    findings.extend(iptables::findings(host));
    findings.push(iptables::engine(host, &findings));
    findings.extend(resets::findings());
    findings.extend(others::findings(host));
    findings
}
