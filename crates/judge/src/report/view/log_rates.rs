//! The lanes of logs on the run's axis of time, a lane for each log: the rates of matching lines.

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

/// Typical size of a value in the page, and the maximum size of all of them, in bytes.
const VALUE_BYTES: usize = 5;
const VALUES: usize = 200_000;
/// Typical size of a step that is drawn, and the maximum size of all of them, in bytes.
const STEP_BYTES: usize = 12;
const DRAWN: usize = 150_000;

/// The lane of one log.
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

fn of_log(input: &Input<'_>, plan: &Plan, log: &Log, place: usize, lines: usize) -> LogRun {
    let end_us = input.facts.last_us.max(1);
    let most = |bytes: usize, each: usize, most: usize| (bytes / each / lines).clamp(20, most);
    let read = |host: &str, most: usize| {
        let all = input.facts.logs.get(&(log.spec.name.as_str(), host));
        Rates::of(Steps::new(0, end_us, most), all.into_iter().flatten().map(|(_, one)| *one))
    };
    let values = groups(input, &log.on, |host| read(host, most(VALUES, VALUE_BYTES, usize::MAX)));
    let drawn: BTreeMap<&str, Rates> =
        log.on.iter().map(|host| (host.as_str(), read(host, most(DRAWN, STEP_BYTES, COLUMNS)))).collect();
    // Hosts are grouped as in the values, which have more steps and so tell more hosts apart.
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

/// Returns a line for each group of hosts of which the same was read; of many, those with the highest rates have lines of their own.
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
    let many = groups.len() == MOST_LINES;
    let line = |(place, group): (usize, Vec<&(&'h str, Rates)>)| {
        let hosts: Vec<&str> = group.iter().map(|(host, _)| *host).collect();
        let all: Vec<&Rates> = group.iter().map(|(_, rates)| rates).collect();
        let same = all.windows(2).all(|pair| pair[0] == pair[1]);
        let name = match hosts.len() {
            1 => hosts[0].to_owned(),
            more if many && place + 1 == MOST_LINES && !same => format!("all of {more} others"),
            _ => alike(&hosts),
        };
        let rates = Rates::widest(&all)?;
        let places = input.drawn.names.refer(hosts.iter().copied());
        Some((RateLine { name, hosts: places, rates }, hosts))
    };
    groups.into_iter().enumerate().filter_map(line).collect()
}

fn rates_of<'r>(one: &&'r (&str, Rates)) -> &'r Rates {
    &one.1
}

fn bound(plan: &Plan, log: &Log) -> Option<(f64, String)> {
    let own = plan.log_objectives.iter().filter(|one| one.log == log.spec.name);
    let rates = own.filter_map(|one| match one.goal {
        LogGoal::RateBelow(rate) => Some((rate.a_second(), format!("goal: below {rate} on each host"))),
        LogGoal::CountBelow(_) => None,
    });
    rates.min_by(|one, other| one.0.total_cmp(&other.0))
}

fn caption(plan: &Plan, log: &Log) -> String {
    let own = plan.log_objectives.iter().filter(|one| one.log == log.spec.name);
    let goals: Vec<String> = own.map(|one| format!("“{}” wants {}", one.name, one.goal.words())).collect();
    let goals = if goals.is_empty() { String::new() } else { format!("; {}", format::list(&goals)) };
    format!("log {}: lines with “{}” on {}{goals}", log.spec.name, log.spec.matches, names(&log.on))
}
