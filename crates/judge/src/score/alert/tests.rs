//! Verdicts on alerts whose truth is known.

use firedrill_plan::plan::model::{Alert, AlertGoal};
use firedrill_sources::{AlertQuery, AlertSeen};
use firedrill_wire::Span;

use super::{
    verdict::{Course, Found, detected, resolved},
    watch::{Firing, Poll, Watch},
};
use crate::{
    log::{Event, Log, Record, SourceClock},
    report::{Format, Input},
    score::{Scorecard, fold},
    testing::{Drill, HOLD, RECOVERY, S},
    verdict::Verdict,
};

mod truth;

fn course(limit: i64) -> Course {
    Course { begun_us: 0, fault_us: 20 * S, healed_us: Some(60 * S), unsure_us: 1_000, limit_us: limit * S }
}

fn poll(at: i64, firing: Vec<Firing>) -> Poll {
    Poll { asked_us: at * S, answered_us: at * S + 10_000, answer: Ok(firing) }
}

fn loud() -> Vec<Firing> {
    vec![Firing::default()]
}

fn hushed() -> Vec<Firing> {
    vec![Firing { hushed: Some("silenced by 4d1c".to_owned()), ..Firing::default() }]
}

/// Polls each second from 0 to 120. `firing` returns the alerts that fire in a second; `None` for a poll without an answer.
fn watch(firing: impl Fn(i64) -> Option<Vec<Firing>>) -> Watch {
    let one = |at: i64| match firing(at) {
        Some(found) => poll(at, found),
        None => Poll { answer: Err("connection refused".to_owned()), ..poll(at, vec![]) },
    };
    Watch::new((0..=120).map(one).collect(), S)
}

fn found_if(fires: bool, found: Vec<Firing>) -> Option<Vec<Firing>> {
    Some(if fires { found } else { vec![] })
}

fn assert_found(found: &Found, verdict: Verdict, words: &str) {
    assert!(found.verdict == verdict && found.why.contains(words), "{found:?}");
}

#[test]
fn an_alert_within_the_limit_has_held() {
    let found = detected(&watch(|at| found_if((28..70).contains(&at), loud())), &course(10));
    assert_found(&found, Verdict::Held, "fired 7.0 s to 8.0 s from the fault's start, 10 s wanted");
    let Some((low, Some(high))) = found.took_us else { panic!("{found:?}") };
    assert!(low < 7 * S && high > 8 * S && high - low < S + 20_000, "{found:?}");
}

#[test]
fn an_alert_after_the_limit_and_one_that_never_fires_are_violations() {
    assert_found(
        &detected(&watch(|at| found_if(at >= 28, loud())), &course(5)),
        Verdict::Violated,
        "fired 7.0 s to 8.0 s",
    );
    assert_found(
        &detected(&watch(|_| found_if(false, vec![])), &course(5)),
        Verdict::Violated,
        "did not fire within 5 s",
    );
    // The upper end of the range is after the limit, the lower one is not.
    let found =
        detected(&watch(|at| found_if(at >= 28, loud())), &Course { limit_us: 7_500_000, ..course(0) });
    assert_found(&found, Verdict::Unknown, "too close");
}

#[test]
fn an_alert_that_fired_before_the_fault_is_unknown() {
    assert_found(
        &detected(&watch(|at| found_if(at >= 12, loud())), &course(10)),
        Verdict::Unknown,
        "firing already",
    );
    assert_found(
        &detected(&watch(|at| found_if((5..8).contains(&at) || at >= 24, loud())), &course(10)),
        Verdict::Unknown,
        "too",
    );
    // It was seen at the first answer after the fault's start; the one before was before that start.
    let found = detected(&watch(|at| if at == 20 { None } else { found_if(at > 20, loud()) }), &course(10));
    assert_found(&found, Verdict::Unknown, "may have been firing already");
    assert!(found.why.contains("connection refused"), "{found:?}");
}

#[test]
fn an_alert_without_a_notification_is_unknown() {
    assert_found(
        &detected(&watch(|at| found_if(at >= 25, hushed())), &course(10)),
        Verdict::Unknown,
        "silenced by 4d1c",
    );
    // The silence ended within the limit: people were notified then.
    let found =
        detected(&watch(|at| found_if(at >= 22, if at < 26 { hushed() } else { loud() })), &course(10));
    assert_found(&found, Verdict::Held, "fired 5.0 s to 6.0 s");
    let both = || hushed().into_iter().chain(loud()).collect();
    assert_found(&detected(&watch(|at| found_if(at >= 25, both())), &course(10)), Verdict::Held, "fired");
}

#[test]
fn a_source_without_answers_is_unknown_where_that_matters() {
    let found = detected(
        &watch(|at| if (22..=31).contains(&at) { None } else { found_if(false, vec![]) }),
        &course(10),
    );
    assert_found(
        &found,
        Verdict::Unknown,
        "nothing is known from 1.0 s after the fault's start to 12 s after",
    );
    assert!(found.why.contains("connection refused"), "{found:?}");
    // It was down after the alert, and before the baseline's last answer.
    let found = detected(
        &watch(|at| if (10..=26).contains(&at) { found_if(at >= 25, loud()) } else { None }),
        &course(10),
    );
    assert_found(&found, Verdict::Held, "fired");
    // Nobody asked at all.
    assert_found(&detected(&Watch::new(vec![], S), &course(10)), Verdict::Unknown, "it was not asked");
}

#[test]
fn a_gap_is_filled_by_the_start_of_the_alert_that_the_source_gives() {
    let since =
        |low: i64, high: i64| vec![Firing { since_us: Some((low * S, high * S)), ..Firing::default() }];
    let gap = |found: Vec<Firing>| {
        watch(move |at| if (19..40).contains(&at) { None } else { found_if(at >= 40, found.clone()) })
    };
    assert_found(&detected(&gap(since(24, 26)), &course(10)), Verdict::Held, "fired 4.0 s to 6.0 s");
    assert_found(&detected(&gap(since(15, 17)), &course(10)), Verdict::Unknown, "before the fault");
    assert_found(&detected(&gap(since(24, 36)), &course(10)), Verdict::Unknown, "");
    // Times that contradict the answers are not used.
    let found = detected(&watch(|at| found_if(at >= 28, since(21, 22))), &course(5));
    assert_found(&found, Verdict::Violated, "fired 7.0 s to 8.0 s");
}

#[test]
fn a_fault_that_is_shorter_than_the_limit_cannot_be_a_violation() {
    assert_found(
        &detected(&watch(|_| found_if(false, vec![])), &course(50)),
        Verdict::Unknown,
        "the fault held for 40 s only",
    );
    assert_found(
        &detected(&watch(|at| found_if(at > 65, loud())), &course(50)),
        Verdict::Held,
        "fired 45.0 s to 46.0 s",
    );
}

#[test]
fn an_alert_that_is_over_in_time_has_held() {
    let found = resolved(&watch(|at| found_if((25..66).contains(&at), loud())), &course(10));
    assert_found(&found, Verdict::Held, "over 5.0 s to 6.0 s from the heal");
    assert_found(
        &resolved(&watch(|at| found_if((25..50).contains(&at), loud())), &course(10)),
        Verdict::Held,
        "before the heal",
    );
    assert_found(
        &resolved(&watch(|at| found_if((25..90).contains(&at), loud())), &course(10)),
        Verdict::Violated,
        "still firing 10 s",
    );
    assert_found(
        &resolved(&watch(|_| found_if(false, vec![])), &course(10)),
        Verdict::Unknown,
        "never fired",
    );
    // It is over, fires again, and is over again: the last end counts.
    let again = |at: i64| found_if((25..62).contains(&at) || (64..67).contains(&at), loud());
    assert_found(&resolved(&watch(again), &course(10)), Verdict::Held, "over 6.0 s to 7.0 s");
    assert_found(
        &resolved(&watch(|at| found_if((25..62).contains(&at) || at >= 67, loud())), &course(10)),
        Verdict::Violated,
        "still",
    );
}

#[test]
fn an_alert_whose_end_was_not_seen_is_unknown() {
    let gap = |at: i64| if (62..80).contains(&at) { None } else { found_if((25..62).contains(&at), loud()) };
    assert_found(&resolved(&watch(gap), &course(10)), Verdict::Unknown, "nothing is known from 41.0 s");
    let early = Watch::new((0..65).map(|at| poll(at, if at > 24 { loud() } else { vec![] })).collect(), S);
    assert_found(&resolved(&early, &course(10)), Verdict::Unknown, "nothing is known");
    // Its sender fell silent, and the source forgot it at its end time.
    let forgotten = vec![Firing { forgotten_us: Some(64 * S), ..Firing::default() }];
    let found = resolved(&watch(|at| found_if((25..64).contains(&at), forgotten.clone())), &course(10));
    assert_found(&found, Verdict::Unknown, "forgot it, or one of several, at its end time");
    assert_found(
        &resolved(&watch(|at| found_if((10..66).contains(&at), loud())), &course(10)),
        Verdict::Unknown,
        "before the fault",
    );
    assert_found(
        &resolved(&watch(|at| found_if((25..66).contains(&at), hushed())), &course(10)),
        Verdict::Unknown,
        "silenced",
    );
}

#[test]
fn each_of_several_alerts_is_followed_to_its_end() {
    let one = |id: &str, forgotten: i64| Firing {
        id: id.to_owned(),
        forgotten_us: Some(forgotten * S),
        ..Firing::default()
    };
    // Both vanish at once; the end time of one had come.
    let both = watch(|at| found_if((25..64).contains(&at), vec![one("a", 64), one("b", 300)]));
    assert_found(&resolved(&both, &course(10)), Verdict::Unknown, "forgot it,");
    // One is forgotten before the other is over.
    let early = watch(|at| match at {
        25..62 => Some(vec![one("a", 62), one("b", 300)]),
        62..66 => Some(vec![one("b", 300)]),
        _ => Some(vec![]),
    });
    assert_found(&resolved(&early, &course(10)), Verdict::Unknown, "forgot it,");
    // Its end time moves on as long as the source receives it again, and another identity is another alert.
    let renewed = watch(|at| match at {
        25..62 => Some(vec![one("a", at + 120), one("b", at + 120)]),
        62..66 => Some(vec![one("b", at + 120)]),
        _ => Some(vec![]),
    });
    assert_found(&resolved(&renewed, &course(10)), Verdict::Held, "over");
}

/// Returns the records of a drill whose log has a poll of an Alertmanager each second.
fn records(mut drill: Drill, firing: impl Fn(i64) -> Result<Vec<AlertSeen>, String>) -> Vec<Record> {
    let start = Drill::start(0);
    let poll = |second: i64| {
        let (firing, failed) = match firing(second - start) {
            Ok(firing) => (firing, None),
            Err(why) => (vec![], Some(why)),
        };
        let clock = Some(SourceClock { zero_us: 1_700_000_000 * S, unsure_us: 500_000 });
        let (asked_us, answered_us) = (second * S - 12_000, second * S - 2_000);
        (
            second,
            Event::AlertSeen { objective: "told".to_owned(), asked_us, answered_us, clock, firing, failed },
        )
    };
    drill.extra.extend((2..start + HOLD + RECOVERY).map(poll));
    let mut records = drill.records();
    let alert = |name: &str, goal| Alert {
        name: name.to_owned(),
        source: "am".to_owned(),
        query: AlertQuery { name: "ZoneDown".to_owned(), labels: [].into() },
        goal,
        every: Span::secs(1),
    };
    for record in &mut records {
        if let Event::RunStarted { plan, .. } = &mut record.event {
            plan.alerts = vec![
                alert("told", AlertGoal::DetectWithin(Span::secs(10))),
                alert("over", AlertGoal::ResolveWithin(Span::secs(10))),
            ];
            plan.attacks[0].judge = vec!["users".to_owned(), "told".to_owned(), "over".to_owned()];
        }
    }
    records
}

fn seen(forgotten_us: Option<i64>) -> Vec<AlertSeen> {
    vec![AlertSeen { id: "1".to_owned(), what: "ZoneDown".to_owned(), forgotten_us, ..AlertSeen::default() }]
}

#[test]
fn the_time_of_the_notification_follows_from_the_log() {
    let firing = |second: i64| Ok(if (5..HOLD + 3).contains(&second) { seen(None) } else { vec![] });
    let card = fold(&records(Drill::one(), firing));
    let attack = &card.attacks[0];
    let verdicts: Vec<(&str, Verdict)> =
        attack.objectives.iter().map(|one| (one.name.as_str(), one.verdict)).collect();
    assert_eq!(verdicts, [("users", Verdict::Held), ("told", Verdict::Held), ("over", Verdict::Held)]);
    let alert = attack.objectives[1].alert.as_deref().expect("about an alert");
    let detected = alert.detected.expect("it fired");
    assert!((4 * S..=5 * S + 100_000).contains(&detected.low_us), "{detected:?}");
    assert!(detected.high_us.is_some_and(|high| (5 * S..=5 * S + 100_000).contains(&high)), "{detected:?}");
    assert!(alert.resolved.is_some() && alert.firing.len() == 1 && alert.failed == 0, "{alert:?}");
    assert!(card.story.contains("the alert ZoneDown fired 5.0 s after the start"), "{}", card.story);
    let read: Scorecard = serde_json::from_str(&serde_json::to_string(&card).expect("JSON")).expect("a card");
    assert_eq!(read.attacks[0].objectives[1].alert, attack.objectives[1].alert);
}

#[test]
fn every_report_shows_whether_people_were_notified() {
    let firing = |second: i64| match second {
        30 => Err("connection refused".to_owned()),
        _ => Ok(if (5..HOLD + 3).contains(&second) { seen(None) } else { vec![] }),
    };
    let log = Log::of(&records(Drill::one(), firing));
    let text = |format: Format| {
        String::from_utf8(format.render(&Input::new(&log)).expect("a report")).expect("text")
    };
    let page = text(Format::Html);
    for part in [
        "<b>5.0 s</b><span>to detect</span>",
        "<td data-label=\"alert\"><span>ZoneDown<small>am, asked 119 times, 1 without an answer</small>",
        "class=\"mark\"",
        "ZoneDown seen firing from 00:25.9",
    ] {
        assert!(page.contains(part), "no `{part}`");
    }
    let markdown = text(Format::Markdown);
    assert!(markdown.contains("| detected after | mitigated after |"), "{markdown}");
    assert!(markdown.contains("| ZoneDown | am | 4.0 s – 5.0 s | 2.0 s – 3.0 s | 00:25.9 – "), "{markdown}");
    assert!(text(Format::Junit).contains("ZoneDown fires within 10s from the fault"));
    assert!(text(Format::Json).contains("\"detected\""));
}

#[test]
fn an_alert_that_did_not_fire_is_no_violation_if_the_fault_did_not_land() {
    let never = |_: i64| Ok(vec![]);
    let objective = |drill: Drill| fold(&records(drill, never)).attacks[0].objectives[1].clone();
    assert_eq!(objective(Drill::one()).verdict, Verdict::Violated);
    let mut drill = Drill::one();
    drill.acts[0].in_force = firedrill_wire::evidence::Seen::No;
    let objective = objective(drill);
    assert_eq!(objective.verdict, Verdict::Unknown, "{objective:?}");
}

#[test]
fn an_end_time_is_compared_by_the_clock_of_the_source() {
    let over = |forgotten: i64| {
        let at = |second: i64| (1_700_000_000 + Drill::start(0) + second) * S;
        let last = HOLD + 3;
        let firing = move |second: i64| {
            Ok(if (5..last).contains(&second) { seen(Some(at(last + forgotten))) } else { vec![] })
        };
        fold(&records(Drill::one(), firing)).attacks[0].objectives[2].clone()
    };
    assert_eq!(over(60).verdict, Verdict::Held);
    assert!(over(0).why.contains("forgot it,"), "{:?}", over(0));
}
