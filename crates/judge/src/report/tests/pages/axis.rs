//! Tests of the values on the time axis of a page, and of those in its data.

use super::*;

#[test]
fn each_second_has_its_values_and_a_second_without_measurements_has_null() {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "canary"];
    drill.bins = Box::new(|vantage, second, own| match (vantage, second) {
        ("canary", 40) => Some(bin("buy", second, 25, 75)),
        ("canary", 50..55) => None,
        _ => Some(own),
    });
    let page = text(Format::Html, &log(&drill));
    let data = data(&page);
    let line = &data["panels"][0]["lines"][1];
    assert_eq!((&line["name"], &line["step"]), (&"canary".into(), &1000.into()));
    let at = |key: &str, second: usize| line[key][second].clone();
    assert_eq!((at("share", 40), at("p99", 40)), (0.25.into(), (-1).into()));
    assert_eq!((at("share", 41), at("share", 52)), (1.0.into(), serde_json::Value::Null));
    let time = |key: &str| at(key, 41).as_i64().unwrap();
    assert!(time("p50") > 9_000 && time("p99") > time("p50"), "{line}");
    assert_eq!(data["attacks"][0]["fault"][0], Drill::start(0) * 1000 - 20);
}

#[test]
fn samples_of_a_source_are_on_the_time_axis_of_the_run() {
    let page = text(Format::Html, &with_source(&violated()));
    let data = data(&page);
    let metric = &data["metrics"][0];
    assert_eq!((&metric["name"], &metric["share"]), (&"error rate".into(), &false.into()));
    let first = metric["points"][0].as_array().unwrap();
    assert!(
        (0..260_000).contains(&first[0].as_i64().unwrap())
            && first[0] != 0
            && first[1].as_f64().unwrap() > 0.0,
        "{metric}"
    );
    assert!(page.contains("error rate: the whole run</title>") && page.contains("data-m=\"0\""));
}

#[test]
fn rates_of_logs_are_on_the_time_axis_of_the_run() {
    let page = text(Format::Html, &with_source(&violated()));
    let log = &data(&page)["logs"][0];
    assert_eq!(log["lines"][0]["name"], "2 alike: app1, db2", "hosts with the same rates share a line");
    let faulty = &log["lines"][1];
    assert_eq!((&faulty["name"], &faulty["step"]), (&"app2".into(), &1000.into()));
    let at = |second: usize| faulty["high"][second].clone();
    let fault = usize::try_from(Drill::start(1)).unwrap();
    assert_eq!((at(fault - 2), at(200)), (0.0.into(), serde_json::Value::Null));
    assert!(at(fault + 3).as_f64().unwrap() >= 12.0, "{faulty}");
    assert_eq!(faulty["gaps"][0], serde_json::json!([195_000, 211_000]));
    let lane = page.split_once("data-r=\"0\"").unwrap().1.split_once("</svg>").unwrap().0;
    for wanted in [
        "goal: below 5/s on each host",
        "app2: not known from 03:15.0 to 03:31.0: not read",
        ">lines/s</text>",
    ] {
        assert!(lane.contains(wanted), "{wanted}: {lane}");
    }
    let metric = page.split_once("data-m=\"0\"").unwrap().1.split_once("</svg>").unwrap().0;
    for wanted in ["goal: below 0.05 errors/s", ">errors/s</text>", "not known from"] {
        assert!(metric.contains(wanted), "{wanted}: {metric}");
    }
}

#[test]
fn times_to_detect_to_mitigate_and_to_recover_are_on_the_axis() {
    let page = text(Format::Html, &with_source(&violated()));
    let lanes = page.split_once("chart lanes").unwrap().1.split_once("</svg>").unwrap().0;
    for wanted in ["2 detected after 9.0 s", "2 mitigated after 13.4 s", "2 recovered after 5.1 s"] {
        assert!(lanes.contains(&format!(">{wanted}</text>")), "{wanted}: {lanes}");
    }
    let attack_chart = page.rsplit_once("during “lose fremont”").unwrap().1;
    for wanted in
        ["detected after 9.0 s", "mitigated after 13.4 s", "recovered after 5.1 s", "CheckoutErrors fires"]
    {
        assert!(attack_chart.contains(&format!(">{wanted}</text>")), "{wanted}");
    }
}
