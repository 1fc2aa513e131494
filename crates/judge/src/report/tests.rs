//! All formats, rendered from simulated logs. One log has golden files.

mod pages;

use firedrill_plan::plan::model::{Drawn, Goal};
use firedrill_wire::{Fault, Span, exchange::Exchanged, fault::NetSlow};

use super::*;
use crate::{
    log::{Event, Outcome, RunOutcome},
    notes::{self, Note},
    testing::{Act, Drill, HOLD},
};

fn log(drill: &Drill) -> Log {
    Log::of(&drill.records())
}

/// Returns a drill with an attack that held, one that was violated, and one that did not run.
fn mixed() -> Drill {
    let mut drill = Drill::good();
    drill.vantages.push("app1");
    drill.acts[1].bad = vec![(0..14, 40), (HOLD..HOLD + 4, 10)];
    let mut third = drill.acts[0].clone();
    third.name = "single host";
    third.outcome = Outcome::NotRun("nobody approved within 15m".to_owned());
    drill.acts.push(third);
    // The vantage on a target has more failures than users have, and does not count.
    drill.bins = Box::new(|vantage, second, bin| {
        let on_target = vantage == "app1" && (22..80).contains(&second);
        (second < 280).then(|| if on_target { crate::testing::bin("buy", second, 20, 80) } else { bin })
    });
    drill
}

fn text(format: Format, log: &Log) -> String {
    String::from_utf8(format.render(&Input::new(log)).unwrap()).unwrap()
}

#[test]
fn markdown_junit_and_json_equal_their_golden_files() {
    let log = log(&mixed());
    insta::assert_snapshot!("report.md", text(Format::Markdown, &log));
    insta::assert_snapshot!("junit.xml", text(Format::Junit, &log));
    insta::assert_snapshot!("report.json", text(Format::Json, &log));
}

#[test]
fn an_attack_that_was_spared_is_called_spared_in_every_format() {
    let mut drill = mixed();
    drill.acts[2].outcome = Outcome::Spared("the leader was app2".to_owned());
    let log = log(&drill);
    for (format, wanted) in [
        (Format::Markdown, "spared"),
        (Format::Junit, "spared: the leader was app2"),
        (Format::Json, "\"spared\": \"the leader was app2\""),
        (Format::Html, "spared: the leader was app2"),
    ] {
        assert!(text(format, &log).contains(wanted), "{format:?}: {}", text(format, &log));
    }
    let spans = text(Format::Otlp, &log);
    assert!(!spans.contains("single host"), "{spans}");
}

#[test]
fn the_report_of_a_drawn_drill_names_its_seed_and_the_command_that_repeats_it() {
    let mut records = mixed().records();
    let drawn = Drawn { of: 9, gameday: "gamedays/chaos.toml".to_owned() };
    for record in &mut records {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            plan.drawn = Some(drawn.clone());
        }
    }
    let log = Log::of(&records);
    let sentence = "3 of 9 attacks, and their targets, by seed 7; `firedrill gameday start gamedays/chaos.toml --now --seed 7` repeats it";
    let plain = |text: String| text.replace('\\', "");
    assert!(plain(text(Format::Markdown, &log)).contains(sentence), "{}", text(Format::Markdown, &log));
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json, &log)).unwrap();
    let expected = serde_json::json!({ "seed": 7, "of": 9, "gameday": "gamedays/chaos.toml" });
    assert_eq!(json["plan"]["drawn"], expected);
    for format in [Format::Markdown, Format::Json, Format::Html] {
        let not_drawn = text(format, &super::tests::log(&mixed()));
        assert!(!not_drawn.contains("their targets, by seed") && !not_drawn.contains("\"drawn\": {"));
    }
    assert!(text(Format::Html, &log).contains("3 of 9 attacks, and their targets, by seed 7"));
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let page = text(Format::Html, &log(&mixed()));
    for outside in ["http://", "https://", "src=", "url(", "@import", "import(", "fetch(", "XMLHttp"] {
        // The only address on the page is the probe's, as a text.
        let found = page.replace("http://edge/buy", "").contains(outside);
        assert!(!found, "{outside}");
    }
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("no {part}"));
    assert!(at("class=\"story\"") < at("id=\"timeline\"") && at("id=\"timeline\"") < at("id=\"attacks\""));
    assert!(at("nobody approved within 15m") > 0 && at("violated") > 0 && at("does not count") > 0);
    assert_eq!(
        page.matches("role=\"img\"").count(),
        page.matches("<desc").count(),
        "every chart has a description"
    );
}

#[test]
fn of_many_vantages_the_worst_are_drawn_and_no_outage_is_hidden() {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9"];
    drill.bins = Box::new(|vantage, second, bin| match (vantage, second) {
        ("v7", 40) => Some(crate::testing::bin("buy", second, 0, 100)),
        ("v3", 50..55) => None,
        // All other vantages differ in this second.
        (other, 60) => {
            let answered = 99 - u64::from(*other.as_bytes().last().unwrap()) % 50;
            Some(crate::testing::bin("buy", second, answered, 0))
        }
        _ => Some(bin),
    });
    let page = text(Format::Html, &log(&drill));
    let charts: Vec<&str> = page.split("<svg class=\"chart\" ").skip(1).collect();
    assert_eq!(charts.len(), 2, "the run and its attack");
    for chart in charts {
        let lines = chart.matches(">the worst of 5 others</text>").count();
        assert_eq!(lines, 1, "{chart}");
        let drawn = ["v3", "v7"].map(|name| chart.contains(&format!(">{name}</text>")));
        assert_eq!(drawn, [true, true], "{chart}");
        assert!(
            chart.contains("v7: lowest share 0 %") && chart.contains("v3: nothing measured from"),
            "{chart}"
        );
    }
    assert!(page.contains("Each second is drawn."));
}

#[test]
fn exchanges_between_hosts_are_shown_with_their_fault() {
    let answered =
        |took| Exchanged { sent: 20, answered: 20, times_us: vec![took; 20], ..Exchanged::default() };
    let slow =
        NetSlow { to: vec!["10.9.0.4".to_owned()].into(), delay: Span::millis(100), ..NetSlow::default() };
    let act = Act::new("late", &["app1"], Fault::NetSlow(slow));
    let log = log(&Drill::exchanging(act, [Some(answered(300)), Some(answered(350)), None]));
    let row = "| net-slow on app1 | app1 to canary | ICMP echo, 10.9.0.4 | 20 of 20 answered, 300 µs | 20 of 20 answered, 350 \
               µs | not measured | round trips over app1";
    let markdown = text(Format::Markdown, &log);
    assert!(markdown.contains(row), "{markdown}");
    let page = text(Format::Html, &log);
    assert!(page.contains("ICMP echo, 10.9.0.4; net-slow on app1"), "{page}");
    assert!(page.contains("not measured") && page.contains("less than the half of the delay"), "{page}");
}

#[test]
fn an_unknown_objective_has_its_reason_in_every_format() {
    // One drill in which another objective is violated, and one in which a single doubt makes all objectives unknown.
    let mut doubted = Drill::one();
    doubted.acts[0].exercised = firedrill_wire::evidence::Seen::No;
    let mut close = mixed();
    close.goals[1].1 = Goal::Latency { quantile: 0.93, below: Span::millis(300) };
    for drill in [close, doubted] {
        let log = log(&drill);
        let attacks = Input::new(&log).card.attacks;
        let unknown: Vec<_> = attacks
            .iter()
            .flat_map(|attack| &attack.objectives)
            .filter(|one| one.verdict == crate::verdict::Verdict::Unknown)
            .collect();
        assert!(!unknown.is_empty());
        for one in &unknown {
            let same = unknown.iter().filter(|other| other.why == one.why).count();
            assert!(!one.why.is_empty(), "{one:?}");
            let page = text(Format::Html, &log);
            assert_eq!(
                page.matches(&format!("<small>{}</small></span></td>", one.why)).count(),
                same,
                "{page}"
            );
            let markdown = text(Format::Markdown, &log);
            assert_eq!(markdown.matches(&format!("| unknown | {} |", one.why)).count(), same, "{markdown}");
            let junit = text(Format::Junit, &log);
            assert!(junit.matches(&format!("<error message=\"{}\"", one.why)).count() >= same, "{junit}");
            let json = text(Format::Json, &log);
            assert!(json.matches(&format!("\"why\": \"{}\"", one.why)).count() >= same, "{json}");
        }
    }
}

#[test]
fn a_probe_without_objectives_is_called_not_judged_and_adds_no_figures_to_an_attack() {
    let mut drill = Drill::one();
    let judged = text(Format::Html, &log(&drill));
    drill.acts[0].bad = vec![(0..HOLD, 90)];
    drill.goals.clear();
    let page = text(Format::Html, &log(&drill));
    assert!(!judged.contains("ot judged"), "{judged}");
    for wanted in [
        "The probe “buy” was not judged.",
        "buy: GET http:&#x2f;&#x2f;edge&#x2f;buy (not judged)",
        "<small>not judged</small>",
        "<div><b>—</b><span>errors in the fault</span><small>",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
}

#[test]
fn no_two_charts_have_the_same_name() {
    let mut drill = mixed();
    drill.acts[1].name = drill.acts[0].name;
    let page = text(Format::Html, &log(&drill));
    let labels: Vec<&str> = page
        .split("role=\"group\" aria-label=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let different: std::collections::BTreeSet<_> = labels.iter().collect();
    assert!(labels.len() > 2 && different.len() == labels.len(), "{labels:?}");
}

#[test]
fn every_format_has_the_causes_of_failed_requests_also_for_an_attack_that_did_not_run() {
    let mut drill = Drill::one();
    drill.acts[0].bad = vec![(0..4, 3)];
    let ran = log(&drill);
    assert!(
        text(Format::Markdown, &ran)
            .contains("| fault | buy | 2 alike: coordinator, canary | 12 | timeout 12 | 0 |")
    );
    assert!(text(Format::Html, &ran).contains("Why requests failed"));
    assert!(text(Format::Json, &ran).contains("\"timeout\": 12"));
    assert!(text(Format::Junit, &ran).contains("\nfault, from canary: 12 bad (timeout 12)"));
    drill.acts[0].bad = vec![(-crate::testing::BASELINE..0, 40)];
    drill.acts[0].outcome = Outcome::NotRun("the baseline did not hold".to_owned());
    let baseline_start = Drill::start(0) - crate::testing::BASELINE;
    let baseline = Event::Phase {
        attack: 0,
        phase: firedrill_plan::plan::model::Phase::Baseline,
        until_us: Drill::start(0) * crate::testing::S,
    };
    drill.extra = vec![(baseline_start, baseline)];
    drill.outcome = Some(RunOutcome::Refused("the baseline did not hold".to_owned()));
    drill.ends.clear();
    let refused = log(&drill);
    assert!(
        text(Format::Markdown, &refused)
            .contains("| baseline | buy | 2 alike: coordinator, canary | 800 | timeout 800 | 0 |")
    );
    assert!(text(Format::Html, &refused).contains("timeout 800"));
    assert!(text(Format::Junit, &refused).contains("the baseline did not hold"));
    assert!(
        text(Format::Junit, &refused)
            .contains("<system-out>baseline, from coordinator: 800 bad (timeout 800)")
    );
    assert!(text(Format::Json, &refused).contains("\"exit\": 4"));
}

#[test]
fn names_cannot_become_markup() {
    let mut drill = Drill::one();
    drill.acts[0].name = "<b>|`x`|</b> & \"y\"";
    drill.extra = vec![(30, Event::Note { text: "<img src=x>".to_owned() })];
    let log = log(&drill);
    let page = text(Format::Html, &log);
    assert!(!page.contains("<b>|") && !page.contains("<img"));
    assert!(!text(Format::Junit, &log).contains("<b>|"));
    assert!(text(Format::Markdown, &log).contains("\\|\\`x"));
}

#[test]
fn a_log_cut_anywhere_renders_in_every_format() {
    let mut drill = Drill::one();
    drill.vantages.truncate(1);
    drill.outcome = Some(RunOutcome::Completed);
    let records = drill.records();
    for cut in (0..=records.len()).step_by(3) {
        let log = Log::of(&records[..cut]);
        let input = Input::new(&log);
        for format in Format::EVERY {
            assert!(!format.render(&input).unwrap().is_empty(), "{format:?} after {cut}");
        }
    }
}

#[test]
fn the_warning_that_something_may_not_have_been_put_back_comes_first() {
    let mut drill = Drill::one();
    drill.ends = vec![("app1", firedrill_wire::api::HostState::Stuck)];
    let page = text(Format::Html, &log(&drill));
    let warning = "Something may not have been put back: app1 ended stuck";
    assert!(page.find(warning).unwrap() < page.find("class=\"story\"").unwrap());
    assert!(text(Format::Markdown, &log(&drill)).contains(warning));
    assert!(text(Format::Junit, &log(&drill)).contains("app1 ended clean"));
}

#[test]
fn all_files_are_written_beside_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (card, paths) = write_all(folder.path(), &log(&mixed())).unwrap();
    assert_eq!(card.exit, 1);
    assert_eq!(paths.len(), 4);
    assert!(paths.iter().all(|path| path.exists()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "no temporary file remains");
}

#[test]
fn notes_are_shown_in_reports_and_among_the_events_and_do_not_change_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&mixed());
    let plain = Input::new(&log);
    let wall = humantime::parse_rfc3339(plain.started()).unwrap();
    let after = |seconds: u64| wall + std::time::Duration::from_secs(seconds);
    notes::add(folder.path(), &Note::new(after(65), "bob", "traffic <moved> | by hand")).unwrap();
    let finding = Note::new(after(70), "carol", "the runbook is of last year").of_finding("f-1");
    notes::add(folder.path(), &finding).unwrap();
    let input = Input::new(&log).beside(folder.path(), after(900));
    assert_eq!(input.card().verdict, plain.card().verdict);
    let text = |format: Format| String::from_utf8(format.render(&input).unwrap()).unwrap();
    let page = text(Format::Html);
    assert!(
        page.contains("<h2 id=\"notes\">Notes</h2>") && page.contains("traffic &lt;moved&gt; | by hand"),
        "{page}"
    );
    assert!(page.contains("note: traffic &lt;moved&gt;"), "among the events");
    assert!(page.contains("finding f-1: the runbook is of last year"), "told from a note");
    let lane = page.split(">people</text>").nth(1).expect("a lane on the time axis");
    let lane = lane.split("class=\"axis\"").next().unwrap();
    assert!(lane.contains("traffic &lt;moved&gt;") && lane.contains("data-f=\"65000\""), "{lane}");
    assert!(text(Format::Markdown).contains(r"| 01:05.0 | bob | traffic \<moved> \| by hand |"));
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json)).unwrap();
    assert_eq!(json["notes"][0]["by"], "bob");
    assert_eq!(
        (&json["notes"][0]["finding"], &json["notes"][1]["finding"]),
        (&serde_json::Value::Null, &"f-1".into())
    );
    std::fs::write(folder.path().join(notes::FILE), "no note\n").unwrap();
    let input = Input::new(&log).beside(folder.path(), after(900));
    let page = String::from_utf8(Format::Html.render(&input).unwrap()).unwrap();
    assert!(page.contains("1 line of notes.jsonl is no note"), "{page}");
}
