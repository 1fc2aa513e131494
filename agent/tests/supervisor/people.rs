//! Tests of the owners of runs and their limits: certificates, leases, claims, and the policy.

use std::fs;

use firedrill_agent::{
    config::Config, control::Caller, control::Certificate, control::Control, fault, wiring::Wiring,
};
use firedrill_wire::{
    Fault, RefusalCode, RunId, Span, api::Arm, api::HostState, api::Prepare, api::Prepared, api::Problem,
    api::Renew, api::StartProbes, api::Undo, api::UndoScope, journal::HealReason, journal::State,
    journal::What,
};

use super::{
    Agent, HOLD, LEASE, a, fakes::alice, fakes::ask_arm, fakes::ask_prepare, fakes::config_text,
    fakes::pause, fakes::probes, fakes::ready, fakes::run_id, fakes::wait, fakes::wiring, id,
    with_certificate,
};

#[test]
fn the_operator_is_named_by_the_certificate() {
    let agent = Agent::new();
    let mut arm = agent.prepared(&[("r1-a-1", pause("a", None, None))], 50);
    arm.about = serde_json::from_str(
        r#"{"drill":"Friday\n\u001b[31m","operator":"somebody else","ticket":"T\u202e1"}"#,
    )
    .unwrap();
    agent.arm(&arm).unwrap();
    agent.renew().unwrap();
    wait("it is in force", || agent.file("a").exists());
    let about = agent.supervisor.status().open.remove(0).about;
    assert_eq!((about.operator.as_str(), about.drill.as_str()), ("alice", "Friday ␛[31m"));
    assert_eq!(about.ticket.as_deref(), Some("T\u{fffd}1"));
    let active = fs::read_to_string(agent.dir.path().join("run/active")).unwrap();
    assert!(active.contains("operator   alice") && !active.contains("somebody else"), "{active}");
    let journal = fs::read_to_string(agent.dir.path().join("state/journal")).unwrap();
    assert!(!journal.contains("somebody else"), "{journal}");
}

#[test]
fn faults_end_when_their_owners_certificate_is_not_trusted_any_more() {
    let agent = Agent::new();
    let (run, others): (RunId, RunId) = (run_id(), "r2".parse().unwrap());
    for (run, who, name, id) in [(&run, "mallory", "a", "r1-a-1"), (&others, "olga", "b", "r2-b-1")] {
        let caller = with_certificate(who, who);
        let ask = ask_prepare(&[(id, pause(name, None, None))], HOLD);
        let ready = ready(agent.supervisor.prepare(&caller, run, &ask).unwrap());
        agent.supervisor.arm(&caller, run, &ask_arm(&ready, 50, HOLD, LEASE)).unwrap();
        agent.supervisor.renew(&caller, run, &Renew { lease: LEASE }).unwrap();
        wait("it is in force", || agent.file(name).exists());
    }
    let judge = |certificate: &Certificate| match certificate.serial.as_str() {
        "mallory" => Err("it was revoked".to_owned()),
        _ => Ok(()),
    };
    agent.supervisor.distrust(&judge);
    wait("it is undone", || agent.history("r1-a-1").0.contains(&State::Undone));
    assert!(!agent.file("a").exists() && agent.file("b").exists());
    assert_eq!(agent.history("r1-a-1").1, Some(HealReason::Distrusted { name: "mallory".into() }));
    let distrusted = agent.events().into_iter().filter_map(|event| match event.what {
        What::Distrusted { run, name, serial, why } => Some((run, name, serial, why)),
        _ => None,
    });
    let expected = (run.clone(), "mallory".into(), "mallory".into(), "it was revoked".into());
    assert_eq!(distrusted.collect::<Vec<_>>(), [expected]);
    // Nobody may continue that run, not even its owner with another certificate.
    let again = with_certificate("mallory", "another");
    let ask = ask_prepare(&[("r1-c-1", pause("c", None, None))], HOLD);
    for problem in [
        agent.supervisor.prepare(&again, &run, &ask).unwrap_err(),
        agent.supervisor.renew(&again, &run, &Renew { lease: LEASE }).unwrap_err(),
        agent.supervisor.start_probes(&again, &run, &probes()).unwrap_err(),
    ] {
        assert_eq!(problem.code, RefusalCode::Distrusted);
        assert!(problem.title.contains("the certificate of mallory is not trusted"), "{}", problem.title);
    }
    // A second check does not end the run again.
    agent.supervisor.distrust(&judge);
    assert_eq!(
        agent.events().iter().filter(|event| matches!(event.what, What::Distrusted { .. })).count(),
        1
    );
}

#[test]
fn leases_are_bounded_by_the_policy() {
    let agent = Agent::with("[policy]\nmax_lease = \"20s\"\n");
    let answer = agent.supervisor.prepare(
        &alice(),
        &run_id(),
        &ask_prepare(&[("r1-a-1", pause("a", None, None))], HOLD),
    );
    let ready = ready(answer.unwrap());
    let bounded = |problem: Problem| {
        assert_eq!(problem.code, RefusalCode::NotAllowed);
        assert!(problem.title.contains("at most 20s"), "{}", problem.title);
        assert!(problem.hint.contains("policy.max_lease"), "{}", problem.hint);
    };
    let years = Span::secs(1000 * 365 * 86_400);
    bounded(agent.supervisor.arm(&alice(), &run_id(), &ask_arm(&ready, 50, HOLD, years)).unwrap_err());
    agent.arm(&ask_arm(&ready, 50, HOLD, Span::secs(20))).unwrap();
    bounded(agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: years }).unwrap_err());
    agent.supervisor.renew(&alice(), &run_id(), &Renew { lease: Span::secs(20) }).unwrap();
    let file = agent.dir.path().join("agent.toml");
    let error = Config::parse("[policy]\nmax_lease = \"1s\"\n", &file).unwrap_err().to_string();
    assert!(error.contains("policy.max_lease") && error.contains("2s at least"), "{error}");
}

#[test]
fn too_many_faults_are_refused_with_the_maximum() {
    let agent = Agent::new();
    let ask = |from: usize, count: usize| {
        let names: Vec<String> = (from..from + count).map(|n| format!("i{n}")).collect();
        let faults: Vec<(&str, Fault)> =
            names.iter().map(|name| (name.as_str(), pause(name, None, None))).collect();
        agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&faults, HOLD))
    };
    let prepared = ready(ask(0, Prepare::MOST_OF_RUN).unwrap());
    let refused = ask(1, Prepare::MOST_OF_RUN).unwrap_err();
    assert_eq!(refused.code, RefusalCode::TooMany);
    assert!(
        refused.title.contains("1001 faults of run r1") && refused.title.contains("takes 1000"),
        "{refused:?}"
    );
    ask(0, Prepare::MOST_OF_RUN).unwrap();
    let refused = agent.arm(&ask_arm(&prepared[..Arm::MOST + 1], 60_000, HOLD, LEASE)).unwrap_err();
    assert!(refused.contains("too-many"), "{refused}");
    // All faults are remembered: the first as well as the last.
    let ends = [prepared[0].clone(), prepared[Prepare::MOST_OF_RUN - 1].clone()];
    agent.arm(&ask_arm(&ends, 60_000, HOLD, LEASE)).unwrap();
    agent.undo(UndoScope::All, false);
}

/// Requests about many runs that are never armed: no other run loses its snapshot or is forgotten.
#[test]
fn requests_about_other_runs_do_not_affect_a_run_in_force() {
    let agent = Agent::new();
    agent.in_force(&a());
    let bob = Caller { name: "bob".into(), ..alice() };
    let run = |n: usize, kind: &str| format!("{kind}-{n}").parse::<RunId>().unwrap();
    let kept = || fs::read_dir(agent.dir.path().join("state/snapshots")).unwrap().count();
    let refused = ask_prepare(&[("b", pause("b", Some("refused"), None))], HOLD);
    let look = Prepare { only_look: true, ..ask_prepare(&[("b", pause("b", None, None))], HOLD) };
    for n in 0..70 {
        agent.supervisor.prepare(&bob, &run(n, "empty"), &ask_prepare(&[], HOLD)).unwrap();
        agent.supervisor.prepare(&bob, &run(n, "refused"), &refused).unwrap();
        ready(agent.supervisor.prepare(&bob, &run(n, "look"), &look).unwrap());
    }
    assert_eq!(kept(), 1, "only the run in force has a snapshot");
    let unknown = agent.supervisor.renew(&bob, &run(0, "look"), &Renew { lease: LEASE }).unwrap_err();
    assert_eq!(unknown.code, RefusalCode::UnknownRun, "a look is not remembered");
    assert_eq!(agent.supervisor.finish(&run(0, "look")).unwrap_err().code, RefusalCode::UnknownRun);

    // Requests that are allowed, too: a prepared run can still be armed, and a run in force keeps its snapshot.
    let waiting = run(0, "waiting");
    let answer =
        agent.supervisor.prepare(&alice(), &waiting, &ask_prepare(&[("w", pause("w", None, None))], HOLD));
    let waits = ask_arm(&ready(answer.unwrap()), 60_000, HOLD, LEASE);
    for n in 0..70 {
        let ask = ask_prepare(&[(&format!("b{n}"), pause("b", None, None))], HOLD);
        ready(agent.supervisor.prepare(&bob, &run(n, "ready"), &ask).unwrap());
    }
    agent.supervisor.arm(&alice(), &waiting, &waits).unwrap();
    agent.undo(UndoScope::All, false);
    for run in [run_id(), waiting] {
        assert_eq!(agent.supervisor.finish(&run).unwrap().state, HostState::Clean, "{run}");
    }
    assert!(kept() <= 100, "{} snapshots are kept", kept());
}

/// If the run were forgotten, another person could start probes for it, and their results would be taken for the owner's.
#[test]
fn a_run_with_probes_keeps_its_owner_when_others_are_prepared() {
    let agent = Agent::new();
    let (bob, measured) = (Caller { name: "bob".into(), ..alice() }, "measured".parse().unwrap());
    agent.supervisor.start_probes(&alice(), &measured, &probes()).unwrap();
    for n in 0..70 {
        let ask = ask_prepare(&[(&format!("b{n}"), pause("b", None, None))], HOLD);
        ready(agent.supervisor.prepare(&alice(), &format!("r-{n}").parse().unwrap(), &ask).unwrap());
    }
    let refused = agent.supervisor.start_probes(&bob, &measured, &probes()).unwrap_err();
    assert!(refused.title.contains("measured is alice's"), "{refused:?}");
}

#[test]
fn a_run_that_two_people_prepare_at_once_belongs_to_one_of_them() {
    let agent = Agent::new();
    fs::write(agent.file("wait"), "").unwrap();
    let run: RunId = "both".parse().unwrap();
    let prepare = &|name: &str, fault: &str| {
        let caller = Caller { name: name.into(), ..alice() };
        let ask = ask_prepare(&[(fault, pause(fault, Some("told"), None))], HOLD);
        agent.supervisor.prepare(&caller, &run, &ask).map(drop)
    };
    let answers = std::thread::scope(|scope| {
        let asked =
            [("alice", "a"), ("bob", "b")].map(|(name, fault)| scope.spawn(move || prepare(name, fault)));
        for fault in ["a.asked", "b.asked"] {
            wait("both requests to be under way", || agent.file(fault).exists());
        }
        fs::remove_file(agent.file("wait")).unwrap();
        asked.map(|thread| thread.join().unwrap())
    });
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{answers:?}");
    assert!(refused[0].title.contains("run both is"), "{refused:?}");
}

#[test]
fn a_changed_policy_disarms_faults_that_have_not_started() {
    for (policy, why) in [
        ("max_hold = \"1s\"", &["at most 1s", "policy.max_hold", "agent.toml"][..]),
        ("max_faults = 1", &["at most 1 ", "policy.max_faults", "agent.toml"]),
        ("max_hol = \"1s\"", &["max_hol", "agent.toml", "nothing is injected"]),
        ("[policy.approval]\npeople = 1", &["nobody has", "policy.approval", "agent.toml"]),
    ] {
        let agent = Agent::new();
        agent.in_force(&[("x", pause("x", None, None))]);
        agent.arm(&agent.prepared(&a(), 60_000)).unwrap();
        agent.renew().unwrap();
        assert_eq!(agent.history("a").0, [State::Armed], "the policy is as it was");
        let text = config_text(agent.dir.path(), &format!("[policy]\n{policy}\n"));
        fs::write(agent.dir.path().join("agent.toml"), text).unwrap();
        agent.renew().unwrap();
        agent.wait_for("a", State::Disarmed);
        let (_, reason, detail) = agent.history("a");
        assert_eq!(reason, Some(HealReason::NotAllowed));
        assert!(why.iter().all(|why| detail.contains(why)), "{detail}");
        assert_eq!(agent.history("x").0.last(), Some(&State::InForce), "it stays until its hold is over");
        agent.undo(UndoScope::All, false);
    }
}

#[test]
fn claims_are_exclusive_unless_both_share() {
    let agent = Agent::new();
    agent.in_force(&[("a", pause("a", None, Some("x,shared y")))]);
    for (name, claim, ok) in
        [("b", "x", false), ("c", "y", false), ("d", "shared x", false), ("e", "shared y", true)]
    {
        let arm = agent.prepared(&[(name, pause(name, None, Some(claim)))], 300);
        assert_eq!(agent.arm(&arm).is_ok(), ok, "{claim}");
    }
    let twice = [("f", pause("f", None, Some("z"))), ("g", pause("g", None, Some("z")))];
    assert_eq!(agent.arm(&agent.prepared(&twice, 300)), Err("claimed".into()));
    agent.undo(UndoScope::Injection(id("a")), false);
    agent.arm(&agent.prepared(&[("h", pause("h", None, Some("x")))], 300)).unwrap();
}

#[test]
fn only_its_owner_continues_a_run_and_everybody_may_end_it() {
    let agent = Agent::new();
    agent.in_force(&a());
    let bob = Caller { name: "bob".into(), ..alice() };
    let renew = Renew { lease: LEASE };
    let problem = agent.supervisor.renew(&bob, &run_id(), &renew).unwrap_err();
    assert_eq!(problem.code, RefusalCode::NotAllowed);
    assert!(problem.title.contains("is alice's"), "{problem:?}");
    let ask = ask_prepare(&[("b", pause("b", None, None))], HOLD);
    assert_eq!(agent.supervisor.prepare(&bob, &run_id(), &ask).unwrap_err().code, RefusalCode::NotAllowed);
    let (probes, no_probes) = (probes(), StartProbes { probes: Vec::new(), ..probes() });
    assert_eq!(
        agent.supervisor.start_probes(&bob, &run_id(), &probes).unwrap_err().code,
        RefusalCode::NotAllowed
    );
    assert_eq!(agent.supervisor.start_probes(&alice(), &run_id(), &probes), Ok(()));
    // A person whose requests were all refused does not own the run.
    let other = "r2".parse().unwrap();
    assert_eq!(
        agent.supervisor.start_probes(&bob, &other, &no_probes).unwrap_err().code,
        RefusalCode::BadProbes
    );
    let refused = ask_prepare(&[("c", pause("c", Some("refused"), None))], HOLD);
    agent.supervisor.prepare(&bob, &other, &refused).unwrap();
    assert!(agent.supervisor.prepare(&alice(), &other, &ask).is_ok());
    let answer = agent.supervisor.undo(&bob, &Undo { scope: UndoScope::Run(run_id()), halt: false });
    assert_eq!(answer.injections[0].state, State::Undone);
}

#[test]
fn faults_are_refused_if_no_snapshot_can_be_taken() {
    let agent = Agent::new();
    fs::write(agent.file("blind"), "").unwrap();
    let asked = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), HOLD));
    assert_eq!(asked.unwrap_err().code, RefusalCode::NoSnapshot);
}

#[test]
fn each_fault_is_refused_by_itself_and_their_number_when_they_are_armed() {
    let agent = Agent::with("[policy]\nmax_faults = 1\nmax_hold = \"2m\"\n");
    let asks = [("a", pause("a", None, None)), ("b", pause("b", Some("refused"), None))];
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&asks, HOLD)).unwrap();
    assert!(matches!(answer.injections[0].answer, Prepared::Ready { .. }));
    assert!(
        matches!(&answer.injections[1].answer, Prepared::Refused(problem) if problem.code.as_str() == "not-here")
    );
    let answer = agent.supervisor.prepare(&alice(), &run_id(), &ask_prepare(&a(), Span::secs(121))).unwrap();
    assert!(
        matches!(&answer.injections[0].answer, Prepared::Refused(problem) if problem.hint.contains("max_hold"))
    );
    let two = [("c", pause("c", None, None)), ("d", pause("d", None, None))];
    assert_eq!(agent.arm(&agent.prepared(&two, 100)), Err("not-allowed".into()));
}

/// The parameters are checked before the code of the kind runs: the fake kinds of these tests would accept all of them.
#[test]
fn invalid_parameters_are_refused_before_a_kind_prepares() {
    let agent = Agent::new();
    for (json, code) in [
        (r#"{"process-pause":{"match":{"name":""}}}"#, "match-too-wide"),
        (r#"{"process-kill":{"match":{"name":"a","at_most":0}}}"#, "no-process"),
        (r#"{"service-stop":{"service":"../etc"}}"#, "bad-service"),
        (r#"{"net-block":{}}"#, "no-peers"),
        (r#"{"net-down":{"interface":"eth0; reboot"}}"#, "bad-interface"),
    ] {
        assert_eq!(agent.refusal_of(json), code, "{json}");
    }
}

/// The coordinator resolves `region-kill` to the faults that hosts make, and the policy must allow those. An agent that accepted
/// `region-kill` itself would make a fault that its policy does not allow.
#[test]
fn region_kill_bypasses_no_policy() {
    let policy = "[[policy.allow]]\nname = \"regions\"\nkinds = [\"region-kill\"]\n";
    let real_kinds = Wiring { kinds: |fault| Some(fault::of(fault)), ..wiring() };
    let agent = Agent::with_wiring(policy, real_kinds);
    for (json, code) in [
        (r#"{"region-kill":{"how":"poweroff"}}"#, "not-resolved"),
        (r#"{"region-kill":{"how":"isolate"}}"#, "not-resolved"),
        (r#"{"host-poweroff":{}}"#, "not-allowed"),
        (r#"{"host-isolate":{}}"#, "not-allowed"),
    ] {
        assert_eq!(agent.refusal_of(json), code, "{json}");
    }
}
