//! The code quality report of GitLab: an array of findings with a fingerprint, by which a merge request tells new ones from old ones.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::place::Places;
use crate::{
    baseline::Results,
    gate::{Gate, Kind, Reason},
};

/// Returns the report. What fails the gate is `major` or more, what is allowed is `info`.
#[must_use]
pub fn code_quality(run: &Results, decided: &Gate, places: Places<'_>) -> Value {
    let mut taken = HashSet::new();
    let issue = |reason: &Reason| {
        let place = places(reason.attack.as_deref());
        // Every issue has to have a place; a path that is no file is shown, and is no link.
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

/// Returns what names a problem over runs: not its figures, which differ each time.
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
    // GitLab shows one issue of each fingerprint.
    (0..=u8::MAX)
        .map(|seed| format!("{:08x}{:08x}", hash(seed), hash(!seed)))
        .find(|one| taken.insert(one.clone()))
        .unwrap_or_default()
}
