//! The panels of logs on the run's time axis: one for each log, with the rates of matching lines.

use std::collections::BTreeMap;

use firedrill_plan::{
    alike::{names, together},
    plan::model::{Log, LogGoal, Plan},
};
use serde::Serialize;

use super::{
    charts::{MOST_LINES, attack_bands},
    few::alike,
};
use crate::{
    report::{
        chart::{
            COLUMNS, Span,
            rates::{Lane, RateLine},
        },
        input::Input,
        rates::Rates,
        steps::Steps,
        values::LogValues,
    },
    score::format,
};

/// Typical size of a value in the data of the page, in bytes.
const VALUE_BYTES: usize = 5;
/// Approximate maximum size of all values in the data of the page, in bytes.
const VALUES: usize = 200_000;
/// Typical size of a drawn step, in bytes.
const STEP_BYTES: usize = 12;
/// Approximate maximum size of all drawn steps, in bytes.
const DRAWN: usize = 150_000;

/// The panel of one log.
#[derive(Debug, Serialize)]
pub(crate) struct LogRun {
    caption: String,
    svg: String,
    /// Its values, for the page's script.
    #[serde(skip)]
    pub(crate) values: LogValues,
}

/// Draws the rates of each log over the whole run.
pub(super) fn of_run(input: &Input<'_>) -> Vec<LogRun> {
    let Some(plan) = input.facts.plan else { return Vec::new() };
    let lines: usize = plan.logs.iter().map(|log| log.on.len().min(MOST_LINES)).sum::<usize>().max(1);
    let lane = |(place, log): (usize, &Log)| of_log(input, plan, log, place, lines);
    plan.logs.iter().enumerate().map(lane).collect()
}

/// Draws the panel of the log with the index `place`. `lines` is the number of lines of all panels, which share the bytes of the page.
fn of_log(input: &Input<'_>, plan: &Plan, log: &Log, place: usize, lines: usize) -> LogRun {
    let end_us = input.facts.last_us.max(1);
    // The number of steps of a line: at least 20, and at most `max`.
    let steps = |bytes: usize, each: usize, max: usize| (bytes / each / lines).clamp(20, max);
    let read = |host: &str, most: usize| {
        let all = input.facts.logs.get(&(log.spec.name.as_str(), host));
        Rates::of(Steps::new(0, end_us, most), all.into_iter().flatten().map(|(_, one)| *one))
    };
    let values = groups(input, &log.on, |host| read(host, steps(VALUES, VALUE_BYTES, usize::MAX)));
    let drawn: BTreeMap<&str, Rates> =
        log.on.iter().map(|host| (host.as_str(), read(host, steps(DRAWN, STEP_BYTES, COLUMNS)))).collect();
    // The groups of hosts are those of the values: the values have more steps, so more hosts can differ.
    let lane = Lane {
        id: format!("log-run-{place}"),
        title: format!("log {}: the whole run", log.spec.name),
        span: Span { from_us: 0, until_us: end_us, zero_us: 0 },
        place,
        lines: values
            .iter()
            .filter_map(|(line, hosts)| {
                let all: Vec<&Rates> = hosts.iter().filter_map(|host| drawn.get(host)).collect();
                Some(RateLine { rates: Rates::widest(&all)?, ..line.clone() })
            })
            .collect(),
        bands: attack_bands(&input.card),
        bound: bound(plan, log),
    };
    LogRun {
        caption: caption(plan, log),
        svg: lane.svg(),
        values: LogValues::of(&log.spec.name, values.iter().map(|(line, _)| line)),
    }
}

/// Returns a line for each group of hosts with the same rates, and the hosts of the group. If there are more groups than [`MOST_LINES`], those
/// with the highest rates keep a line each, and all others share the last line.
fn groups<'h>(
    input: &Input<'_>,
    hosts: &'h [String],
    read: impl Fn(&str) -> Rates,
) -> Vec<(RateLine, Vec<&'h str>)> {
    let all: Vec<(&str, Rates)> = hosts.iter().map(|host| (host.as_str(), read(host))).collect();
    let mut groups = together(&all, rates_of);
    if groups.len() > MOST_LINES {
        let unread = |rates: &Rates| rates.gaps.iter().map(|gap| gap.until_us - gap.from_us).sum::<i64>();
        groups.sort_by_cached_key(|group| {
            let (_, rates) = group[0];
            (std::cmp::Reverse(rates.highest().to_bits()), std::cmp::Reverse(unread(rates)))
        });
        let others = groups.split_off(MOST_LINES - 1);
        groups.push(others.into_iter().flatten().collect());
    }
    // The last line may then be the shared one.
    let many = groups.len() == MOST_LINES;
    let line = |(place, group): (usize, Vec<&(&'h str, Rates)>)| {
        let hosts: Vec<&str> = group.iter().map(|(host, _)| *host).collect();
        let all: Vec<&Rates> = group.iter().map(|(_, rates)| rates).collect();
        let are_equal = all.windows(2).all(|pair| pair[0] == pair[1]);
        let name = match hosts.len() {
            1 => hosts[0].to_owned(),
            more if many && place + 1 == MOST_LINES && !are_equal => format!("all of {more} others"),
            _ => alike(&hosts),
        };
        let rates = Rates::widest(&all)?;
        let places = input.drawn.names.refer(hosts.iter().copied());
        Some((RateLine { name, hosts: places, rates }, hosts))
    };
    groups.into_iter().enumerate().filter_map(line).collect()
}

/// Returns the rates of a pair of host and rates.
fn rates_of<'r>(pair: &&'r (&str, Rates)) -> &'r Rates {
    &pair.1
}

/// Returns the strictest wanted rate of a log, in lines a second, with its label; `None` if no objective limits the rate.
fn bound(plan: &Plan, log: &Log) -> Option<(f64, String)> {
    let of_log = plan.log_objectives.iter().filter(|one| one.log == log.spec.name);
    let rates = of_log.filter_map(|one| match one.goal {
        LogGoal::RateBelow(rate) => Some((rate.a_second(), format!("goal: below {rate} on each host"))),
        LogGoal::CountBelow(_) => None,
    });
    rates.min_by(|(left, _), (right, _)| left.total_cmp(right))
}

/// Describes a log with its hosts and the goals of its objectives.
fn caption(plan: &Plan, log: &Log) -> String {
    let of_log = plan.log_objectives.iter().filter(|one| one.log == log.spec.name);
    let goals: Vec<String> = of_log.map(|one| format!("“{}” wants {}", one.name, one.goal.words())).collect();
    let goals = if goals.is_empty() { String::new() } else { format!("; {}", format::list(&goals)) };
    format!("log {}: lines with “{}” on {}{goals}", log.spec.name, log.spec.matches, names(&log.on))
}
