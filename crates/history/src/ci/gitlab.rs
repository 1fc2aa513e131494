//! The code quality report of GitLab: an array of findings. Each has a fingerprint, by which a merge request distinguishes new findings from old ones.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::place::Places;
use crate::{
    baseline::Results,
    gate::{Gate, Kind, Reason},
};

/// Returns the report. A reason that fails the gate has the severity `major` or higher; a reason that is allowed has `info`.
#[must_use]
pub fn code_quality(run: &Results, decided: &Gate, places: Places<'_>) -> Value {
    let mut taken = HashSet::new();
    let issue = |reason: &Reason| {
        let place = places(reason.attack.as_deref());
        // GitLab requires a place for every issue. If the path is no file, GitLab shows it without a link.
        let (path, line) = place.map_or_else(|| (run.scenario.clone(), 1), |place| (place.file, place.line));
        json!({
            "description": format!("{}: {}", reason.kind.word(), reason.text),
            "check_name": format!("firedrill-{}", reason.kind.word()),
            "fingerprint": fingerprint(run, reason, &mut taken),
            "severity": severity(reason),
            "location": { "path": path, "lines": { "begin": line } },
        })
    };
    Value::Array(decided.reasons.iter().map(issue).collect())
}

const fn severity(reason: &Reason) -> &'static str {
    match reason.kind {
        _ if reason.allowed => "info",
        Kind::Run => "blocker",
        Kind::Violated => "critical",
        Kind::Worse | Kind::Unknown => "major",
    }
}

/// Returns the fingerprint of a problem. It is the same in each run with this problem, so it does not depend on figures. `taken` has the fingerprints
/// that were already used in this report.
fn fingerprint(run: &Results, reason: &Reason, taken: &mut HashSet<String>) -> String {
    let parts = [
        reason.kind.word(),
        &run.scenario,
        reason.attack.as_deref().unwrap_or_default(),
        reason.objective.as_deref().unwrap_or_default(),
    ];
    let hash = |seed: u8| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[seed]);
        for part in parts {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        hasher.finalize()
    };
    // GitLab shows only one issue of each fingerprint. So further problems of the same kind and place get another seed.
    (0..=u8::MAX)
        .map(|seed| format!("{:08x}{:08x}", hash(seed), hash(!seed)))
        .find(|fingerprint| taken.insert(fingerprint.clone()))
        .unwrap_or_default()
}
