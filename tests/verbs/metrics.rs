//! Objectives about a real Prometheus in a lab, which scrapes a real exporter: held, violated, and unknown while it does not answer.

use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs, programs},
    output::said,
};

const FLEET: &str = include_str!("../right/metrics-fleet.toml");
const SCENARIO: &str = include_str!("../right/metrics.toml");

/// Starts a lab with Prometheus. Prints a message and returns `None` if this machine cannot.
fn up(name: &str) -> Option<Bench> {
    if !labs() || !programs(&["prometheus", "prometheus-node-exporter"]) {
        return None;
    }
    let bench = Bench::with(name, FLEET);
    bench.file("scenario.toml", SCENARIO);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // A rate needs two scrapes. The plan is printed as soon as all metrics have a value.
    loop {
        let plan = bench.on(&["run", "scenario.toml", "--plan"]).output().unwrap();
        if plan.status.success() {
            break;
        }
        assert!(std::time::Instant::now() < end, "Prometheus scrapes nothing: {}", said(&plan));
    }
    Some(bench)
}

/// Returns the objectives of an attack: name, verdict, reason.
fn objectives(card: &Value, attack: usize) -> Vec<(String, String, String)> {
    let all = card["attacks"][attack]["objectives"].as_array().unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let fields = |objective| (text(objective, "name"), text(objective, "verdict"), text(objective, "why"));
    all.iter().map(fields).collect()
}

#[test]
fn a_prometheus_says_held_and_violated_and_its_silence_is_unknown() {
    let Some(bench) = up("metrics") else { return };
    let plan = bench.run(SCENARIO, &["--plan"]);
    assert_ends(&plan, 0, "up{job=\"self\"}");
    assert_ends(&plan, 0, "http://metrics1:9090");
    let run = bench.run(SCENARIO, &[]);
    let card = bench.card();
    let exporter = objectives(&card, 0);
    let of = |name: &str| {
        let one = exporter.iter().find(|one| one.0 == name);
        one.map(|one| (one.1.as_str(), one.2.as_str())).unwrap_or_else(|| panic!("{card:#}: {}", said(&run)))
    };
    for name in ["prometheus-up", "answers", "samples"] {
        let (verdict, why) = of(name);
        assert_eq!(verdict, "held", "{name}: {why}");
    }
    let (verdict, why) = of("exporter-up");
    assert!(verdict == "violated" && why.contains("not above 0.5; the worst is 0 at"), "{why}");
    // The exporter's own figures end with it. A figure that is no longer scraped is unknown, and never held.
    let (verdict, why) = of("load");
    assert!(
        verdict == "unknown"
            && (why.contains("empty") || why.contains("stale"))
            && !why.contains("did not answer"),
        "{why}"
    );
    for (name, verdict, why) in &objectives(&card, 1) {
        assert_eq!(verdict, "unknown", "{name}: {why}");
        // A question without an answer in time is asked again, and then Prometheus may have nothing for that time.
        let reasons = ["the source did not answer", "it was reset", "samples stale", "samples empty"];
        let told = reasons.iter().any(|wanted| why.contains(wanted));
        assert!(told, "{name}: {why}");
    }
    assert_ends(&run, 1, "exporter-up");
    assert_eq!(card["exit"], 1);
    let metric = &card["attacks"][0]["objectives"][0]["metric"];
    assert!(
        metric["samples"].as_u64().unwrap() >= 5 && metric["points"].as_array().unwrap().len() >= 5,
        "{metric:#}"
    );
    #[expect(clippy::print_stdout, reason = "a figure for people")]
    {
        println!("a question took {} µs", metric["took_us"]);
    }
}

#[test]
fn a_guard_on_a_metric_aborts_and_a_source_that_does_not_answer_refuses_the_run() {
    let Some(bench) = up("guarded") else { return };
    let deaf = SCENARIO.replace("metrics1:9090", "metrics1:9091");
    let refused = bench.run(&deaf, &[]);
    assert_ends(&refused, 4, "cannot be measured: source prom: the connection was refused");
    bench.assert_untouched();
    let nothing = SCENARIO.replace("node_load1", "node_lode1");
    let refused = bench.run(&nothing, &[]);
    assert_ends(&refused, 4, "objective load cannot be measured: source prom: it answers with no series");
    bench.assert_untouched();
    let guarded =
        format!("{SCENARIO}\n[guard]\nabort = [{{ objective = \"exporter-up\", over = \"3s\" }}]\n");
    let aborted = bench.run(&guarded, &[]);
    assert_ends(&aborted, 1, "guard: objective exporter-up: 0, not above 0.5, over 3s");
    bench.assert_quiet();
}
