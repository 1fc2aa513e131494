//! The page as a file: the examples that people can open, the page's size after an hour, and the data for its script.

use std::path::Path;

use firedrill_plan::plan::model::{Asks, Metric, MetricGoal, Phase};
use firedrill_wire::{Span, evidence::Seen, journal::What};

use super::{Format, Log, log, text};
use crate::{
    log::{Event, Record, RunOutcome, Sample},
    testing::{Drill, HOLD, S, bin, bin_with},
};

/// An attack that held after a short burst of errors.
fn held() -> Drill {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "canary", "app1"];
    drill.bins = Box::new(|vantage, second, bin| {
        let on_target = vantage == "app1" && (21..80).contains(&second);
        Some(if on_target { crate::testing::bin("buy", second, 40, 60) } else { bin })
    });
    drill
}

/// One attack that held, and one in which users were hurt until the heal and after.
fn violated() -> Drill {
    let mut drill = Drill::good();
    drill.acts[1].bad = vec![(0..14, 40), (14..HOLD, 6), (HOLD..HOLD + 6, 12)];
    let start = Drill::start(1);
    drill.extra = vec![
        (start + 20, Event::LinkLost { host: "db2".to_owned(), why: "no answer within 5 s".to_owned() }),
        (start + 31, Event::LinkBack { host: "db2".to_owned(), rebooted: false }),
    ];
    drill
}

/// The log of a drill whose second attack a source is asked about as well.
fn with_source(drill: &Drill) -> Log {
    let sample = |second: i64| Sample {
        at_us: second * S,
        window_us: 0,
        age_us: 0,
        low: None,
        high: Some(if second > Drill::start(1) { 0.07 } else { 0.002 } + (second % 7) as f64 * 0.002),
        total: None,
        series: 1,
        behind: Vec::new(),
        lacks: None,
        lost: 0,
    };
    let mut records = drill.records();
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.metrics = vec![Metric {
            name: "error rate".to_owned(),
            source: "prometheus".to_owned(),
            asks: Asks::One { query: "rate(shop_errors_total[1m])".to_owned() },
            goal: MetricGoal::Below(0.05),
            every: Span::secs(5),
            lag: Span::secs(5),
            stale_after: Span::secs(15),
            window: Span::ZERO,
            during: vec![Phase::Fault, Phase::Recovery],
        }];
        plan.attacks[1].judge.push("error rate".to_owned());
    }
    let end = records.pop().unwrap();
    for second in (130..260).step_by(5) {
        let event = Event::Sampled {
            objective: "error rate".to_owned(),
            until_us: second * S,
            samples: vec![sample(second)],
            unsure_us: 1_000,
            took_us: 2_000,
            failed: None,
            again: false,
        };
        records.push(Record { at_us: second * S, event, ..end.clone() });
    }
    records.push(end);
    numbered(records)
}

/// Numbers records in the order of time.
fn numbered(mut records: Vec<Record>) -> Log {
    records.sort_by_key(|record| record.at_us);
    for (place, record) in records.iter_mut().enumerate() {
        record.seq = u64::try_from(place).unwrap() + 1;
    }
    Log::of(&records)
}

/// The log of a drill whose fault met nothing, with what an agent would say then.
fn met_nothing(drill: &Drill) -> Log {
    let mut records = drill.records();
    for record in &mut records {
        if let Event::Agent { what, .. } = &mut record.event
            && let What::Looked { evidence, .. } = &mut what.what
        {
            "the service is stopped; nothing asked for it".clone_into(&mut evidence.detail);
        }
    }
    Log::of(&records)
}

/// A fault that met nothing, and a vantage that was silent for a time.
fn unknown() -> Drill {
    let mut drill = Drill::one();
    drill.acts[0].bad = Vec::new();
    drill.acts[0].exercised = Seen::No;
    drill.bins =
        Box::new(|vantage, second, bin| (vantage != "canary" || !(50..60).contains(&second)).then_some(bin));
    drill
}

/// Compares the committed examples with pages that are made now. `INSTA_UPDATE=always` writes them, like other golden
/// files.
#[test]
fn the_examples_are_what_reports_are_today() {
    const MOST: usize = 300_000;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let all = [
        ("held", log(&held())),
        ("violated", with_source(&violated())),
        ("unknown", met_nothing(&unknown())),
    ];
    for (name, log) in all {
        let page = text(Format::Html, &log);
        assert!(page.contains(&format!("<title>friday: {name}</title>")), "{name}: {:.400}", page);
        assert!(page.len() < MOST, "{name}: {} bytes", page.len());
        let file = folder.join(format!("{name}.html"));
        if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
            std::fs::write(&file, &page).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there == page,
            "docs/examples/{name}.html is stale: INSTA_UPDATE=always cargo test -p firedrill-judge examples writes it anew"
        );
    }
}

/// A drill of an hour: a hundred requests a second from each of three vantages.
#[test]
fn the_page_of_an_hour_is_below_two_mebibytes() {
    const HOUR: i64 = 3600;
    let mut drill = Drill::good();
    drill.vantages = vec!["coordinator", "canary", "app1"];
    let mut records = drill.records();
    // The drill's own measurements end after its attacks: those of the rest of the hour follow, with noise.
    let last = records.iter().map(|record| record.at_us).max().unwrap() / S;
    let end = records.pop().unwrap();
    for second in last..HOUR {
        for (place, vantage) in drill.vantages.iter().enumerate() {
            let place = i64::try_from(place).unwrap();
            let bad = u64::try_from((second * 7919 + place * 104_729) % 11 / 8).unwrap();
            let mut record = end.clone();
            record.at_us = second * S + 1_600_000;
            let bin = bin_with("buy", second * 31 % 997, [100 - bad, bad, 0]);
            record.event = Event::Bin { vantage: (*vantage).to_owned(), start_us: second * S, bin };
            records.push(record);
        }
    }
    records.push(Record { at_us: HOUR * S, ..end });
    let page = text(Format::Html, &numbered(records));
    println!("the page of an hour has {} bytes", page.len());
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    let data = data(&page);
    let line = &data["panels"][0]["lines"][0];
    assert_eq!(line["step"], 1000, "each second of an hour has its values");
    assert!(line["share"].as_array().unwrap().len() > 3500);
}

/// The data of a page.
fn data(page: &str) -> serde_json::Value {
    let from = page.split_once("id=\"data\">").expect("data").1;
    serde_json::from_str(from.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn each_second_has_its_values_and_what_was_not_measured_has_none() {
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
fn samples_of_a_source_stand_on_the_time_axis_of_the_run() {
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
fn the_policy_of_the_page_allows_its_own_script_and_no_other() {
    use base64::Engine as _;
    let page = text(Format::Html, &log(&Drill::one()));
    let policy =
        page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    for (start, end, kind) in [("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")]
    {
        let own = page.split_once(start).unwrap().1.split_once(end).unwrap().0;
        let hash = ring::digest::digest(&ring::digest::SHA256, own.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(policy.contains(&format!("{kind} 'sha256-{hash}'")), "{kind}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.contains(" style=\"") && !page.contains(" onclick"), "the policy would refuse it");
}

#[test]
fn a_run_without_measurements_is_not_told_as_one_without_failures() {
    let blind = Drill { bins: Box::new(|_, _, _| None), ..Drill::one() };
    let page = text(Format::Html, &log(&blind));
    assert!(page.contains("No judged request was measured while a fault was in force."), "{page}");
    assert!(!page.contains("No judged request failed"), "{page}");
}

#[test]
fn the_four_answers_say_who_was_hurt_and_what_to_do() {
    let page = text(Format::Html, &log(&violated()));
    let answers =
        page.split_once("class=\"answers\"").unwrap().1.split_once("<dl class=\"meta\">").unwrap().0;
    for wanted in [
        "lose fremont",
        "host-isolate on app2",
        "requests to “buy” from coordinator failed",
        "(2 of 2 vantages saw failures)",
        "is violated",
        "Find out why “users”",
        "Of all requests that failed, all failed by timeout",
        "fast: from coordinator: 89.6 % good within 300 ms over 8001 requests",
        "; not decided: “failover”",
        "In 1 of 2 attacks (“stop checkout”) every objective held.",
    ] {
        assert!(answers.contains(wanted), "{wanted}: {answers}");
    }
    let mut stuck = Drill::one();
    stuck.ends = vec![("app1", firedrill_wire::api::HostState::Stuck)];
    stuck.outcome = Some(RunOutcome::Completed);
    let page = text(Format::Html, &log(&stuck));
    let todo = page.split_once("What to do</h2>").unwrap().1;
    let first = todo.split_once("</li>").unwrap().0;
    assert!(first.contains("Something may not have been put back"), "{first}");
}

#[test]
fn a_page_of_many_hosts_shows_groups_and_then_the_hosts_that_differ() {
    let mut drill = Drill::one();
    let hosts: Vec<&'static str> =
        (1..=40).map(|n| &*Box::leak(format!("web{n}").into_boxed_str())).collect();
    drill.acts[0].hosts.clone_from(&hosts);
    drill.ends = hosts.iter().map(|host| (*host, firedrill_wire::api::HostState::Clean)).collect();
    let page = text(Format::Html, &log(&drill));
    let lanes = page.split_once("chart lanes").unwrap().1.split_once("</svg>").unwrap().0;
    assert_eq!(lanes.matches("class=\"item fault\"").count(), 1, "{lanes}");
    assert!(lanes.contains("web1…web40 (40)"), "{lanes}");
    assert!(page.matches("data-h=\"4-43\"").count() >= 2, "rows can be found by host");
}
