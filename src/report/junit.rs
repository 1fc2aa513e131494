//! `junit.xml`: a suite for each attack, a case for each objective. Violated is a failure, unknown an error, not run
//! skipped; the hosts' end states are a suite of their own.

use std::time::Duration;

use firedrill_wire::api::HostState;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Input, ReportError, measured};
use crate::{
    score::card::{AttackCard, state_word},
    verdict::Verdict,
};

/// Renders the file.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let card = &input.card;
    let name = if card.name.is_empty() { "firedrill" } else { &card.name };
    let mut report = Report::new(name);
    report.set_time(Duration::from_micros(u64::try_from(card.end_us).unwrap_or(0)));
    report.add_test_suites(card.attacks.iter().map(|attack| suite(input, attack)));
    let mut run = TestSuite::new("run");
    let mut whole = TestCase::new("verdict", status(card.verdict, &card.story));
    whole.set_classname("run");
    whole.set_system_out(card.why.join("\n"));
    run.add_test_case(whole);
    for host in &card.hosts {
        let word = state_word(host.state);
        let status = match host.state {
            HostState::Clean => TestCaseStatus::success(),
            HostState::Gone | HostState::Unproven => non_success(NonSuccessKind::Error, word),
            HostState::Dirty | HostState::Stuck => non_success(NonSuccessKind::Failure, word),
        };
        let mut case = TestCase::new(format!("{} ended clean", host.host), status);
        case.set_classname("run");
        case.set_system_out(host.ours.join("\n"));
        run.add_test_case(case);
    }
    report.add_test_suite(run);
    let mut bytes = Vec::new();
    report.serialize(&mut bytes)?;
    Ok(bytes)
}

fn suite(input: &Input<'_>, attack: &AttackCard) -> TestSuite {
    let mut suite = TestSuite::new(attack.name.as_str());
    if let (Some(first), Some(last)) = (attack.phases.first(), attack.phases.last()) {
        let took = last.until_us.saturating_sub(first.from_us);
        suite.set_time(Duration::from_micros(u64::try_from(took).unwrap_or(0)));
    }
    let Some(verdict) = attack.verdict else {
        let planned = input.facts.plan.and_then(|plan| plan.attacks.get(attack.index));
        for objective in planned.into_iter().flat_map(|attack| &attack.judge) {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("not run: {}", attack.why.join("; ")));
            let mut case = TestCase::new(objective.as_str(), status);
            case.set_classname(attack.name.as_str());
            suite.add_test_case(case);
        }
        return suite;
    };
    for objective in &attack.objectives {
        let mut case = TestCase::new(objective.name.as_str(), status(objective.verdict, &objective.why));
        case.set_classname(attack.name.as_str());
        case.set_system_out(format!("{}: {}", objective.goal, measured(&objective.measured)));
        suite.add_test_case(case);
    }
    // A guard, or a doubt about the whole attack, belongs to no single objective.
    if attack.objectives.iter().all(|objective| objective.verdict < verdict) {
        let mut case = TestCase::new("attack", status(verdict, &attack.why.join("; ")));
        case.set_classname(attack.name.as_str());
        suite.add_test_case(case);
    }
    suite
}

fn status(verdict: Verdict, why: &str) -> TestCaseStatus {
    match verdict {
        Verdict::Held => TestCaseStatus::success(),
        Verdict::Violated => non_success(NonSuccessKind::Failure, why),
        Verdict::Unknown => non_success(NonSuccessKind::Error, why),
    }
}

fn non_success(kind: NonSuccessKind, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(why);
    status.set_type(match kind {
        NonSuccessKind::Failure => "violated",
        NonSuccessKind::Error => "unknown",
    });
    status
}
