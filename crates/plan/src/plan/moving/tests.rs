//! Plans with an attack on the leader of a database: its alternatives, its question, and the secrets in that.

use firedrill_wire::Span;

use crate::{
    fleet::FleetSource,
    plan::{
        Plan, inspect,
        model::Ask,
        print::{longest, text, total},
    },
};

/// Returns the plan of a drill with an attack on the leader of three databases, and a second attack that needs the first.
fn plan(pick_by: &str, limit: &str) -> Result<Plan, String> {
    plan_with(FAULT, pick_by, limit)
}

/// As [`plan`], with another fault.
fn plan_with(fault: &str, pick_by: &str, limit: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let host = |n: u8, role: &str| {
        format!("[[host]]\nname = \"d{n}\"\naddress = \"10.9.0.{n}\"\nroles = [\"{role}\"]\n")
    };
    let fleet = format!("schema = 1\n{}{}{}{}", host(1, "db"), host(2, "db"), host(3, "db"), host(4, "app"));
    let attack = |name: &str, on: &str, more: &str| {
        format!(
            "[[attack]]\nname = \"{name}\"\non = \"{on}\"\n{more}\nbaseline = \"1m\"\nhold = \"2m\"\nrecovery = \"1m\"\n\
             fault.{fault}\n"
        )
    };
    let scenario = format!(
        "schema = 1\nname = \"m\"\nhypothesis = \"It goes on.\"\n{limit}\n\
         [targets.leader]\nwhere = {{ role = \"db\" }}\npick_by = {pick_by}\n\
         [guard]\nkeep = {{ db = 2 }}\n\
         [probes.p]\nhttp.url = \"http://10.9.0.9/\"\nrate = 50\n[objectives.o]\nprobe = \"p\"\ngood = \"50%\"\n{}{}",
        attack("stop", "leader", ""),
        attack("last", "d4", "needs = [\"stop\"]"),
    );
    std::fs::write(path("fleet.toml"), fleet).unwrap();
    std::fs::write(path("m.toml"), scenario).unwrap();
    let fleet = FleetSource::File(path("fleet.toml"));
    let found = inspect(&path("m.toml"), Some(&fleet), &[], Some(7));
    found.plan.ok_or_else(|| found.report.render(false, 110))
}

const FAULT: &str = "service-stop = { service = \"db\" }";
const BY_PROBE: &str =
    "{ http = { url = \"http://{host}:80/role?key=S3CRET\", contains = \"master\" }, timeout = \"3s\" }";

#[test]
fn an_attack_on_a_moving_target_becomes_one_for_each_candidate_of_which_one_counts() {
    // Two of three databases are kept, although each of the three may be hit.
    let plan = plan(BY_PROBE, "ci = { time_limit = \"8m\" }").unwrap();
    let names: Vec<&str> = plan.attacks.iter().map(|attack| attack.name.as_str()).collect();
    assert_eq!(names, ["stop (d1)", "stop (d2)", "stop (d3)", "last"]);
    for (attack, host) in plan.attacks.iter().zip(["d1", "d2", "d3"]) {
        let leader = attack.leader.as_ref().unwrap();
        assert_eq!((leader.target.as_str(), leader.host.as_str()), ("leader", host));
        assert_eq!((attack.base.as_str(), attack.injections.len()), ("stop", 1));
        assert_eq!(attack.injections[0].host, host);
    }
    assert!(plan.attacks[3].leader.is_none());
    assert_eq!(plan.attacks[3].needs, names[..3]);
    assert_eq!((plan.alternatives(1), plan.alternatives(3)), (0..3, 3..4));
    assert_eq!(plan.turns().map(|(index, _)| index).collect::<Vec<_>>(), [0, 3]);
    assert_eq!((total(&plan), longest(&plan)), (Span::secs(8 * 60), Span::secs(8 * 60)));
    let shown = text(&plan, &[], 200);
    assert!(shown.contains("the leader of `leader`, which is one of d1"), "{shown}");
    assert!(
        shown.contains("runs only if d2 is the leader then") && shown.contains("2 attacks, 8m"),
        "{shown}"
    );
    assert_eq!(shown.matches("asked when it begins").count(), 1, "{shown}");
}

#[test]
fn the_question_is_part_of_the_approved_plan_and_its_secrets_are_not_shown() {
    let plan_of = |by: &str| plan(by, "").unwrap();
    let one = plan_of(BY_PROBE);
    let written = serde_json::to_string(&one).unwrap();
    assert!(!written.contains("S3CRET") && !text(&one, &[], 200).contains("S3CRET"), "{written}");
    assert!(one.hiding().is_some_and(|places| places.contains("leader")), "{:?}", one.hiding());
    let other = plan_of(&BY_PROBE.replace("S3CRET", "0THER1"));
    assert_eq!(one.agreement(), other.agreement());
    assert_ne!(one.requests("salt"), other.requests("salt"));
    assert_ne!(one.agreement(), plan_of(&BY_PROBE.replace("3s", "4s")).agreement());
    let read: Plan = serde_json::from_str(&written).unwrap();
    assert_eq!(
        (read.digest(), read.moving.len(), read.attacks[1].leader.clone()),
        (one.digest(), 1, one.attacks[1].leader.clone())
    );
    let program = plan_of("{ command = [\"./leader.sh\", \"--token=abc123def\"] }");
    assert!(matches!(&program.moving[0].ask, Ask::Command(argv) if argv.len() == 2));
    assert!(!serde_json::to_string(&program).unwrap().contains("abc123def"));
}

#[test]
fn a_secret_in_a_question_is_covered_in_messages() {
    let wrong = BY_PROBE.replace("timeout = \"3s\"", "timeout = \"0s\"");
    let report = plan(&wrong, "").unwrap_err();
    assert!(report.contains("time-out of 0s") && !report.contains("S3CRET"), "{report}");
}

#[test]
fn a_host_that_may_be_powered_off_counts_as_off_after_the_attack_and_not_within_it() {
    let report = plan_with("host-poweroff = {}", BY_PROBE, "").unwrap_err();
    assert!(report.contains("attack `last` leaves 0 hosts of role `db`"), "{report}");
    assert!(!report.contains("attack `stop (d"), "{report}");
}
