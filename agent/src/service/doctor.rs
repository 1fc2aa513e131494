//! Findings for `doctor` on service managers: which are present, whether they answer, and how many services they run.

use firedrill_wire::{
    api::{Finding, Grade},
    fault::ServiceManager,
};

use super::{manager, manager::Phase, pick::all_names};
use crate::host::Host;

/// Returns a finding for each service manager, and one more if there is none on the host. Reads only.
#[must_use]
pub fn findings(host: &Host) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ServiceManager::ALL.into_iter().map(|which| look(host, which)).collect();
    if findings.iter().all(|finding| finding.grade == Grade::Note) {
        findings.push(Finding {
            what: "service manager".into(),
            grade: Grade::Missing,
            detail: format!("none of {} was found; faults on services will be refused", all_names()),
            hint: "name the folders of runit's services in the agent's configuration, if they lie elsewhere"
                .into(),
        });
    }
    findings
}

fn look(host: &Host, which: ServiceManager) -> Finding {
    let what = which.to_string();
    let Some(manager) = manager(host, which) else {
        return Finding { what, grade: Grade::Note, detail: "not here".into(), hint: String::new() };
    };
    match manager.list() {
        Ok(services) => {
            let up = services.iter().filter(|(_, phase, _)| *phase == Phase::Up).count();
            let failed = services.iter().filter(|(_, phase, _)| *phase == Phase::Failed).count();
            let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
            let detail =
                format!("answers; {up} of {} services up{failed} ({})", services.len(), manager.looked());
            Finding { what, grade: Grade::Good, detail, hint: String::new() }
        }
        Err(error) => Finding {
            what,
            grade: Grade::Bad,
            detail: error.to_string(),
            hint: format!("faults on services are refused until {which} answers"),
        },
    }
}
