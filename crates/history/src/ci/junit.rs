//! The gate as JUnit results: a suite for each attack, a case for each objective of the run or its baseline, and one for the run.

use std::collections::HashSet;

use firedrill_judge::report::junit::xml::{Status, Suite, document};

use crate::{
    baseline::Results,
    gate::{Gate, Kind, Reason},
};

/// Returns the document. What is allowed is skipped, with its reason.
#[must_use]
pub fn junit(run: &Results, decided: &Gate) -> String {
    let of = |attack: Option<&str>, objective: Option<&str>| {
        let about =
            |reason: &&Reason| reason.attack.as_deref() == attack && reason.objective.as_deref() == objective;
        status(&decided.reasons.iter().filter(about).collect::<Vec<_>>())
    };
    // Those that the baseline alone has come last.
    let mut cases: Vec<(&str, &str)> = Vec::new();
    for attack in &run.attacks {
        cases.extend(attack.objectives.iter().map(|one| (attack.name.as_str(), one.name.as_str())));
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
            suite.add(objective, of(Some(name), Some(objective)));
        }
        if let whole @ (Status::Failure(_) | Status::Error(_) | Status::Skipped(_)) = of(Some(name), None) {
            suite.add("attack", whole);
        }
        suites.push(suite);
    }
    let mut whole = Suite::new("run");
    whole.add("gate", of(None, None));
    suites.push(whole);
    document(&format!("gate of {}", run.scenario), 0, &suites)
}

fn status(reasons: &[&Reason]) -> Status {
    let said = |wanted: fn(&Reason) -> bool| {
        let texts: Vec<String> = reasons
            .iter()
            .filter(|reason| wanted(reason))
            .map(|reason| format!("{}: {}", reason.kind.word(), reason.text))
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    if let Some(text) = said(|reason| !reason.allowed && reason.kind != Kind::Unknown) {
        Status::Failure(text)
    } else if let Some(text) = said(|reason| !reason.allowed) {
        Status::Error(text)
    } else if let Some(text) = said(|_| true) {
        Status::Skipped(text)
    } else {
        Status::Success
    }
}
