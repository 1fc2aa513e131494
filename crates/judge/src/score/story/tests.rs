//! Tests of the story: for each kind of fault, for faults that did not land, and for probes that no objective judges.

use std::collections::BTreeSet;

use firedrill_plan::plan::model::Goal;
use firedrill_wire::{
    Fault, Span,
    evidence::Seen,
    exchange::Exchanged,
    fault::{NetBlock, NetLose, NetSlow},
    journal::{AgentEvent, State, What},
};

use super::during;
use crate::{
    log::{Event, Record},
    score::fold,
    testing::{Act, Drill},
};

fn block() -> Fault {
    Fault::NetBlock(NetBlock { to: vec!["10.9.0.4".to_owned()].into(), ..NetBlock::default() })
}

/// Returns the clause for an attack that held, as if its faults had been these, all on app1.
fn clause(faults: &[Fault]) -> String {
    let drill = Drill::one();
    let mut attack = fold(&drill.records()).attacks.remove(0);
    let mut plan = drill.plan();
    let (card, planned) = (attack.injections[0].clone(), plan.attacks[0].injections[0].clone());
    attack.injections = vec![card; faults.len()];
    plan.attacks[0].injections = vec![planned; faults.len()];
    for (planned, fault) in plan.attacks[0].injections.iter_mut().zip(faults) {
        planned.fault = fault.clone();
    }
    during(&attack, &plan)
}

#[test]
fn every_kind_has_its_words() {
    let all = [
        (r#"{"service-stop":{"service":"checkout"}}"#, "a service on app1 was stopped"),
        (r#"{"service-kill":{"service":"checkout"}}"#, "a service on app1 was killed"),
        (r#"{"service-restart":{"service":"checkout"}}"#, "a service on app1 was restarted"),
        (r#"{"process-kill":{"match":{"name":"x"}}}"#, "a process on app1 was killed"),
        (r#"{"process-pause":{"match":{"name":"x"}}}"#, "a process on app1 was frozen"),
        (r#"{"net-block":{"to":["db"]}}"#, "some traffic of app1 was blocked"),
        (r#"{"net-partition":{"shape":"halves"}}"#, "app1 was partitioned"),
        (r#"{"net-slow":{"delay":"1s"}}"#, "some traffic of app1 was delayed"),
        (r#"{"net-lose":{"share":"5%"}}"#, "some traffic of app1 was lost"),
        (r#"{"net-duplicate":{"share":"5%"}}"#, "some traffic of app1 was duplicated"),
        (r#"{"net-corrupt":{"share":"5%"}}"#, "some traffic of app1 was damaged"),
        (r#"{"net-reorder":{"share":"5%","delay":"10ms"}}"#, "some traffic of app1 was reordered"),
        (r#"{"net-throttle":{"rate":"1mbit"}}"#, "some traffic of app1 was throttled"),
        (r#"{"net-reset":{}}"#, "connections of app1 were reset"),
        (r#"{"net-dns":{"zones":["."],"how":"drop"}}"#, "DNS answers to app1 were dropped"),
        (r#"{"net-dns":{"zones":["."],"how":"delay"}}"#, "DNS answers to app1 were delayed"),
        (r#"{"net-dns":{"zones":["."],"how":"servfail"}}"#, "DNS answers to app1 were falsified"),
        (r#"{"net-down":{"interface":"eth1"}}"#, "an interface of app1 was down"),
        (r#"{"net-flap":{"interface":"eth1","down":"1s","up":"2s"}}"#, "an interface of app1 was flapping"),
        (r#"{"host-isolate":{}}"#, "app1 was cut off"),
        (r#"{"host-reboot":{"back_within":"60s"}}"#, "app1 was rebooted"),
        (r#"{"host-poweroff":{}}"#, "app1 was powered off"),
        (r#"{"region-kill":{"how":"isolate"}}"#, "app1 was cut off"),
        (r#"{"region-kill":{"how":"poweroff"}}"#, "app1 was powered off"),
    ];
    let mut missing: BTreeSet<&str> = Fault::KINDS.into();
    for (json, words) in all {
        let fault: Fault = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        missing.remove(fault.kind());
        assert_eq!(clause(&[fault]), words);
    }
    assert!(missing.is_empty(), "kinds without an example here: {missing:?}");
}

#[test]
fn several_faults_on_a_host_become_one_clause() {
    let slow = || Fault::NetSlow(NetSlow { delay: Span::millis(50), ..NetSlow::default() });
    let lose = || Fault::NetLose(NetLose::default());
    assert_eq!(clause(&[slow(), lose(), slow()]), "some traffic of app1 was delayed and lost");
    let stop = crate::testing::stop();
    assert_eq!(clause(&[slow(), stop]), "some traffic of app1 was delayed and a service on app1 was stopped");
}

#[test]
fn a_fault_that_did_not_land_is_not_described_as_done() {
    let met = |answered: u32| Exchanged {
        sent: 20,
        answered,
        times_us: vec![300; usize::try_from(answered).unwrap()],
        ..Exchanged::default()
    };
    let act = |in_force, exercised| Act { in_force, exercised, ..Act::new("cut app1", &["app1"], block()) };
    let leaky = Drill::exchanging(act(Seen::Yes, Seen::Yes), [Some(met(20)), Some(met(3)), Some(met(20))]);
    let with = |act: Act| Drill { acts: vec![act], ..Drill::one() };
    for drill in [leaky, with(act(Seen::Yes, Seen::No)), with(act(Seen::No, Seen::Yes))] {
        let story = fold(&drill.records()).story;
        let wanted = "while “cut app1” was on (nothing shows that net-block on app1 landed), users saw ";
        assert!(story.contains(wanted) && !story.contains("blocked"), "{story}");
    }
    let story = fold(&with(act(Seen::Yes, Seen::Yes)).records()).story;
    assert!(story.contains("while some traffic of app1 was blocked, users saw "), "{story}");
}

#[test]
fn a_trial_shows_that_an_idle_fault_landed() {
    let met = |answered| Some(Exchanged { sent: 20, answered, ..Exchanged::default() });
    let act = Act { packets: 0, ..Act::new("cut app1", &["app1"], block()) };
    let story = fold(&Drill::exchanging(act, [met(20), met(0), met(20)]).records()).story;
    assert!(story.contains("while some traffic of app1 was blocked, users saw "), "{story}");
}

#[test]
fn hosts_where_it_did_not_land_are_named() {
    let mut records = Drill::good().records();
    for record in &mut records {
        if let Event::Agent { host, what, .. } = &mut record.event
            && let What::Looked { evidence, .. } = &mut what.what
            && host == "db2"
        {
            evidence.in_force = Seen::No;
        }
        // Without bad requests, the other attack is not the worse one.
        if let Event::Bin { start_us, bin, .. } = &mut record.event
            && *start_us < Drill::start(1) * crate::testing::S
        {
            (bin.bad, bin.first_bad_us, bin.last_bad_us) = (std::collections::BTreeMap::new(), None, None);
        }
    }
    let story = fold(&records).story;
    let wanted = "while app2 was cut off (nothing shows that host-isolate on db2 landed), users saw ";
    assert!(story.contains(wanted), "{story}");
}

#[test]
fn a_fault_that_never_was_in_force_is_mentioned_once() {
    let mut records = Drill::one().records();
    let kept = [State::Armed, State::Disarmed];
    records.retain(|record| match &record.event {
        Event::Agent { what: AgentEvent { what: What::Changed { to, .. }, .. }, .. } => kept.contains(to),
        Event::Agent { what: AgentEvent { what: What::Looked { .. }, .. }, .. } => false,
        _ => true,
    });
    for (seq, record) in (1..).zip(&mut records) {
        record.seq = seq;
    }
    let story = fold(&records).story;
    assert_eq!(story, "One failure, unknown: in “stop checkout” service-stop on app1 was never in force.");
}

/// Returns the records of the same run with more probes, whose requests all failed.
fn with_probes(drill: &Drill, names: &[&str]) -> Vec<Record> {
    let mut records = Vec::new();
    for mut record in drill.records() {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            for name in names {
                plan.probes.push(firedrill_plan::plan::model::Probe {
                    name: (*name).to_owned(),
                    ..plan.probes[0].clone()
                });
            }
        }
        records.push(record.clone());
        if let Event::Bin { vantage, start_us, bin } = &record.event {
            for name in names {
                let failed = crate::testing::bin(name, *start_us / crate::testing::S, 0, bin.due);
                let event = Event::Bin { vantage: vantage.clone(), start_us: *start_us, bin: failed };
                records.push(Record { event, ..record.clone() });
            }
        }
    }
    for (seq, record) in (1..).zip(&mut records) {
        record.seq = seq;
    }
    records
}

#[test]
fn probes_that_no_objective_judges_are_named_and_change_nothing() {
    let mut drill = Drill::one();
    let plain = fold(&drill.records()).story;
    assert_eq!(
        fold(&with_probes(&drill, &["door"])).story,
        format!("{plain} The probe “door” was not judged.")
    );
    let many = fold(&with_probes(&drill, &["a", "b", "c", "d", "e", "f"])).story;
    let wanted = " The probes “a”, “b”, “c”, “d”, “e” and “f” were not judged.";
    assert_eq!(many, format!("{plain}{wanted}"));
    // A probe of an objective counts as not judged, too, if the attack is not judged by that objective.
    drill.goals.push(("slow", Goal::MitigateWithin(Span::secs(1)), vec![]));
    let mut records = with_probes(&drill, &["door"]);
    for record in &mut records {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            plan.objectives
                .iter_mut()
                .filter(|one| one.name == "slow")
                .for_each(|one| one.probe = "door".to_owned());
            plan.attacks[0].judge.retain(|name| name != "slow");
        }
    }
    assert_eq!(fold(&records).story, format!("{plain} The probe “door” was not judged."));
}
