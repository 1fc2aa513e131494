//! Tests of the verb `log`: it shows events and requests of the host, with or without a live agent.

use super::{Agent, Test, wait};

pub(crate) const TESTS: &[Test] = &[
    ("events_and_requests_are_shown_later", with_an_agent),
    ("events_and_requests_are_shown_without_an_agent", without_an_agent),
];

fn with_an_agent() {
    let agent = Agent::in_force();
    agent.verb(&["undo", "--all"]).ends_with(0);
    agent.verb(&["release"]).ends_with(0);
    let log = log_with(
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
    log_with(
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
fn log_with(agent: &Agent, texts: &[&str]) -> String {
    let log = || agent.verb(&["log", "--since", "1h"]).ends_with(0).stdout;
    // The files are written a moment after the events.
    wait("the log to have all texts", || texts.iter().all(|text| log().contains(text)));
    let log = log();
    let places: Vec<_> = texts.iter().map(|text| log.find(text)).collect();
    assert!(places.is_sorted(), "not in this order: {log}");
    assert!(texts.iter().all(|text| log.matches(text).count() == 1), "not once: {log}");
    log
}
