//! Refuses logs that no agent can read, and objectives for them that cannot be judged.

use std::collections::BTreeMap;

use firedrill_wire::logs::{LINES_MOST, StartLogs, UNIT, pattern, unit};

use super::values::phases;
use crate::{
    alike,
    diagnostic::{Item, Problem, Sink, Spot},
    plan::resolve::Draft,
    scenario::{
        Scenario,
        log::{Log, LogObjective},
    },
};

/// Checks every log and every objective for one.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    scenario.logs.iter().for_each(|item| log(item, sink));
    for item in &scenario.log_objectives {
        objective(item, sink);
    }
}

/// Checks a log.
fn log(item: &Item<Log>, sink: &mut Sink) {
    let Log { file, unit, on: _, matches, lines } = &item.value;
    if item.value.place().is_none() && !item.broken {
        let several = file.as_ref().zip(unit.as_ref()).map(|(_, unit)| unit.at.clone());
        let place = several.map_or_else(|| item.place(), |at| item.place_of(&at));
        let label = if file.is_some() { "a file is named, too" } else { "neither" };
        let message = format!("log `{}` is either a file or a unit", item.name);
        sink.push(Problem::error(message).at(place, label).help("one of: file; unit"));
    }
    if let Some(file) = file {
        check_file(item, file, sink);
    }
    if let Some(unit) = unit {
        check_unit(item, unit, sink);
    }
    if let Err(why) = pattern(&matches.value) {
        // The crate's error has a heading, lines that draw the place, and the reason in its last line.
        let message = format!("the pattern of log `{}` is invalid", item.name);
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        sink.push(
            Problem::error(message)
                .at(item.place_of(&matches.at), why)
                .help("a regular expression of Rust's crate `regex`, such as \"ERROR|panic\""),
        );
    }
    if lines.value > LINES_MOST {
        let message = format!("log `{}` keeps {} lines of each phase", item.name, lines.value);
        sink.push(
            Problem::error(message)
                .at(item.place_of(&lines.at), format!("{LINES_MOST} at most"))
                .help("lines are examples; the pattern counts all of them"),
        );
    }
}

/// Checks the path of a file.
fn check_file(item: &Item<Log>, file: &Spot<String>, sink: &mut Sink) {
    let parts = || file.value.split('/').skip(1);
    let plain = file.value.starts_with('/') && parts().all(|part| !["", ".", ".."].contains(&part));
    if !plain || file.value.contains('*') {
        let message = format!("log `{}` is not the whole path of one file", item.name);
        let help = if file.value.starts_with(UNIT) || file.value.ends_with(".service") {
            "a service's messages in the journal are a log with `unit` in place of `file`, such as unit = \"app.service\""
        } else {
            "from / on, without `.`, `..` and `*`, such as \"/var/log/app/error.log\"; make a log for each file"
        };
        sink.push(Problem::error(message).at(item.place_of(&file.at), "not a whole path").help(help));
    }
}

/// Checks the name of a unit of systemd.
fn check_unit(item: &Item<Log>, name: &Spot<String>, sink: &mut Sink) {
    if let Err(why) = unit(name.value.as_str()) {
        let message = format!("log `{}` is not one service of systemd", item.name);
        let help = "the whole name of a service, as `systemctl` shows it, such as \"nginx.service\"";
        sink.push(Problem::error(message).at(item.place_of(&name.at), why).help(help));
    }
}

/// Checks an objective on a log.
fn objective(item: &Item<LogObjective>, sink: &mut Sink) {
    const GOALS: &str = "one of: rate_below; count_below";
    let own = &item.value;
    if own.goal().is_none() && !item.broken {
        let message = format!("an objective for a log has exactly one goal (objective `{}`)", item.name);
        sink.push(Problem::error(message).at(item.place(), "none, or several").help(GOALS));
    }
    if let Some(count) = own.count_below.as_ref().filter(|count| count.value == 0) {
        let problem = Problem::error("no log has fewer than no lines");
        sink.push(problem.at(item.place_of(&count.at), "never met").help("1 means: none"));
    }
    if let Some(during) = &own.during {
        phases(item, during, sink);
    }
}

/// Checks that no agent has to read too many logs.
pub(super) fn refuse_hosts(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for host in draft.logs.iter().flat_map(|log| &log.on) {
        *counts.entry(host).or_default() += 1;
    }
    let hosts: Vec<&str> =
        counts.into_iter().filter(|(_, count)| *count > StartLogs::MOST).map(|(host, _)| host).collect();
    if let (false, Some(last)) = (hosts.is_empty(), scenario.logs.last()) {
        let most = StartLogs::MOST;
        let message = format!("more than {most} logs are to be read on {}", alike::names(&hosts));
        sink.push(
            Problem::error(message)
                .at(last.place(), "one too many")
                .help(format!("{most} on a host at most")),
        );
    }
}
