//! `log` shows what happened on the host, with or without an agent.

use super::{Agent, Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("what_was_done_is_told_later", what_was_done),
    ("what_was_done_is_told_without_an_agent", without_an_agent),
];

fn what_was_done() {
    let agent = Agent::in_force();
    agent.verb(&["undo", "--all"]).ends_with(0);
    agent.verb(&["release"]).ends_with(0);
    let log = told(
        &agent,
        &[
            "started",
            "fault a of run r1 is in force",
            "fault a of run r1 is undone (asked by root@h)",
            "root@h undo: accepted: everything, with a halt: a",
            "root@h release: accepted",
        ],
    );
    let line = log.lines().next().unwrap();
    assert!(line.starts_with("20") && line.contains("Z  "), "{line}");
    let by_root = agent.verb(&["log", "--who", "root@h", "--json"]).ends_with(0).stdout;
    let lines: Vec<&str> = by_root.lines().collect();
    assert!(
        lines.iter().all(|line| line.starts_with("{\"request\"") || line.starts_with("{\"event\"")),
        "{by_root}"
    );
    assert!(lines.iter().any(|line| line.contains("\"what\":\"release\"")), "{by_root}");
    assert!(
        agent.verb(&["log", "--on", "2020-01-01"]).ends_with(0).stdout.contains("the oldest record is from")
    );
    agent.verb(&["log", "--since", "some-day"]).ends_with(2);
}

fn without_an_agent() {
    let mut agent = Agent::in_force();
    agent.kill_all();
    agent.verb(&["undo", "--all"]).ends_with(0);
    agent.verb(&["release"]).ends_with(0);
    told(
        &agent,
        &[
            "fault a of run r1 is in force",
            "fault a of run r1 is undone (asked by root@h)",
            "root@h undo: accepted: everything, with a halt: a",
            "root@h release: accepted",
        ],
    );
}

/// Returns the output of `log` once it has all of these texts, in this order and each once.
fn told(agent: &Agent, all: &[&str]) -> String {
    let log = || agent.verb(&["log", "--since", "1h"]).ends_with(0).stdout;
    // The files are written a moment after the events.
    wait("the last is recorded", || all.iter().all(|told| log().contains(told)));
    let log = log();
    let places: Vec<_> = all.iter().map(|told| log.find(told)).collect();
    assert!(places.is_sorted(), "not in this order: {log}");
    assert!(all.iter().all(|told| log.matches(told).count() == 1), "not once: {log}");
    log
}
