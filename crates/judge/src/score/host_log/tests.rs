//! Verdicts on logs whose lines are known: with gaps, missed lines, and lines near an edge of a phase.

use firedrill_plan::plan::model::{Log, LogGoal, LogObjective, Phase};
use firedrill_wire::logs::LogSpec;

use super::*;
use crate::{
    log::{Event, Outcome, Record},
    report::{Format, Input},
    score,
    testing::{Drill, S},
};

fn goal(text: &str) -> LogGoal {
    LogGoal::RateBelow(text.parse().expect("a rate"))
}

fn read(host: &str, second: i64, matched: u64) -> HostLog {
    HostLog {
        log: "app".to_owned(),
        host: host.to_owned(),
        from_us: second * S,
        until_us: (second + 1) * S,
        matched,
        first_us: (matched > 0).then_some(second * S),
        last_us: (matched > 0).then_some((second + 1) * S),
        kept: (0..matched.min(2))
            .map(|line| KeptLine {
                at_us: second * S + line.cast_signed(),
                text: format!("line {line} of {second}"),
            })
            .collect(),
        ..HostLog::default()
    }
}

/// Returns the records of a drill with a log of two hosts.
fn records(goal: LogGoal, read: impl Fn(&str, i64) -> Option<HostLog>) -> Vec<Record> {
    let records_of =
        |second| ["app1", "app2"].map(|host| read(host, second).map(|one| (second + 1, Event::HostLog(one))));
    let drill = Drill { extra: (0..130).flat_map(records_of).flatten().collect(), ..Drill::one() };
    let mut all = drill.records();
    if let Event::RunStarted { plan, .. } = &mut all[0].event {
        let spec = LogSpec {
            name: "app".to_owned(),
            file: "/var/log/app.log".to_owned(),
            matches: "ERROR".to_owned(),
            lines: 3,
        };
        plan.logs = vec![Log { spec, on: vec!["app1".to_owned(), "app2".to_owned()] }];
        let during = vec![Phase::Fault, Phase::Recovery];
        plan.log_objectives =
            vec![LogObjective { name: "quiet".to_owned(), log: "app".to_owned(), goal, during }];
        plan.attacks[0].judge = vec!["quiet".to_owned()];
    }
    all
}

/// Judges a drill of one attack (fault from second 21 to 81, recovery to 121) by a log of two hosts.
fn judged(goal: LogGoal, read: impl Fn(&str, i64) -> Option<HostLog>) -> (ObjectiveCard, Vec<LogCard>) {
    let mut card = score::fold(&records(goal, read));
    let mut attack = card.attacks.remove(0);
    assert_eq!(attack.objectives.len(), 1, "{attack:#?}");
    (attack.objectives.remove(0), attack.logs)
}

/// Returns lines on `app2` in second 50, and none elsewhere.
fn at_50(count: u64) -> impl Fn(&str, i64) -> Option<HostLog> {
    move |host, second| Some(read(host, second, if host == "app2" && second == 50 { count } else { 0 }))
}

#[test]
fn the_worst_host_judges() {
    let (held, logs) = judged(LogGoal::CountBelow(3), at_50(2));
    assert_eq!((held.verdict, held.why.as_str()), (Verdict::Held, "app2: 2 matching lines"));
    assert_eq!(held.goal, "fewer than 3 matching lines on each host in fault and recovery");
    let fault = logs[1].phases.iter().find(|one| one.phase == Phase::Fault).expect("a fault");
    assert_eq!((fault.least, fault.most), (2, Some(2)));
    assert_eq!(
        fault.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["line 0 of 50", "line 1 of 50"]
    );
    let read = |one: &&LogPhase| one.phase != Phase::Settle;
    assert!(logs[0].phases.iter().filter(read).all(|one| one.most == Some(0) && one.lines.is_empty()));
    let (violated, _) = judged(LogGoal::CountBelow(2), at_50(2));
    assert_eq!((violated.verdict, violated.vantages[0].verdict), (Verdict::Violated, Verdict::Held));
    // 50 lines in 100 seconds.
    assert_eq!(judged(goal("0.6/s"), at_50(50)).0.verdict, Verdict::Held);
    assert_eq!(judged(goal("24/m"), at_50(50)).0.verdict, Verdict::Violated);
}

#[test]
fn a_gap_is_unknown_unless_the_lines_read_decide() {
    let gap = |count| {
        move |host: &str, second: i64| at_50(count)(host, second).filter(|_| !(60..70).contains(&second))
    };
    let (unknown, _) = judged(LogGoal::CountBelow(3), gap(2));
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert!(
        unknown.why.contains("at least 2 matching lines: from 01:00.0 to 01:10.0 nobody read"),
        "{}",
        unknown.why
    );
    assert_eq!(judged(LogGoal::CountBelow(2), gap(2)).0.verdict, Verdict::Violated);
    let nothing = judged(LogGoal::CountBelow(3), |_, _| None).0;
    assert_eq!(nothing.verdict, Verdict::Unknown, "{nothing:?}");
}

#[test]
fn a_count_with_missed_lines_is_only_a_lower_bound() {
    let missed = |count| {
        move |host: &str, second: i64| {
            let mut one = at_50(count)(host, second)?;
            one.missed = (second == 50).then(|| "many bytes were skipped".to_owned());
            Some(one)
        }
    };
    let (unknown, _) = judged(LogGoal::CountBelow(3), missed(2));
    assert!(
        unknown.why.contains("at least 2") && unknown.why.contains("bytes were skipped"),
        "{}",
        unknown.why
    );
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert_eq!(judged(LogGoal::CountBelow(2), missed(2)).0.verdict, Verdict::Violated);
    let absent = |host: &str, second: i64| {
        let absent = Some("there is no file /var/log/app.log yet".to_owned());
        Some(HostLog { absent, ..read(host, second, 0) })
    };
    let (unknown, _) = judged(LogGoal::CountBelow(3), absent);
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert!(unknown.why.contains("there is no file"), "{}", unknown.why);
}

#[test]
fn lines_across_an_edge_are_unknown_unless_both_sides_give_the_same_verdict() {
    let across = |host: &str, second: i64| {
        let mut one = read(host, second, if second == 20 { 5 } else { 0 });
        if second == 20 {
            (one.first_us, one.last_us) = (Some(20 * S), Some(22 * S));
        }
        Some(one)
    };
    assert_eq!(judged(LogGoal::CountBelow(5), across).0.verdict, Verdict::Unknown);
    let held = judged(LogGoal::CountBelow(6), across).0;
    assert_eq!((held.verdict, held.why.as_str()), (Verdict::Held, "app1: 0 to 5 matching lines"));
}

#[test]
fn an_attack_on_a_system_that_logged_errors_before_shows_nothing() {
    let before = |host: &str, second: i64| Some(read(host, second, u64::from(second < 20)));
    let (unknown, _) = judged(LogGoal::CountBelow(5), before);
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert!(unknown.why.contains("was not healthy before"), "{}", unknown.why);
}

#[test]
fn every_format_shows_the_log_lines() {
    let log = crate::log::Log::of(&records(LogGoal::CountBelow(2), at_50(2)));
    let input = Input::new(&log);
    for (format, all) in [
        (Format::Html, &["Log lines", "line 0 of 50", "log app: fewer than 2"][..]),
        (Format::Markdown, &["| app | app2 | fault | 2 |", "line 1 of 50"]),
        (Format::Json, &["line 0 of 50", "\"matched\": 2"]),
        (Format::Junit, &["2 matching lines"]),
    ] {
        let text = String::from_utf8(format.render(&input).expect("renders")).expect("text");
        for wanted in all {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}

#[test]
fn a_fault_that_was_lifted_early_shows_no_log_that_held() {
    let lifted = |goal, count| {
        let mut all = records(goal, at_50(count));
        for record in &mut all {
            if let Event::AttackEnded { outcome, .. } = &mut record.event {
                *outcome = Outcome::Aborted("a guard".to_owned());
            }
        }
        score::fold(&all).attacks.remove(0).objectives.remove(0)
    };
    let card = lifted(LogGoal::CountBelow(3), 2);
    assert_eq!((card.verdict, card.why.as_str()), (Verdict::Unknown, "the attack was aborted: a guard"));
    assert_eq!(lifted(LogGoal::CountBelow(3), 3).verdict, Verdict::Violated);
}

#[test]
fn a_gap_near_an_edge_is_unknown() {
    // The clock of the hosts is known to 200 ms, and the reader was away for 150 ms on both sides of the fault's start.
    let away = |host: &str, second: i64| {
        let mut one = read(host, second, 0);
        match second {
            20 => one.until_us = 21 * S - 150_000,
            21 => one.from_us = 21 * S + 150_000,
            _ => {}
        }
        Some(one)
    };
    let mut all = records(LogGoal::CountBelow(1), away);
    for record in &mut all {
        if let Event::Clock { host, uncertainty_us, .. } = &mut record.event
            && host.starts_with("app")
        {
            *uncertainty_us = 200_000;
        }
    }
    let card = score::fold(&all);
    let objective = &card.attacks[0].objectives[0];
    assert_eq!(objective.verdict, Verdict::Unknown, "{objective:#?}");
    assert!(objective.why.contains("nobody read the log"), "{}", objective.why);
}
