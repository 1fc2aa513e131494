//! The decision of a gate as JUnit results: a suite for each attack with a case for each objective of the run or its baseline, and a suite for the run.

use std::collections::HashSet;

use firedrill_judge::report::junit::xml::{Status, Suite, document};

use crate::{
    baseline::Results,
    gate::{Gate, Kind, Reason},
};

/// Returns the document. A case whose problems are all allowed is `skipped`, with the reasons.
#[must_use]
pub fn junit(run: &Results, decided: &Gate) -> String {
    let status_of = |attack: Option<&str>, objective: Option<&str>| {
        let about =
            |reason: &&Reason| reason.attack.as_deref() == attack && reason.objective.as_deref() == objective;
        status(&decided.reasons.iter().filter(about).collect::<Vec<_>>())
    };
    // The objectives of the run come first, then those that only the baseline has.
    let mut cases: Vec<(&str, &str)> = Vec::new();
    for attack in &run.attacks {
        cases.extend(
            attack.objectives.iter().map(|objective| (attack.name.as_str(), objective.name.as_str())),
        );
    }
    let mut known: HashSet<(&str, &str)> = cases.iter().copied().collect();
    for row in decided.comparison.iter().flat_map(|comparison| &comparison.rows) {
        let case = (row.attack.as_str(), row.objective.as_str());
        if known.insert(case) {
            cases.push(case);
        }
    }
    let mut suites: Vec<Suite> = Vec::new();
    for name in
        run.attacks.iter().map(|attack| attack.name.as_str()).chain(cases.iter().map(|(attack, _)| *attack))
    {
        if suites.iter().any(|suite| suite.name() == name) {
            continue;
        }
        let mut suite = Suite::new(name);
        for (_, objective) in cases.iter().filter(|(attack, _)| *attack == name) {
            suite.add(objective, status_of(Some(name), Some(objective)));
        }
        // Problems of the attack as a whole are a case only if there are any.
        match status_of(Some(name), None) {
            Status::Success => {}
            problem => _ = suite.add("attack", problem),
        }
        suites.push(suite);
    }
    let mut whole = Suite::new("run");
    whole.add("gate", status_of(None, None));
    suites.push(whole);
    document(&format!("gate of {}", run.scenario), 0, &suites)
}

/// Returns the status of a case: a failure if a reason fails the gate, an error if only unknown results do, skipped if all reasons are allowed.
fn status(reasons: &[&Reason]) -> Status {
    // Joins the texts of the wanted reasons; `None` if there are none.
    let texts_of = |wanted: fn(&Reason) -> bool| {
        let texts: Vec<String> = reasons
            .iter()
            .filter(|reason| wanted(reason))
            .map(|reason| format!("{}: {}", reason.kind.word(), reason.text))
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    if let Some(text) = texts_of(|reason| !reason.allowed && reason.kind != Kind::Unknown) {
        Status::Failure(text)
    } else if let Some(text) = texts_of(|reason| !reason.allowed) {
        Status::Error(text)
    } else if let Some(text) = texts_of(|_| true) {
        Status::Skipped(text)
    } else {
        Status::Success
    }
}
