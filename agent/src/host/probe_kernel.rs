//! Findings for `doctor` on the kernel, and on other programs that filter and shape packets here. Reads and dry runs
//! only.

mod dry_runs;
mod iptables;
mod others;
mod packages;
mod resets;

pub use dry_runs::{has_ifb, has_qdisc};

use firedrill_wire::api::{Finding, Grade};

use super::Host;

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

fn finding(what: &str, grade: Grade, detail: impl Into<String>, hint: &str) -> Finding {
    Finding { what: what.to_owned(), grade, detail: detail.into(), hint: hint.to_owned() }
}
