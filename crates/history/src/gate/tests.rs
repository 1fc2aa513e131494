use super::*;
use crate::{
    compare::{compare, tests::results},
    testing::{UNKNOWN_ALLOWED, UNKNOWN_FAILS},
};

/// Returns a run in which all objectives held.
fn held() -> Results {
    let mut run = results(0);
    (run.verdict, run.exit) = (Verdict::Held, 0);
    for objective in run.attacks.iter_mut().flat_map(|attack| &mut attack.objectives) {
        objective.verdict = Verdict::Held;
    }
    run.attacks[0].verdict = Some(Verdict::Held);
    run
}

/// Returns a run with an unknown objective.
fn unknown() -> Results {
    let mut run = held();
    (run.verdict, run.exit) = (Verdict::Unknown, 3);
    run.attacks[0].verdict = Some(Verdict::Unknown);
    run.attacks[0].objectives[0].verdict = Verdict::Unknown;
    run.attacks[0].objectives[0].why = "the fault did not land".to_owned();
    run
}

fn exit(run: &Results, baseline: Option<&Results>, allow_unknown: bool) -> Exit {
    gate(run, baseline.map(|baseline| compare(baseline, run)), allow_unknown).0
}

#[test]
fn a_run_that_held_passes_with_and_without_a_baseline() {
    let run = held();
    assert_eq!(gate(&run, None, UNKNOWN_FAILS).1.reasons, []);
    assert_eq!(exit(&run, None, UNKNOWN_FAILS), Exit::Held);
    assert_eq!(exit(&run, Some(&run), UNKNOWN_FAILS), Exit::Held);
}

#[test]
fn a_violated_objective_fails_even_if_unknown_is_allowed() {
    let run = results(40);
    assert_eq!(run.exit, 1);
    let (exit, decided) = gate(&run, None, UNKNOWN_ALLOWED);
    assert_eq!(exit, Exit::Violated);
    assert_eq!(decided.reasons[0].kind, Kind::Violated);
    assert!(decided.reasons[0].text.starts_with("stop checkout, users: "), "{:?}", decided.reasons);
}

#[test]
fn an_unknown_result_fails_unless_it_is_allowed_and_is_always_a_reason() {
    let run = unknown();
    assert_eq!(exit(&run, None, UNKNOWN_FAILS), Exit::Unknown);
    let (exit, decided) = gate(&run, None, UNKNOWN_ALLOWED);
    assert_eq!(exit, Exit::Held);
    assert!(decided.reasons[0].allowed && decided.reasons[0].text.contains("did not land"));
}

#[test]
fn a_run_that_held_and_is_worse_than_the_baseline_fails() {
    let baseline = held();
    let mut run = results(1);
    for objective in run.attacks.iter_mut().flat_map(|attack| &mut attack.objectives) {
        objective.verdict = Verdict::Held;
    }
    (run.verdict, run.exit, run.attacks[0].verdict) = (Verdict::Held, 0, Some(Verdict::Held));
    assert_eq!(exit(&run, None, UNKNOWN_FAILS), Exit::Held);
    let (exit, decided) = gate(&run, Some(compare(&baseline, &run)), UNKNOWN_ALLOWED);
    assert_eq!(exit, Exit::Violated, "{decided:?}");
    let worse: Vec<_> = decided.reasons.iter().filter(|reason| reason.kind == Kind::Worse).collect();
    assert!(worse[0].text.contains("in the baseline 100 %"), "{worse:?}");
}

#[test]
fn an_objective_that_is_gone_is_worse_and_one_that_cannot_be_compared_unknown() {
    let baseline = held();
    let mut run = held();
    run.attacks[0].objectives.remove(0);
    assert_eq!(exit(&run, Some(&baseline), UNKNOWN_ALLOWED), Exit::Violated);
    let mut run = held();
    run.attacks[0].objectives[0].goal = "another".to_owned();
    assert_eq!(exit(&run, Some(&baseline), UNKNOWN_FAILS), Exit::Unknown);
    assert_eq!(exit(&run, Some(&baseline), UNKNOWN_ALLOWED), Exit::Held);
    assert_eq!(exit(&held(), Some(&unknown()), UNKNOWN_FAILS), Exit::Unknown, "the baseline is unknown");
}

#[test]
fn a_run_that_was_refused_stopped_or_unclean_never_passes() {
    for (code, wanted) in [(4, Exit::Refused), (5, Exit::Stopped), (6, Exit::Unclean)] {
        let run = Results { exit: code, ..unknown() };
        let (exit, decided) = gate(&run, None, UNKNOWN_ALLOWED);
        assert_eq!(exit, wanted);
        assert_eq!(decided.reasons[0].kind, Kind::Run, "there is a reason: {decided:?}");
    }
}

#[test]
fn a_refused_run_is_not_called_worse_than_its_baseline() {
    let mut run = Results { exit: 4, why: vec!["an agent refused".to_owned()], ..unknown() };
    run.attacks[0].verdict = None;
    run.attacks[0].objectives.clear();
    let (exit, decided) = gate(&run, Some(compare(&held(), &run)), UNKNOWN_FAILS);
    assert_eq!(exit, Exit::Refused);
    assert!(decided.reasons.iter().all(|reason| reason.kind != Kind::Worse), "{decided:?}");
}

/// The samples of a metric source have no range that chance explains.
#[test]
fn figures_that_never_have_a_range_are_decided_by_their_own_goal() {
    let mut baseline = held();
    baseline.attacks[0].objectives[0].measured.low = None;
    let mut run = baseline.clone();
    run.attacks[0].objectives[0].measured.value = Some(0.5);
    let (exit, decided) = gate(&run, Some(compare(&baseline, &run)), UNKNOWN_FAILS);
    assert_eq!((exit, decided.reasons), (Exit::Held, vec![]));
    assert_eq!(decided.comparison.unwrap().rows[0].change, Change::Unknown, "they are not called equal");
    run.attacks[0].objectives[0].goal = "another".to_owned();
    assert_eq!(
        gate(&run, Some(compare(&baseline, &run)), UNKNOWN_FAILS).0,
        Exit::Unknown,
        "a changed goal makes the comparison unknown"
    );
}
