//! Tests the verdicts of runs end to end, with real agents in a lab and coordinators as separate processes. Each case has another disturbance. If
//! a fault was not in force, or an objective was not measured, the verdict is never `held`, and the report has the reason.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

#[path = "truth/ground.rs"]
mod ground;
#[path = "truth/network.rs"]
mod network;
#[path = "common/runs.rs"]
mod runs;

use std::{
    panic::{catch_unwind, resume_unwind},
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

use firedrill::{log::Event, plan::model::Phase};
use ground::{APP1, Drill, Ground, Report, SHOP, by_lab, said};
use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;

/// A case and its name.
type Case = (&'static str, fn(&Ground));

const CASES: &[Case] = &[
    ("held", what_held_is_said_to_have_held),
    ("slow-stop", a_service_that_is_slow_to_stop_is_held_for_all_of_its_hold),
    ("violated", what_was_violated_is_said_to_be),
    ("unmet", a_rule_that_no_packet_met),
    ("tried", a_rule_that_only_the_trial_met),
    ("lifted", a_fault_that_somebody_lifted),
    ("undone-early", a_run_that_somebody_undid_before_its_fault),
    ("undone-late", a_run_that_somebody_undid_after_its_fault),
    ("halted", a_run_whose_target_somebody_halted),
    ("ill", a_system_that_is_ill_before_the_first_attack),
    ("ill-later", a_system_that_is_ill_before_a_later_attack),
    ("cut", the_only_vantage_is_cut_off),
    ("slept", a_coordinator_that_slept_for_longer_than_its_lease),
    ("dozed", a_coordinator_that_slept_for_a_moment),
    ("witness", a_vantage_that_is_attacked_is_no_witness),
    ("worker", an_agent_whose_worker_was_killed),
    ("killed", a_coordinator_that_was_killed),
    ("ctrl-c", a_person_stops_it),
    ("guard", a_guard_aborts_it),
    ("needs", what_a_violated_attack_was_needed_for_does_not_run),
    ("stops", a_violated_attack_may_be_the_last),
    ("stands", a_try_that_is_refused_leaves_the_one_before),
    ("again", what_stays_unknown_is_tried_again_and_stays_unknown),
    ("late", a_drill_that_takes_too_long_is_stopped),
];

fn main() -> ExitCode {
    // The product's program starts the lab's hosts. This program only handles calls from inside a host.
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    if let Some(code) = network::knock() {
        return code;
    }
    if let Err(why) = firedrill_lab::preflight() {
        eprintln!("skipped: no lab can start here: {why}");
        return ExitCode::SUCCESS;
    }
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(THREADS);
    let trial = |&(name, case): &Case| {
        Trial::test(name, move || {
            tried(name, case);
            Ok(())
        })
    };
    libtest_mimic::run(&args, CASES.iter().chain(network::CASES).map(trial).collect()).exit_code()
}

/// Number of cases that run at once. They run in parallel, because each waits far more than it computes.
const THREADS: usize = 8;
/// Maximum number of tries of a case.
const TRIES: usize = 3;
/// The reason of `unknown` if the machine is too busy for the requests of a drill.
const BUSY: &str = "could not keep its own schedule";

/// Runs a case. On a machine that is busy with other work, the verdict is rightly `unknown`. Then the case is tried again.
fn tried(name: &'static str, case: fn(&Ground)) {
    for left in (0..TRIES).rev() {
        let Err(panic) = catch_unwind(|| case(&Ground::new(name))) else { return };
        let said = panic.downcast_ref::<String>().map_or("", String::as_str);
        if left == 0 || !too_busy(said) {
            resume_unwind(panic);
        }
        eprintln!("{name}: again, because the machine was too busy for its requests");
    }
}

/// Whether a case failed because the machine was busy. A wrong `held` or `violated` is a failure in any case. `said` is the message of
/// `assert_eq!`, in which `left` is the verdict of the run.
fn too_busy(said: &str) -> bool {
    let verdict_is = |word: &str| {
        [format!("left: String(\"{word}\")"), format!("left: Some(\"{word}\")")]
            .iter()
            .any(|text| said.contains(text))
    };
    said.contains(BUSY) && !verdict_is("held") && !verdict_is("violated")
}

/// Returns the text of another attack of the same drill, with further lines.
macro_rules! then {
    ($name:literal, $more:literal) => {
        concat!(
            "[[attack]]\nname = \"",
            $name,
            "\"\non = \"app2\"\nfault.process-pause = { match = { service = \"checkout\" } }\n",
            "baseline = \"2s\"\nhold = \"2s\"\nrecovery = \"2s\"\n",
            $more
        )
    };
}

fn what_held_is_said_to_have_held(ground: &Ground) {
    ground.start(&Drill::new()).report().expect("held", 0, "One failure, held").clean();
}

fn a_service_that_is_slow_to_stop_is_held_for_all_of_its_hold(ground: &Ground) {
    let script = include_str!("truth/slow_service.sh");
    let started = ground.lab().exec("app1", &["sh", "-c", script].map(Into::into)).unwrap();
    assert!(started.success(), "{started}");
    let fault = r#"service-stop = { service = "slow" }"#;
    let report = ground.start(&Drill { fault, ..Drill::new() }).report();
    report.expect("held", 0, "One failure, held").clean();
    let attack = &report.card["attacks"][0];
    let one = &attack["injections"][0];
    let [in_force, undoing] = ["in_force_us", "undoing_us"].map(|key| one[key].as_i64().unwrap());
    assert!(undoing - in_force >= 4_000_000, "{one}");
    let fault = attack["phases"].as_array().unwrap().iter().find(|act| act["phase"] == "fault").unwrap();
    let ramp = in_force - fault["from_us"].as_i64().unwrap();
    assert!(ramp >= 3_000_000, "harm began before it was in force: {attack:#}");
}

fn what_was_violated_is_said_to_be(ground: &Ground) {
    let drill = Drill { url: APP1, good: "90%", ..Drill::new() };
    ground.start(&drill).report().expect("violated", 1, "90 % wanted").clean();
}

fn a_rule_that_no_packet_met(ground: &Ground) {
    // The shop and its client exchange packets only through the balancer, and nothing answers UDP.
    let drill = Drill { fault: IDLE, ..Drill::new() };
    ground.start(&drill).report().expect("unknown", 3, "was never exercised, nothing met it").clean();
}

/// A fault whose rule no packet meets.
const IDLE: &str = r#"net-block = { to = "client", protocol = "udp" }"#;

fn a_rule_that_only_the_trial_met(ground: &Ground) {
    let drill = Drill { fault: r#"net-block = { to = "client" }"#, ..Drill::new() };
    let report = ground.start(&drill).report();
    report.expect("held", 0, "One failure, held").clean();
    let one = &report.card["attacks"][0]["injections"][0];
    assert_eq!(one["exercised"], "no", "{one}");
    assert_eq!(one["exchanges"][0]["during"]["answered"], 0, "{one}");
}

fn a_fault_that_somebody_lifted(ground: &Ground) {
    let mut run = ground.start(&Drill { hold: "20s", more: AGAIN, ..Drill::new() });
    run.in_force();
    undo(ground, &run.run_id());
    let (report, tries) = run.report_and_tries();
    report.expect("unknown", 5, "was lifted early, asked for by lab-operator").clean();
    report.expect("unknown", 5, "the run was stopped: lab-operator undid");
    assert_eq!(tries.len(), 1, "a person's stop is final: {tries:?}");
}

/// Lets the coordinator try again after `unknown`.
const AGAIN: &str = "[ci]\nretry_unknown = 1\n";

/// Undoes a run, as another person's command would.
fn undo(ground: &Ground, run: &str) {
    let undone = ground.firedrill(&["undo", "--run", run, &by_lab(ground.lab().name())]);
    assert!(undone.status.success(), "{}", said(&undone));
}

fn a_run_that_somebody_undid_before_its_fault(ground: &Ground) {
    let mut run = ground.start(&Drill { more: AGAIN, ..Drill::new() });
    run.until(|event| matches!(event, Event::Phase { .. }));
    undo(ground, &run.run_id());
    let (report, tries) = run.report_and_tries();
    report.expect("unknown", 5, "the run was stopped: ");
    assert_eq!(tries.len(), 1, "a person's stop is final: {tries:?}");
}

/// No fault is in force any more, so no event reports the undo.
fn a_run_that_somebody_undid_after_its_fault(ground: &Ground) {
    let mut run = ground.start(&Drill { recovery: "15s", more: AGAIN, ..Drill::new() });
    run.until(|event| matches!(event, Event::Phase { phase: Phase::Recovery, .. }));
    undo(ground, &run.run_id());
    let (report, tries) = run.report_and_tries();
    // The reason depends on who learns of the undo first, the coordinator on this machine or the host.
    report.expect("unknown", 5, "the run was stopped: ").clean();
    assert!(report.pages.contains("lab-operator undid the run"), "{}", report.pages);
    assert_eq!(tries.len(), 1, "a person's stop is final: {tries:?}");
}

fn a_run_whose_target_somebody_halted(ground: &Ground) {
    let mut run = ground.start(&Drill { more: AGAIN, ..Drill::new() });
    run.until(|event| matches!(event, Event::Phase { .. }));
    let halted = ground.firedrill(&["undo", "--all", "--host", "app1", &by_lab(ground.lab().name())]);
    assert!(halted.status.success(), "{}", said(&halted));
    let (report, tries) = run.report_and_tries();
    report.expect("unknown", 5, "the run was stopped: ");
    let by = ["lab-operator halted", "lab-operator undid the run on this machine"];
    assert!(by.iter().any(|by| report.pages.contains(by)), "{}", report.pages);
    assert_eq!(tries.len(), 1, "a person's stop is final: {tries:?}");
}

fn a_system_that_is_ill_before_the_first_attack(ground: &Ground) {
    let run = ground.start(&Drill { url: "http://app1:9/checkout", more: AGAIN, ..Drill::new() });
    let (report, tries) = run.report_and_tries();
    report.expect("unknown", 4, "did not hold: objective users: from coordinator 0 % of");
    report.expect("unknown", 4, "60 % wanted (refused ");
    assert_eq!(tries.len(), 1, "what is refused is not tried again: {tries:?}");
    let attack = &report.card["attacks"][0];
    assert_eq!(attack["causes"][0]["phase"], "baseline", "{attack}");
    let counted = &attack["causes"][0]["causes"]["refused"];
    assert!(
        report.pages.contains(&format!("(refused {counted})")),
        "the report has another count than {counted}: {}",
        report.pages
    );
    let junit = std::fs::read_to_string(tries[0].join("junit.xml")).unwrap();
    assert!(junit.contains("did not hold: objective users"), "{junit}");
    assert_eq!(report.card["hosts"].as_array().map(Vec::len), Some(0), "a host was touched");
}

fn a_system_that_is_ill_before_a_later_attack(ground: &Ground) {
    let more = "[[attack]]\nname = \"next\"\non = \"app2\"\nfault.process-pause = { match = { service = \"checkout\" } }\n\
                baseline = \"12s\"\nhold = \"2s\"\nrecovery = \"2s\"\n";
    let mut run = ground.start(&Drill { more, ..Drill::new() });
    run.until(|event| matches!(event, Event::AttackEnded { .. }));
    // The disturbance comes early in the baseline, so that the baseline cannot hold.
    ground.lab().cut("edge1").unwrap();
    let report = run.report();
    report.expect("unknown", 3, "did not hold: objective users: from coordinator").clean();
    let told: Vec<_> = (0..2).map(|place| report.card["attacks"][place]["verdict"].as_str()).collect();
    assert_eq!(told, [Some("held"), None], "{}", report.card);
    let causes = report.card["attacks"][1]["causes"].as_array().unwrap();
    assert!(causes.iter().all(|cause| cause["phase"] == "baseline"), "{causes:?}");
    assert!(!causes.is_empty(), "{}", report.card);
}

fn the_only_vantage_is_cut_off(ground: &Ground) {
    let mut run = ground.start(&Drill { from: r#"["client1"]"#, ..Drill::new() });
    run.in_force();
    ground.lab().cut("client1").unwrap();
    run.report().expect("unknown", 3, "nothing was measured there for").clean();
}

fn a_coordinator_that_slept_for_longer_than_its_lease(ground: &Ground) {
    let mut run = ground.start(&Drill { hold: "20s", lease: "3s", ..Drill::new() });
    run.in_force().signal(Signal::STOP);
    sleep(Duration::from_secs(6));
    run.signal(Signal::CONT);
    run.report().expect("unknown", 5, "longer than the lease of 3s").clean();
}

fn a_coordinator_that_slept_for_a_moment(ground: &Ground) {
    let mut run = ground.start(&Drill { from: r#"["client1"]"#, hold: "6s", ..Drill::new() });
    run.in_force().signal(Signal::STOP);
    sleep(Duration::from_secs(2));
    run.signal(Signal::CONT);
    run.report().expect("unknown", 3, "the coordinator itself was not running for").clean();
}

fn a_vantage_that_is_attacked_is_no_witness(ground: &Ground) {
    let blind = Drill { from: r#"["app1"]"#, fault: r#"net-block = { to = "edge" }"#, ..Drill::new() };
    let refused = ground.check(&blind);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("hits every vantage of probe `buy`"), "{}", said(&refused));
    // Beside another vantage, an attacked vantage is shown, but does not count, however bad its figures are.
    let drill = Drill { from: r#"["app1", "coordinator"]"#, url: SHOP, ..blind };
    let report = ground.start(&drill).report();
    report.expect("held", 0, "One failure, held").clean();
    let vantages = report.card["attacks"][0]["objectives"][0]["vantages"].as_array().unwrap().clone();
    let own = vantages.iter().find(|vantage| vantage["vantage"] == "app1").unwrap();
    assert_eq!(own["counts"], false, "{own}");
    assert_ne!(own["verdict"], "held", "{own}");
}

fn an_agent_whose_worker_was_killed(ground: &Ground) {
    let mut run = ground.start(&Drill { hold: "6s", ..Drill::new() });
    run.in_force();
    kill(ground.worker("app1"));
    run.report().expect("unknown", 3, "service-stop on app1").clean();
}

fn a_coordinator_that_was_killed(ground: &Ground) {
    let mut run = ground.start(&Drill { hold: "20s", lease: "3s", ..Drill::new() });
    run.in_force().signal(Signal::KILL);
    let folder = run.gone();
    let collected = ground.firedrill(&["collect", folder.to_str().unwrap(), &by_lab(ground.lab().name())]);
    let report = Report::read(&folder, collected.status.code(), said(&collected));
    report.expect("unknown", 3, "the coordinator died").clean();
}

fn a_person_stops_it(ground: &Ground) {
    let mut run = ground.start(&Drill { hold: "20s", ..Drill::new() });
    run.in_force().signal(Signal::INT);
    run.report().expect("unknown", 5, "stopped by Ctrl-C").clean();
}

fn a_guard_aborts_it(ground: &Ground) {
    let guard = r#"abort = [{ probe = "buy", good_below = "50%", over = "2s" }]"#;
    let drill = Drill { url: APP1, hold: "20s", guard, ..Drill::new() };
    ground.start(&drill).report().expect("violated", 1, "a guard aborted").clean();
}

fn what_a_violated_attack_was_needed_for_does_not_run(ground: &Ground) {
    let more = concat!(then!("needing", "needs = [\"attack\"]\n"), then!("free", ""));
    let report = ground.start(&Drill { url: APP1, good: "90%", more, ..Drill::new() }).report();
    report.expect("violated", 1, "which was violated").clean();
    let attacks = report.card["attacks"].as_array().unwrap();
    let verdicts: Vec<_> = attacks.iter().map(|attack| attack["verdict"].as_str()).collect();
    assert_eq!(verdicts, [Some("violated"), None, Some("held")], "{attacks:#?}");
}

fn a_violated_attack_may_be_the_last(ground: &Ground) {
    let more = concat!("on_violated = \"stop\"\n", then!("next", ""));
    let report = ground.start(&Drill { url: APP1, good: "90%", more, ..Drill::new() }).report();
    report.expect("violated", 1, "the scenario says to stop").clean();
    assert!(
        report.card["attacks"][1]["verdict"].is_null(),
        "an attack that was not run has a verdict: {}",
        report.card
    );
}

fn what_stays_unknown_is_tried_again_and_stays_unknown(ground: &Ground) {
    let run = ground.start(&Drill { fault: IDLE, hold: "2s", more: AGAIN, ..Drill::new() });
    let (report, tries) = run.report_and_tries();
    report.expect("unknown", 3, "was never exercised").clean();
    assert_eq!(tries.len(), 2, "{tries:?}");
}

fn a_try_that_is_refused_leaves_the_one_before(ground: &Ground) {
    let mut run = ground.start(&Drill { fault: IDLE, hold: "2s", more: AGAIN, ..Drill::new() });
    run.until(|event| matches!(event, Event::AttackEnded { .. }));
    // Without edge1 the next baseline cannot hold.
    ground.lab().cut("edge1").unwrap();
    // The first try stands.
    let (report, tries) = run.standing(|_| 0);
    report.expect("unknown", 3, "was never exercised").clean();
    assert_eq!(tries.len(), 2, "{tries:?}");
    let second = std::fs::read_to_string(tries[1].join("report.json")).unwrap();
    assert!(second.contains("did not hold: objective users"), "{second}");
}

fn a_drill_that_takes_too_long_is_stopped(ground: &Ground) {
    // The time limit is just enough if everything goes as planned, and the coordinator is stopped for some of that
    // time.
    let more = "[ci]\ntime_limit = \"26s\"\n";
    let mut run = ground.start(&Drill { hold: "20s", lease: "30s", more, ..Drill::new() });
    run.in_force().signal(Signal::STOP);
    sleep(Duration::from_secs(6));
    run.signal(Signal::CONT);
    run.report().expect("unknown", 3, "the time limit of 26s is over").clean();
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}
