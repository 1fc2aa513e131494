//! Objectives of alerts, against a real Prometheus and a real Alertmanager in a lab.

use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs, programs},
    output::said,
    runs::run_folders,
};

const FLEET: &str = include_str!("../right/alerts-fleet.toml");
const SCENARIO: &str = include_str!("../right/alerts.toml");

/// Waits until Alertmanager has an alert that always fires. From then on it gets each alert at once.
fn until_alertmanager_hears(bench: &Bench) {
    let script = "until amtool --alertmanager.url=http://127.0.0.1:9093 alert query alertname=Always | grep -q Always; do sleep 0.2; done";
    let wait = ["timeout", "60", "sh", "-c", script];
    let heard = bench
        .firedrill(&[&["lab", "exec", "--name", &bench.lab, "alerts1", "--"][..], &wait].concat())
        .output()
        .unwrap();
    assert!(heard.status.success(), "{}", said(&heard));
}

#[test]
fn a_drill_says_whether_people_were_told() {
    if !labs() || !programs(&["prometheus", "prometheus-alertmanager", "amtool", "python3"]) {
        return;
    }
    let bench = Bench::new("alerts", FLEET);
    let up = bench.firedrill(&["lab", "up", "--name", &bench.lab, "--fleet", "fleet.toml"]).output().unwrap();
    assert_ends(&up, 0, "alerts1: alertmanager is ready after");
    until_alertmanager_hears(&bench);
    let silence = [
        "amtool",
        "--alertmanager.url=http://127.0.0.1:9093",
        "silence",
        "add",
        "--comment=drill",
        "alertname=WebQuiet",
    ];
    let exec = ["lab", "exec", "--name", &bench.lab, "alerts1", "--"];
    let silenced = bench.firedrill(&[&exec[..], &silence].concat()).output().unwrap();
    assert_ends(&silenced, 0, "");

    let ran = bench.run(SCENARIO, &[]);
    assert_eq!(ran.status.code(), Some(1), "one is violated: {}", said(&ran));
    let folder = run_folders(&bench.reports()).remove(0);
    let report: Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    let of = |attack: usize, name: &str| -> Value {
        let all = report["scorecard"]["attacks"][attack]["objectives"]
            .as_array()
            .unwrap_or_else(|| panic!("{report:#}"));
        all.iter().find(|objective| objective["name"] == name).unwrap().clone()
    };
    for (attack, name, verdict, words) in [
        (0, "told", "held", "from the fault's start, 15 s wanted"),
        (0, "over", "held", "from the heal, 10 s wanted"),
        (0, "at-once", "violated", "from the fault's start, 5 s wanted"),
        (0, "silenced", "unknown", "nobody was told: silenced (silence "),
        (0, "before", "unknown", "it was firing already when the fault began"),
        (0, "fires", "held", "from the fault's start, 15 s wanted"),
        (1, "told", "held", "from the fault's start, 15 s wanted"),
        (1, "over", "unknown", "the source forgot it, or one of several, at its end time"),
        (1, "late", "unknown", "no answer: the connection was refused"),
    ] {
        let one = of(attack, name);
        let why = one["why"].as_str().unwrap();
        println!("{attack} {name}: {} {why} {}", one["verdict"], one["measured"]);
        assert!(one["verdict"] == verdict && why.contains(words), "{attack} {name}: {one:#}");
    }
    let told = of(0, "told");
    let (low, high) = (told["measured"]["low"].as_f64().unwrap(), told["measured"]["high"].as_f64().unwrap());
    // In µs. The rule waits for 2 s. The source is asked each second, so the bounds are little more than a second apart.
    assert!(low > 1e6 && high < 10e6 && high - low < 1.8e6, "{told:#}");
    let markdown = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(markdown.contains("detected after"), "{markdown}");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Were people told?") && page.contains("to detect"), "{page}");
    bench.assert_quiet();
}
