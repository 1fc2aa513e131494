//! The page as a file: the committed examples, the page's size for a run of an hour, and the data for its script.

mod axis;
mod made;

use std::path::Path;

use self::made::{
    held, logged, met_nothing, metric, numbered, read, sampled, unknown, violated, with_source,
};
use super::{Format, Log, log, text};
use crate::{
    log::{Event, Record, RunOutcome},
    testing::{Drill, S, bin, bin_with},
};

/// Compares the committed examples with newly rendered reports. With `INSTA_UPDATE=always` the examples are written, like
/// other golden files.
#[test]
fn the_examples_equal_newly_rendered_reports() {
    const MAX_BYTES: usize = 300_000;
    let examples = [
        ("held", log(&held())),
        ("violated", with_source(&violated())),
        ("unknown", met_nothing(&unknown())),
    ];
    for (name, log) in examples {
        let page = text(Format::Html, &log);
        assert!(page.contains(&format!("<title>friday: {name}</title>")), "{name}: {:.400}", page);
        assert!(page.len() < MAX_BYTES, "{name}: {} bytes", page.len());
        is_example(&format!("{name}.html"), &page);
    }
    // tests/ci_files.sh checks this file with the classes that are generated from OpenTelemetry's definition of the format.
    is_example("trace.json", &text(Format::Otlp, &with_source(&violated())));
}

/// Compares a text with a file in docs/examples.
fn is_example(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").join(file);
    if std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always") {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/examples/{file} is stale: INSTA_UPDATE=always cargo test -p firedrill-judge examples writes it anew"
    );
}

/// The run lasts an hour and has a hundred requests a second from each of three vantages, five metrics, and five logs of three hosts.
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
        // Both attacks judge all metrics, so that their samples are on the page.
        for name in metrics {
            plan.attacks[0].judge.push(name.to_owned());
            plan.attacks[1].judge.push(name.to_owned());
        }
    }
    // The simulated measurements end with the attacks. The rest of the hour is filled with noisy measurements.
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
    assert!((highest("high") - 12.0).abs() < 1e-9, "the peak is kept, however wide a step is");
}

/// Returns the data of a page for its script.
fn data(page: &str) -> serde_json::Value {
    let from = page.split_once("id=\"data\">").expect("data").1;
    serde_json::from_str(from.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_answer_to_the_promise_comes_first_on_the_page() {
    let promise_of = |log: &Log| {
        let page = text(Format::Html, log);
        let promise =
            page.split_once("class=\"promise\">").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        assert!(page.find("class=\"promise\"").unwrap() < page.find("class=\"story\"").unwrap());
        promise
    };
    let broken = promise_of(&with_source(&violated()));
    for wanted in [
        "The promise: “Two failures,",
        ">It did not hold</b>, because under “lose fremont”",
        "92.4 %, wanted at least 98 %",
    ] {
        assert!(broken.contains(wanted), "{wanted}: {broken}");
    }
    assert!(promise_of(&log(&held())).contains(">It held</b>, because every objective held."));
    let open = promise_of(&met_nothing(&unknown()));
    assert!(open.contains(">It is not decided</b>, because in “stop checkout” "), "{open}");
    let markdown = text(Format::Markdown, &log(&held()));
    assert!(markdown.contains("It held, because every objective held."), "{markdown}");
}

#[test]
fn a_total_outage_is_shown_beside_the_partial_failure() {
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
        "all requests failed, so there was no partial failure"
    );
}

#[test]
fn vantages_with_equal_measurements_share_a_row_and_the_others_have_separate_rows() {
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
fn each_term_is_explained_next_to_it() {
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
        let inline = page.split_once(start).unwrap().1.split_once(end).unwrap().0;
        let hash = ring::digest::digest(&ring::digest::SHA256, inline.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(policy.contains(&format!("{kind} 'sha256-{hash}'")), "{kind}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.contains(" style=\"") && !page.contains(" onclick"), "the policy would refuse it");
}

#[test]
fn a_run_without_measurements_is_not_called_a_run_without_failures() {
    let blind = Drill { bins: Box::new(|_, _, _| None), ..Drill::one() };
    let page = text(Format::Html, &log(&blind));
    assert!(page.contains("No judged request was measured while a fault was in force."), "{page}");
    assert!(!page.contains("No judged request failed"), "{page}");
}

#[test]
fn the_four_answers_name_the_failing_vantages_and_the_next_steps() {
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
