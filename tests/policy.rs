//! Tests which calls the agents of a lab allow to several people: faults, probes that send secrets, exchanges of packets, and the release of a
//! halt. All of these people have a certificate of the right authority, so that only the policies of the hosts decide.
//!
//! This program is also the lab's hosts and agents, so it has a `main`. It takes the usual arguments of a test program.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

#[path = "policy/world.rs"]
mod world;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use firedrill::link::{Agent, LinkError};
use firedrill_wire::{
    RefusalCode, RunId, Span,
    api::{Grade, Prepare, PrepareOne, Prepared, Problem, StartProbes, Undo, UndoScope},
    exchange::{Exchange, Way},
    probe::ProbeSpec,
};
use futures_util::StreamExt as _;
use libtest_mimic::{Arguments, Trial};
use world::{NAP, TOKEN, World, listener, model, next};

/// Returns the run of all probes here.
fn run() -> RunId {
    "r1".parse().unwrap()
}

/// Returns a run that no host knows yet.
fn new_run() -> RunId {
    static NEXT: AtomicU32 = AtomicU32::new(2);
    format!("r{}", NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// Returns an HTTP probe of a URL, with further keys of its JSON.
fn probes(url: &str, more: &str) -> StartProbes {
    let text =
        format!(r#"{{"name":"p","rate":20.0,"timeout":"1s","kind":{{"http":{{"url":"{url}"{more}}}}}}}"#);
    let spec: ProbeSpec = serde_json::from_str(&text).unwrap();
    StartProbes { probes: vec![spec], at_most: Span::secs(60), environment: None, vantage: None }
}

/// Returns an exchange of packets with the agent's port of a host.
fn to_host(host: &str) -> Exchange {
    let (every, within) = (Span::millis(5), Span::secs(2));
    Exchange { to: model(host).addresses[0], way: Way::Connect(7790), count: 2, every, within }
}

/// Returns a host's answer to a `net-block` of another host, in a scenario for an environment.
async fn block(agent: &Agent, environment: Option<&str>) -> Result<(), Problem> {
    prepare(agent, environment, r#"{"net-block":{"to":"10.77.1.200"}}"#).await
}

/// Returns a host's answer to a fault, in a scenario for an environment.
async fn prepare(agent: &Agent, environment: Option<&str>, fault: &str) -> Result<(), Problem> {
    let fault = serde_json::from_str(fault).unwrap();
    let injection = PrepareOne { id: "i1".parse().unwrap(), fault, hold: Span::secs(5), proof: Vec::new() };
    let ask = Prepare {
        plan_digest: "d".to_owned(),
        environment: environment.map(str::to_owned),
        injections: vec![injection],
        only_look: false,
        approvals: Vec::new(),
    };
    match agent.prepare(&new_run(), &ask).await.unwrap().injections.remove(0).answer {
        Prepared::Ready { .. } => Ok(()),
        Prepared::Refused(problem) => Err(problem),
    }
}

/// Checks the code of a refusal, and returns its reason and its hint.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, LinkError>, code: &str) -> String {
    match answer {
        Err(LinkError::Refused { problem, .. }) if problem.code.as_str() == code => {
            format!("{}; {}", problem.title, problem.hint)
        }
        other => panic!("not refused with {code}: {other:?}"),
    }
}

fn secrets_come_from_listed_directories_only(world: &World) {
    let (at, requests) = listener();
    let agent = world.agent("bob", "free");
    let url = format!("http://{at}/");
    world.runtime.block_on(async {
        for (more, why) in [
            // The agent's private key, which only root may read.
            (r#","bearer":{"secret_file":"/etc/firedrill/host.key"}"#, "/etc/firedrill/secrets only"),
            (
                r#","bearer":{"secret_file":"/etc/firedrill/secrets/../host.key"}"#,
                "/etc/firedrill/secrets only",
            ),
            (r#","bearer":{"secret_file":"/proc/self/environ"}"#, "/etc/firedrill/secrets only"),
            (r#","bearer":{"secret_env":"PATH"}"#, "these variables only: none"),
        ] {
            let said = refused(agent.start_probes(&run(), &probes(&url, more)).await, "bad-probe");
            assert!(said.contains(why), "{more}: {said}");
        }
        let tls = probes("https://10.77.1.10/", r#","ca_file":"/etc/firedrill/ca.pem""#);
        let said = refused(agent.start_probes(&run(), &tls).await, "bad-probe");
        assert!(said.contains("/etc/ssl/certs"), "{said}");
        assert!(requests.try_recv().is_err(), "a refused probe has sent a request");

        let listed = probes(&url, r#","bearer":{"secret_file":"/etc/firedrill/secrets/token"}"#);
        agent.start_probes(&run(), &listed).await.unwrap();
        assert!(next(&requests).contains(&format!("Bearer {TOKEN}\r\n")));
        agent.stop_probes(&run()).await.unwrap();
    });
}

fn programs_run_where_a_rule_names_them_and_their_user(world: &World) {
    let runs = |command: &str| {
        let mut all = probes("http://unused/", "");
        all.probes[0].kind = serde_json::from_str(&format!(r#"{{"exec":{{"command":{command}}}}}"#)).unwrap();
        all
    };
    let check = runs(r#"["/bin/sh","-c","exit 3"]"#);
    world.runtime.block_on(async {
        let shop = world.agent("shop", "ruled");
        let run = new_run();
        shop.start_probes(&run, &check).await.unwrap();
        let mut bins = std::pin::pin!(shop.bins(&run, 0));
        let bin = bins.next().await.unwrap().unwrap();
        assert!(bin.bad.contains_key("exit 3") && bin.good == 0, "{bin:?}");
        shop.stop_probes(&run).await.unwrap();

        let others =
            refused(shop.start_probes(&run, &runs(r#"["/bin/sh","-c","exit 4"]"#)).await, "not-allowed");
        assert!(others.contains("commands ="), "{others}");
        let unmapped = refused(shop.start_probes(&run, &runs(r#"["/bin/true"]"#)).await, "not-allowed");
        assert!(unmapped.contains("user daemon cannot be had here"), "{unmapped}");
        let bob = world.agent("bob", "ruled");
        assert!(refused(bob.start_probes(&new_run(), &check).await, "not-allowed").contains("bob"));
        let free = world.agent("alice", "free");
        let said = refused(free.start_probes(&new_run(), &check).await, "not-allowed");
        assert!(said.contains("run_as = \"nobody\""), "{said}");
    });
}

fn bounds_of_probes_are_named(world: &World) {
    let agent = world.agent("bob", "free");
    world.runtime.block_on(async {
        let mut long = probes("http://10.77.1.10:9/", "");
        long.at_most = Span::secs(31_557_600_000);
        let said = refused(agent.start_probes(&run(), &long).await, "not-allowed");
        assert!(said.contains("7d") && said.contains("policy.max_probe_time"), "{said}");
        let mut many = probes("http://10.77.1.10:9/", "");
        many.probes[0].rate = 15_000.0;
        many.probes.push(ProbeSpec { name: "q".to_owned(), ..many.probes[0].clone() });
        let said = refused(agent.start_probes(&run(), &many).await, "not-allowed");
        assert!(said.contains("at most 20000") && said.contains("policy.max_probe_rate"), "{said}");
    });
}

fn a_halt_is_for_probes_and_exchanges_too(world: &World) {
    let (at, requests) = listener();
    let agent = world.agent("alice", "halted");
    let probes = probes(&format!("http://{at}/"), "");
    world.runtime.block_on(async {
        agent.start_probes(&run(), &probes).await.unwrap();
        next(&requests);
        agent.undo(&Undo { scope: UndoScope::All, halt: true }).await.unwrap();
        // The probes have stopped, and their bins can be read to the end.
        let mut bins = std::pin::pin!(agent.bins(&run(), 0));
        while let Some(bin) = bins.next().await {
            bin.unwrap();
        }
        assert!(refused(agent.start_probes(&run(), &probes).await, "halted").contains("alice"));
        refused(agent.exchange(&run(), &to_host("free")).await, "halted");
        refused(agent.prepare(&new_run(), &prepare_nothing()).await, "halted");
        assert_eq!(agent.status().await.unwrap().halted_by.as_deref(), Some("alice"));
        agent.release().await.unwrap();
        assert!(agent.exchange(&run(), &to_host("free")).await.unwrap().back() > 0);
        agent.start_probes(&run(), &probes).await.unwrap();
        agent.stop_probes(&run()).await.unwrap();
    });
}

/// Returns a request to prepare no faults at all.
fn prepare_nothing() -> Prepare {
    Prepare {
        plan_digest: "d".to_owned(),
        environment: None,
        injections: Vec::new(),
        only_look: false,
        approvals: Vec::new(),
    }
}

fn people_without_any_permission_may_heal_and_look(world: &World) {
    let bob = world.agent("bob", "ruled");
    world.runtime.block_on(async {
        let measure = probes("http://10.77.1.10:9/", "");
        let problem = block(&bob, None).await.unwrap_err();
        assert_eq!(problem.code, RefusalCode::NotAllowed, "{problem:?}");
        for said in [
            refused(bob.start_probes(&run(), &measure).await, "not-allowed"),
            refused(bob.exchange(&run(), &to_host("free")).await, "not-allowed"),
        ] {
            assert!(said.contains("bob") && said.contains("policy.allow"), "{said}");
        }
        bob.status().await.unwrap();
        bob.doctor().await.unwrap();
        bob.undo(&Undo { scope: UndoScope::All, halt: true }).await.unwrap();
        refused(bob.release().await, "not-allowed");
        // The rule for the team `shop` allows measuring, but not the release of a halt.
        let shop = world.agent("shop", "ruled");
        refused(shop.release().await, "not-allowed");
        world.agent("sre", "ruled").release().await.unwrap();
        shop.start_probes(&run(), &measure).await.unwrap();
        shop.stop_probes(&run()).await.unwrap();
        let outside = probes("http://192.0.2.1/", "");
        assert!(refused(shop.start_probes(&run(), &outside).await, "not-allowed").contains("peers"));
    });
}

fn a_service_is_protected_also_from_faults_on_its_processes(world: &World) {
    world.runtime.block_on(async {
        for fault in [
            r#"{"service-stop":{"service":"victim"}}"#,
            r#"{"process-kill":{"match":{"service":"victim"}}}"#,
            // The match is a part of the command line, which names no service.
            r#"{"process-kill":{"match":{"command":"policy-nap"}}}"#,
            r#"{"process-pause":{"match":{"command":"policy-nap"}}}"#,
        ] {
            let problem = prepare(&world.agent("alice", "guarded"), None, fault).await.unwrap_err();
            assert_eq!(problem.code, RefusalCode::NotAllowed, "{fault}: {problem:?}");
            assert!(problem.hint.contains("policy.protected_services \"victim\""), "{problem:?}");
            assert_eq!(prepare(&world.agent("alice", "free"), None, fault).await, Ok(()), "{fault}");
        }
    });
}

fn the_host_determines_its_environment(world: &World) {
    world.runtime.block_on(async {
        let measure = probes("http://10.77.1.10:9/", "");
        for host in ["prod", "free"] {
            let stage = world.agent("stage", host);
            for claimed in [Some("staging"), Some("prod"), None] {
                let problem = block(&stage, claimed).await.unwrap_err();
                assert_eq!(problem.code, RefusalCode::NotAllowed, "{host}, {claimed:?}: {problem:?}");
            }
            refused(stage.start_probes(&run(), &measure).await, "not-allowed");
            refused(stage.exchange(&run(), &to_host("ruled")).await, "not-allowed");
            refused(stage.release().await, "not-allowed");
            stage.undo(&Undo { scope: UndoScope::Run(new_run()), halt: false }).await.unwrap();
        }
        let alice = world.agent("alice", "prod");
        let problem = block(&alice, Some("staging")).await.unwrap_err();
        assert!(problem.title.contains("the scenario is for staging"), "{problem:?}");
        assert_eq!(block(&alice, Some("prod")).await, Ok(()));
        let mut for_staging = measure.clone();
        for_staging.environment = Some("staging".to_owned());
        let said = refused(alice.start_probes(&run(), &for_staging).await, "not-allowed");
        assert!(said.contains("the scenario is for staging, and this host belongs to prod"), "{said}");
        for_staging.environment = Some("prod".to_owned());
        alice.start_probes(&run(), &for_staging).await.unwrap();
        alice.stop_probes(&run()).await.unwrap();
        let (stage, hers) = (world.agent("stage", "ruled"), new_run());
        stage.start_probes(&hers, &measure).await.unwrap();
        // The rules allow shop to measure here too, but not in another person's run.
        let shop = world.agent("shop", "ruled");
        assert!(refused(shop.start_probes(&hers, &measure).await, "not-allowed").contains("stage's"));
        stage.stop_probes(&hers).await.unwrap();

        let grade = async |host| {
            let found = world.agent("alice", host).doctor().await.unwrap().findings;
            found.iter().find(|finding| finding.what == "environment").unwrap().grade
        };
        assert_eq!((grade("free").await, grade("prod").await), (Grade::Missing, Grade::Good));
    });
}

/// A test and its name.
type Case = (&'static str, fn(&World));

fn main() -> ExitCode {
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    if std::env::args().nth(1).as_deref() == Some(NAP) {
        loop {
            std::thread::park();
        }
    }
    let mut args = Arguments::from_args();
    // The tests run one at a time, because they share hosts. Each leaves the hosts as they were.
    args.test_threads = Some(1);
    let cases: [Case; 7] = [
        ("secrets_come_from_listed_directories_only", secrets_come_from_listed_directories_only),
        (
            "programs_run_where_a_rule_names_them_and_their_user",
            programs_run_where_a_rule_names_them_and_their_user,
        ),
        ("bounds_of_probes_are_named", bounds_of_probes_are_named),
        ("a_halt_is_for_probes_and_exchanges_too", a_halt_is_for_probes_and_exchanges_too),
        ("people_without_any_permission_may_heal_and_look", people_without_any_permission_may_heal_and_look),
        (
            "a_service_is_protected_also_from_faults_on_its_processes",
            a_service_is_protected_also_from_faults_on_its_processes,
        ),
        ("the_host_determines_its_environment", the_host_determines_its_environment),
    ];
    let world = if args.list {
        Err("only listed".to_owned())
    } else {
        firedrill_lab::preflight().map_err(|why| why.to_string())
    };
    let world = match world {
        Ok(()) => Some(Arc::new(World::up())),
        Err(why) => {
            eprintln!("skipped: a lab cannot start here: {why}");
            None
        }
    };
    let trials = cases.map(|(name, case)| {
        let shared = world.clone();
        Trial::test(name, move || {
            if let Some(world) = shared {
                case(&world);
            }
            Ok(())
        })
        .with_ignored_flag(world.is_none())
    });
    let conclusion = libtest_mimic::run(&args, trials.into());
    if let Some(world) = world {
        Arc::into_inner(world).unwrap().down();
    }
    conclusion.exit_code()
}
