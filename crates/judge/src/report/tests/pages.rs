//! The page as a file: the examples that people can open, the page's size after an hour, and the data for its script.

use std::{collections::BTreeMap, path::Path};

use firedrill_plan::plan::model::{Alert, AlertGoal, Asks, LogGoal, LogObjective, Metric, MetricGoal, Phase};
use firedrill_sources::{AlertQuery, AlertSeen};
use firedrill_wire::{Span, evidence::Seen, journal::What, logs::LogSpec};

use super::{Format, Log, log, text};
use crate::{
    log::{Event, HostLog, Record, RunOutcome, Sample},
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

/// Returns what an agent read in one second.
fn read(log: &str, host: &str, second: i64, matched: u64) -> HostLog {
    HostLog {
        log: log.to_owned(),
        host: host.to_owned(),
        from_us: second * S,
        until_us: (second + 1) * S,
        lines: 40 + matched,
        matched,
        first_us: (matched > 0).then_some(second * S),
        last_us: (matched > 0).then_some((second + 1) * S),
        ..HostLog::default()
    }
}

/// Returns a log that agents read on some hosts.
fn logged(name: &str, on: &[&str]) -> firedrill_plan::plan::model::Log {
    firedrill_plan::plan::model::Log {
        spec: LogSpec {
            name: name.to_owned(),
            file: format!("/var/log/{name}.log"),
            matches: "ERROR".to_owned(),
            lines: 3,
        },
        on: on.iter().map(|host| (*host).to_owned()).collect(),
    }
}

fn metric(name: &str, unit: &str) -> Metric {
    Metric {
        name: name.to_owned(),
        source: "prometheus".to_owned(),
        asks: Asks::One { query: "rate(shop_errors_total[1m])".to_owned() },
        goal: MetricGoal::Below(0.05),
        every: Span::secs(5),
        lag: Span::secs(5),
        stale_after: Span::secs(15),
        window: Span::ZERO,
        unit: unit.to_owned(),
        during: vec![Phase::Fault, Phase::Recovery],
    }
}

fn sampled(objective: &str, second: i64, high: f64) -> Event {
    let sample = Sample {
        at_us: second * S,
        window_us: 0,
        own_us: 0,
        age_us: 0,
        low: None,
        high: Some(high),
        total: None,
        series: 1,
        behind: Vec::new(),
        lacks: None,
        lost: 0,
    };
    Event::Sampled {
        objective: objective.to_owned(),
        until_us: second * S,
        samples: vec![sample],
        unsure_us: 1_000,
        took_us: 2_000,
        failed: None,
        again: false,
    }
}

/// The log of a drill whose second attack is judged by a source, an alert and a log as well.
fn with_source(drill: &Drill) -> Log {
    const SILENT: std::ops::Range<i64> = 195..211;
    let mut records = drill.records();
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.metrics = vec![metric("error rate", "errors/s")];
        plan.alerts = vec![Alert {
            name: "told".to_owned(),
            source: "alertmanager".to_owned(),
            query: AlertQuery { name: "CheckoutErrors".to_owned(), labels: BTreeMap::new() },
            goal: AlertGoal::DetectWithin(Span::secs(20)),
            every: Span::secs(1),
        }];
        plan.logs = vec![logged("shop", &["app1", "app2", "db2"])];
        plan.log_objectives = vec![LogObjective {
            name: "quiet".to_owned(),
            log: "shop".to_owned(),
            goal: LogGoal::RateBelow("5/s".parse().unwrap()),
            during: vec![Phase::Fault, Phase::Recovery],
        }];
        plan.attacks[1].judge.extend(["error rate", "told", "quiet"].map(str::to_owned));
    }
    let end = records.pop().unwrap();
    let mut add = |at: i64, event| records.push(Record { at_us: at * S, event, ..end.clone() });
    let fault = Drill::start(1);
    for second in (130..260).step_by(5).filter(|second| !SILENT.contains(second)) {
        let base = if second > fault { 0.07 } else { 0.002 };
        add(second, sampled("error rate", second, base + (second % 7) as f64 * 0.002));
    }
    for second in 130..260 {
        let firing = (fault + 9..fault + 75).contains(&second);
        let one = AlertSeen {
            id: "CheckoutErrors".to_owned(),
            what: "CheckoutErrors".to_owned(),
            since_us: None,
            precise_to_us: None,
            forgotten_us: None,
            hushed: None,
        };
        add(
            second,
            Event::AlertSeen {
                objective: "told".to_owned(),
                asked_us: second * S,
                answered_us: second * S + 9_000,
                clock: None,
                firing: if firing { vec![one] } else { Vec::new() },
                failed: None,
            },
        );
    }
    for second in 1..260 {
        for host in ["app1", "app2", "db2"] {
            let hurt = host == "app2" && (fault..fault + HOLD + 6).contains(&second);
            let matched = if hurt { 12 + u64::try_from(second * 7 % 5).unwrap() } else { 0 };
            // The file of a host cannot be read for a time.
            if host == "app2" && SILENT.contains(&second) {
                continue;
            }
            add(second + 1, Event::HostLog(read("shop", host, second, matched)));
        }
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

/// A drill of an hour: a hundred requests a second from each of three vantages, five metrics and five logs of three hosts.
#[test]
fn the_page_of_an_hour_is_below_two_mebibytes() {
    const HOUR: i64 = 3600;
    let mut drill = Drill::good();
    drill.vantages = vec!["coordinator", "canary", "app1"];
    let mut records = drill.records();
    let metrics = ["m1", "m2", "m3", "m4", "m5"];
    let logs = ["l1", "l2", "l3", "l4", "l5"];
    let hosts = ["app1", "app2", "db2"];
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.metrics = metrics.iter().map(|name| metric(name, "ms")).collect();
        plan.logs = logs.iter().map(|name| logged(name, &hosts)).collect();
        // One attack around the hour, so that all samples are around it.
        for name in metrics {
            plan.attacks[0].judge.push(name.to_owned());
            plan.attacks[1].judge.push(name.to_owned());
        }
    }
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
    for second in 0..HOUR {
        let mut add = |event| records.push(Record { at_us: second * S + 1_700_000, event, ..end.clone() });
        for (place, name) in metrics.iter().enumerate() {
            let value = (second * 7919 + i64::try_from(place).unwrap()) % 1009;
            add(sampled(name, second, value as f64 / 997.0));
        }
        for (place, name) in logs.iter().enumerate() {
            for (host, at) in hosts.iter().zip(1..) {
                let noise = (second * 7919 + at * 104_729 + i64::try_from(place).unwrap()) % 13;
                add(Event::HostLog(read(name, host, second, u64::try_from(noise).unwrap())));
            }
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
    assert_eq!((data["metrics"].as_array().unwrap().len(), data["logs"].as_array().unwrap().len()), (5, 5));
    let rates = &data["logs"][0]["lines"][0];
    let step = usize::try_from(rates["step"].as_u64().unwrap()).unwrap() / 1000;
    assert_eq!(rates["high"].as_array().unwrap().len(), 3601_usize.div_ceil(step), "{step}");
    let highest = |key: &str| {
        let all = rates[key].as_array().unwrap().iter().filter_map(serde_json::Value::as_f64);
        all.fold(0.0, f64::max)
    };
    assert!((highest("high") - 12.0).abs() < 1e-9, "a peak is there, however wide a step is");
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
fn rates_of_logs_stand_on_the_time_axis_of_the_run() {
    let page = text(Format::Html, &with_source(&violated()));
    let log = &data(&page)["logs"][0];
    assert_eq!(
        log["lines"][0]["name"], "2 alike: app1, db2",
        "hosts of which the same was read are one line"
    );
    let hurt = &log["lines"][1];
    assert_eq!((&hurt["name"], &hurt["step"]), (&"app2".into(), &1000.into()));
    let at = |second: usize| hurt["high"][second].clone();
    let fault = usize::try_from(Drill::start(1)).unwrap();
    assert_eq!((at(fault - 2), at(200)), (0.0.into(), serde_json::Value::Null));
    assert!(at(fault + 3).as_f64().unwrap() >= 12.0, "{hurt}");
    assert_eq!(hurt["gaps"][0], serde_json::json!([195_000, 211_000]));
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
fn times_to_detect_to_mitigate_and_to_recover_stand_on_the_axis() {
    let page = text(Format::Html, &with_source(&violated()));
    let lanes = page.split_once("chart lanes").unwrap().1.split_once("</svg>").unwrap().0;
    for wanted in ["2 detected after 9.0 s", "2 mitigated after 13.4 s", "2 recovered after 5.1 s"] {
        assert!(lanes.contains(&format!(">{wanted}</text>")), "{wanted}: {lanes}");
    }
    let own = page.rsplit_once("during “lose fremont”").unwrap().1;
    for wanted in
        ["detected after 9.0 s", "mitigated after 13.4 s", "recovered after 5.1 s", "CheckoutErrors fires"]
    {
        assert!(own.contains(&format!(">{wanted}</text>")), "{wanted}");
    }
}

#[test]
fn the_promise_is_answered_before_all_else() {
    let said = |log: &Log| {
        let page = text(Format::Html, log);
        let promise =
            page.split_once("class=\"promise\">").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        assert!(page.find("class=\"promise\"").unwrap() < page.find("class=\"story\"").unwrap());
        promise
    };
    let broken = said(&with_source(&violated()));
    for wanted in [
        "The promise: “Two failures,",
        ">It did not hold</b>, because under “lose fremont”",
        "92.4 %, wanted at least 98 %",
    ] {
        assert!(broken.contains(wanted), "{wanted}: {broken}");
    }
    assert!(said(&log(&held())).contains(">It held</b>, because every objective held."));
    let open = said(&met_nothing(&unknown()));
    assert!(open.contains(">It is not decided</b>, because in “stop checkout” "), "{open}");
    let markdown = text(Format::Markdown, &log(&held()));
    assert!(markdown.contains("It held, because every objective held."), "{markdown}");
}

#[test]
fn an_outage_is_told_with_the_partial_failure_beside_it() {
    let page = text(Format::Html, &log(&violated()));
    for wanted in [
        "<b>390 ms</b><span>longest total outage</span>",
        "<b>13.8 % for 1 min 6 s</b><span>partial failure</span>",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let mut total = Drill::one();
    total.acts[0].bad = vec![(0..10, 100)];
    let page = text(Format::Html, &log(&total));
    assert!(
        page.contains("<b>none</b><span>partial failure</span>"),
        "all requests failed, and none in part"
    );
}

#[test]
fn vantages_that_saw_the_same_are_one_row_and_the_others_stand_alone() {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "canary", "app2", "db2"];
    drill.bins = Box::new(|vantage, second, own| match (vantage, second) {
        ("db2", 40) => Some(bin("buy", second, 10, 90)),
        _ => Some(own),
    });
    let page = text(Format::Html, &log(&drill));
    for wanted in [
        "buy, 3 alike: coordinator, canary, app2",
        "buy, db2",
        ">3 alike: coordinator, canary, app2</text>",
        ">db2</text>",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert!(!page.contains("buy, canary<"), "{page}");
}

#[test]
fn each_term_has_its_meaning_where_it_stands() {
    let page = text(Format::Html, &with_source(&violated()));
    for (term, _) in page.match_indices("<dt>") {
        let rest = &page[term..];
        let meaning = rest.split_once("<dd>").unwrap().1.split_once("</dd>").unwrap().0;
        assert!(!meaning.trim().is_empty(), "{:.80}", rest);
    }
    for abbr in page.split("<abbr title=\"").skip(1) {
        assert!(!abbr.starts_with('"'), "{:.80}", abbr);
    }
    assert!(page.matches("<abbr").count() > 5);
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
        "All failed requests failed by timeout",
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
