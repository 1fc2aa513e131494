//! Messages about invalid files: all errors at once, each with its place and its remedy.

#[path = "diagnostics/command.rs"]
mod command;
#[path = "diagnostics/files.rs"]
mod files;
#[path = "diagnostics/same_probes.rs"]
mod same_probes;

use std::path::Path;

use firedrill::{
    fleet::FleetSource,
    plan::{Inspection, inspect},
};

/// For reports: without colours.
const PLAIN: bool = false;
/// The width of reports, in columns.
const WIDTH: usize = 110;

/// Checks a scenario, with a fleet or without one.
fn check(file: &str, fleet: Option<&str>) -> Inspection {
    let fleet = fleet.map(|file| FleetSource::File(file.into()));
    inspect(Path::new(file), fleet.as_ref(), &[], Some(1))
}

/// Returns the messages about an invalid file.
fn rendered(file: &str, fleet: Option<&str>) -> String {
    let found = check(file, fleet);
    assert!(found.report.failed() && found.plan.is_none(), "no error is found in {file}");
    found.report.render(PLAIN, WIDTH)
}

/// Returns the warnings about a file without errors.
fn asked(file: &str, fleet: Option<&str>) -> String {
    let found = check(file, fleet);
    let text = found.report.render(PLAIN, WIDTH);
    assert!(!found.report.failed() && !found.report.is_empty(), "{text}");
    text
}

/// Makes a test for each file: a function of the first list returns the messages, which a golden file has.
macro_rules! golden {
    ($how:ident: $($name:ident: $file:literal, $fleet:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $how($file, $fleet));
        }
    )*};
}

const FLEET: Option<&str> = Some("scenarios/fleet.toml");

golden! {
    rendered:
    typos: "tests/wrong/typos.toml", None;
    texts_that_nobody_could_show: "tests/wrong/texts.toml", None;
    another_version: "tests/wrong/version.toml", None;
    syntax: "tests/wrong/syntax.toml", None;
    ring_of_includes: "tests/wrong/ring.toml", None;
    defined_twice: "tests/wrong/twice.toml", None;
    undecidable: "tests/wrong/undecidable.toml", FLEET;
    logs: "tests/wrong/logs.toml", None;
    steps: "tests/wrong/steps.toml", None;
    leaders: "tests/wrong/leader.toml", None;
    writes: "tests/wrong/writes.toml", None;
    times: "tests/wrong/times.toml", None;
    params: "tests/wrong/params.toml", None;
    blast_radius: "tests/wrong/blast.toml", FLEET;
    another_environment: "tests/wrong/environment.toml", FLEET;
    crowded: "tests/wrong/crowded.toml", FLEET;
    guard: "tests/wrong/guard.toml", FLEET;
    limit: "tests/wrong/limit.toml", FLEET;
    vantages: "tests/wrong/vantage.toml", FLEET;
    selectors: "tests/wrong/selectors.toml", FLEET;
    faults: "tests/wrong/faults.toml", FLEET;
    partition: "tests/wrong/partition.toml", FLEET;
    interfaces: "tests/wrong/interfaces.toml", FLEET;
    probes: "tests/wrong/probes.toml", None;
    requests: "tests/wrong/asked.toml", None;
    secrets: "tests/wrong/secrets.toml", FLEET;
    outlasts: "tests/wrong/outlasts.toml", FLEET;
    metrics: "tests/wrong/metrics.toml", None;
    statsd: "tests/wrong/statsd.toml", None;
    budgets: "tests/wrong/budgets.toml", None;
    alerts: "tests/wrong/alerts.toml", None;
    fleet: "scenarios/demo.toml", Some("tests/wrong/fleet.toml");
    services: "tests/right/ci-checkout.toml", Some("tests/wrong/services.toml");
}

golden! {
    asked:
    meant: "tests/wrong/meant.toml", FLEET;
    opens_only: "tests/wrong/opens.toml", None;
    way: "tests/wrong/way.toml", Some("tests/right/bastion-fleet.toml");
}

/// Messages and excerpts may end up in the log of a CI system, so they must not show secrets.
#[test]
fn secrets_of_a_file_are_not_repeated() {
    let text = std::fs::read_to_string("tests/wrong/secrets.toml").expect("there");
    let broken =
        text.replace("rate = 10\n\n[probes.q]", "rate = 1 0\n\n[probes.q]").replace("hold =", "hold");
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.toml");
    std::fs::write(&cut, broken).expect("written");
    let secrets = [
        "QKEY99",
        "HDRSECRET",
        "APIKEY77",
        "BODYSECRET",
        "TYPO1",
        "TYPO2",
        "PARAMTOK",
        "PAGE7",
        "SRCKEY88",
        "SRCHEADER",
        "SRCTYPO3",
    ];
    for file in ["tests/wrong/secrets.toml", cut.to_str().expect("text")] {
        let found = check(file, FLEET);
        let output = found.report.render(PLAIN, WIDTH)
            + &serde_json::to_string(&found.report.items()).expect("prints");
        assert!(found.report.failed(), "{output}");
        for secret in secrets {
            assert!(!output.contains(secret), "{secret} of {file} in {output}");
        }
    }
}

#[test]
fn machines_get_lines_and_columns() {
    let found = check("tests/wrong/typos.toml", None);
    insta::assert_json_snapshot!("json", &found.report.items()[..6]);
}

#[test]
fn checks_that_were_left_out_are_listed() {
    let found = check("scenarios/demo.toml", None);
    assert!(found.plan.is_none() && !found.report.failed(), "{}", found.report.render(PLAIN, WIDTH));
    assert!(found.unchecked.iter().any(|what| what.contains("blast radius")), "{:?}", found.unchecked);
    assert!(check("scenarios/demo.toml", FLEET).unchecked.is_empty());
}

#[test]
fn files_that_are_not_there() {
    for (file, fleet) in [("no/such.toml", None), ("scenarios/demo.toml", Some("no/such-fleet.toml"))] {
        let text = rendered(file, fleet);
        assert!(text.contains("no/such") && text.contains("could not be read"), "{text}");
    }
}

#[test]
fn values_of_parameters_are_typed() {
    let with = |name: &str, value: &str| {
        let params = [(name.to_owned(), value.to_owned())];
        let fleet = FleetSource::File("scenarios/fleet.toml".into());
        inspect(Path::new("scenarios/service-shutdown.toml"), Some(&fleet), &params, Some(1))
    };
    let plan = with("hold", "90s").plan.expect("a duration");
    assert_eq!(plan.attacks[0].hold, firedrill_wire::Span::secs(90));
    assert_eq!(plan.params["hold"], "1m 30s");
    for (name, value, message) in
        [("hold", "90", "it is a duration"), ("hodl", "90s", "did you mean `hold`?")]
    {
        let found = with(name, value);
        let text = found.report.render(PLAIN, WIDTH);
        assert!(found.plan.is_none() && text.contains(message), "{text}");
    }
}
