//! Plans of the library's scenarios and of the language's examples, which are the same each time.

use std::{collections::BTreeMap, path::Path};

use firedrill::{
    fleet::FleetSource,
    plan::{Options, Plan, load, model::Reach, print},
};
use firedrill_wire::{Fault, RefusalCode, Span, fault::Direction};

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports and plans, in columns.
const WIDTH: usize = 110;

/// Returns the plan of a scenario on a fleet, with parameters and a seed.
fn plan_of(scenario: &str, fleet: &str, params: &[(&str, &str)], seed: u64) -> Plan {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let fleet = FleetSource::File(fleet.into());
    let options = Options { scenario: scenario.into(), fleet, params, seed: Some(seed) };
    load(&options).unwrap_or_else(|report| panic!("{scenario}:\n{}", report.render(PLAIN, WIDTH)))
}

/// Returns the scenarios of the library.
fn library() -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir("scenarios")
        .expect("the library")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml") && !path.ends_with("fleet.toml"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    files
}

#[test]
fn every_scenario_of_the_library_has_the_same_plan_each_time() {
    let mut digests = BTreeMap::new();
    for file in library() {
        let plan = plan_of(&file, "scenarios/fleet.toml", &[], 7);
        assert_eq!(plan.digest(), plan_of(&file, "scenarios/fleet.toml", &[], 7).digest(), "{file}");
        let json = serde_json::to_string(&plan).expect("prints");
        assert_eq!(serde_json::from_str::<Plan>(&json).expect("reads its own text"), plan, "{file}");
        let text = print::text(&plan, &[], WIDTH);
        for attack in &plan.attacks {
            assert!(text.contains(&attack.name), "{text}");
        }
        digests.insert(file, plan.digest());
    }
    // A digest changes only if a file or the plan's form changes.
    insta::assert_json_snapshot!("digests", digests);
}

#[test]
fn every_drill_of_a_store_has_a_verdict_of_each_attack_for_both_fleets() {
    let stores: Vec<_> = std::fs::read_dir("scenarios/stores").expect("the stores").collect();
    assert!(stores.len() >= 4, "{stores:?}");
    for store in stores {
        let folder = store.expect("an entry").path();
        let drill = folder.join("drill.toml").display().to_string();
        let text = std::fs::read_to_string(&drill).expect(&drill);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# |"))
            .map(|row| row.split('|').map(str::trim).collect())
            .collect();
        let (head, rows) = rows.split_first().expect("a table of verdicts");
        assert_eq!(head[1..3], ["good", "broken"], "{drill}");
        assert!(rows.iter().any(|row| row[2] == "violated"), "{drill}");
        for fleet in ["good", "broken"] {
            let plan =
                plan_of(&drill, &folder.join(fleet).with_extension("toml").display().to_string(), &[], 7);
            let mut attacks: Vec<&str> = plan.attacks.iter().map(|attack| attack.name.as_str()).collect();
            // An attack on a leader is planned for each host that might be it.
            attacks.iter_mut().for_each(|name| *name = name.split(" (").next().unwrap_or(name));
            attacks.dedup();
            assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), attacks, "{drill} on {fleet}");
        }
    }
}

#[test]
fn the_demo_takes_less_than_two_minutes() {
    let plan = plan_of("scenarios/demo.toml", "scenarios/fleet.toml", &[], 7);
    assert_eq!(plan.attacks.len(), 6);
    assert!(print::total(&plan) <= Span::secs(110), "{}", print::total(&plan));
    let reboot = &plan.attacks[4];
    assert_eq!((reboot.hold, reboot.injections[0].hold), (Span::secs(10), Span::secs(10)));
    let region = &plan.attacks[5];
    assert!(region.injections.iter().all(|injection| matches!(injection.fault, Fault::HostIsolate(_))));
    assert_eq!(region.injections.len(), 2);
    let Fault::NetBlock(block) = &plan.attacks[2].injections[0].fault else { panic!("{plan:?}") };
    assert_eq!(block.to, ["10.77.1.10", "fd77:1::10"]);
    let Fault::NetSlow(slow) = &plan.attacks[3].injections[0].fault else { panic!("{plan:?}") };
    assert_eq!(slow.to, block.to, "peers of every kind become addresses");
    assert_eq!(plan.probes[0].names["edge1"].len(), 2);
    insta::assert_snapshot!("demo-plan", print::text(&plan, &[], WIDTH));
}

#[test]
fn a_partition_is_a_block_on_each_host_and_the_plan_names_the_sides() {
    let plan = plan_of("scenarios/partition.toml", "scenarios/fleet.toml", &[], 7);
    let both = &plan.attacks[0];
    assert_eq!(both.means, ["no packet passes between app3, app4 | edge1, app1, app2"]);
    let hosts: Vec<&str> = both.injections.iter().map(|injection| injection.host.as_str()).collect();
    assert_eq!(
        hosts,
        ["edge1", "app1", "app2", "app3", "app4"],
        "other hosts than those of the sides are blocked"
    );
    let to = |attack: &firedrill::plan::model::Attack, at: usize| match &attack.injections[at].fault {
        Fault::NetBlock(block) => (block.to.to_vec().join(" "), block.direction),
        other => panic!("{other:?}"),
    };
    let fremont = "10.77.3.11 fd77:3::11 10.77.3.12 fd77:3::12".to_owned();
    assert_eq!(to(both, 0), (fremont.clone(), Direction::Both));
    assert_eq!(to(both, 3).0, "10.77.1.10 fd77:1::10 10.77.1.11 fd77:1::11 10.77.2.11 fd77:2::11");
    assert!(both.injections.iter().all(|injection| injection.together == Some(0)));
    let one_way = &plan.attacks[1];
    assert_eq!(to(one_way, 0), (fremont, Direction::In));
    assert_eq!(to(one_way, 3).1, Direction::Out);
    insta::assert_snapshot!("partition-plan", print::text(&plan, &[], WIDTH));
}

#[test]
fn zones_are_isolated_one_after_another() {
    let plan = plan_of("tests/right/az-rolling.toml", "tests/right/az-fleet.toml", &[("ticket", "OPS-7")], 7);
    let names: Vec<&str> = plan.attacks.iter().map(|attack| attack.name.as_str()).collect();
    assert_eq!(names, ["isolate (us-west-2a)", "isolate (us-west-2b)", "isolate (us-west-2c)"]);
    let hosts: Vec<&str> =
        plan.attacks[1].injections.iter().map(|injection| injection.host.as_str()).collect();
    assert_eq!(hosts, ["app-b", "db-b"]);
    assert_eq!(plan.meta["ticket"], "OPS-7");
    let reach = |name| plan.host(name).expect("a host").agent.clone();
    assert_eq!(reach("canary"), Reach::Tcp("[fd00::1]:7791".to_owned()));
    let ssh = ["ssh", "-W", "10.2.1.2:7790", "bastion"].map(str::to_owned).to_vec();
    assert_eq!(reach("db-b"), Reach::Command(ssh));
}

#[test]
fn the_examples_of_the_language_are_read() {
    let found = firedrill::plan::inspect(Path::new("tests/right/ci-checkout.toml"), None, &[], Some(1));
    assert!(found.report.is_empty(), "{}", found.report.render(PLAIN, WIDTH));
}

#[test]
fn a_command_gives_the_same_fleet_as_a_file() {
    let hosts = plan_of("scenarios/demo.toml", "scenarios/fleet.toml", &[], 7).hosts;
    let json = serde_json::json!({
        "schema": 1,
        "defaults": { "env": "demo" },
        "host": hosts.iter().map(|host| serde_json::json!({
            "name": host.name, "addresses": host.addresses, "roles": host.roles,
            "provider": host.labels["provider"], "region": host.labels["region"], "zone": host.labels["zone"],
        })).collect::<Vec<_>>(),
    });
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fleet.json");
    std::fs::write(&file, json.to_string()).expect("written");
    let command = vec!["cat".to_owned(), file.display().to_string()];
    let options = Options {
        scenario: "scenarios/demo.toml".into(),
        fleet: FleetSource::Command(command),
        params: vec![],
        seed: Some(7),
    };
    assert_eq!(load(&options).expect("a plan").hosts, hosts);
    std::fs::write(&file, "{ \"host\": [ { \"nam\": 1 } ] }").expect("written");
    let report = load(&options).expect_err("not a fleet").render(PLAIN, WIDTH);
    assert!(report.contains("unknown field `nam`") && report.contains("cat"), "{report}");
}

#[test]
fn picks_follow_the_seed() {
    let picked = |seed| {
        let plan = plan_of("scenarios/service-shutdown.toml", "scenarios/fleet.toml", &[], seed);
        plan.attacks[0].injections[0].host.clone()
    };
    assert_eq!(picked(3), picked(3));
    let hosts: std::collections::BTreeSet<String> = (0..40).map(picked).collect();
    assert_eq!(hosts.len(), 4, "every app host is picked by some seed: {hosts:?}");
}

#[test]
fn answers_of_agents_are_printed() {
    use firedrill_wire::api::{Claim, Prepared, PreparedOne, Problem};
    let plan = plan_of("scenarios/service-shutdown.toml", "scenarios/fleet.toml", &[], 7);
    let id = |text: &str| text.parse().expect("an id");
    let ready = Prepared::Ready {
        claims: vec![Claim { what: "unit:checkout".to_owned(), shared: false }],
        effects: vec!["stop checkout through runit".to_owned()],
        undo: vec!["start checkout through runit".to_owned()],
        switches: vec!["guardian".to_owned()],
        notes: vec!["it has 3 processes".to_owned()],
        wants: 0,
        lacks: None,
        fingerprint: "f".to_owned(),
    };
    let mut forever = ready.clone();
    if let Prepared::Ready { undo, .. } = &mut forever {
        undo.clear();
    }
    let refused = Prepared::Refused(Problem {
        code: RefusalCode::NotAllowed,
        title: "the policy forbids it".to_owned(),
        hint: "see /etc/firedrill/agent.toml".to_owned(),
    });
    let answer = |host: &str, answer| (host.to_owned(), 0, PreparedOne { id: id("r-1-1"), answer });
    let text =
        print::text(&plan, &[answer("app1", ready), answer("app2", forever), answer("app3", refused)], WIDTH);
    insta::assert_snapshot!("answers", text);
}

#[test]
fn exit_codes_of_check() {
    use firedrill::{
        cli::{args::FleetArgs, check},
        verdict::Exit,
    };
    let args = |file: &str, json| check::Args {
        files: vec!["scenarios/demo.toml".into(), file.into()],
        fleet: FleetArgs { fleet: Some("scenarios/fleet.toml".into()), ..FleetArgs::default() },
        identity: Default::default(),
        params: vec![],
        seed: 1,
        verbose: false,
        json,
    };
    for json in [false, true] {
        assert_eq!(check::run(&args("scenarios/region.toml", json)).expect("prints"), Exit::Held);
        assert_eq!(check::run(&args("tests/wrong/blast.toml", json)).expect("prints"), Exit::Usage);
    }
}
