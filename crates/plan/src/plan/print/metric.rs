//! Prints the objectives of metrics and alerts, and the sources: where each is asked, and how often.

use std::fmt::Write as _;

use tabled::builder::Builder;

use super::table::{finish, word};
use crate::plan::model::{Alert, Metric, Plan, Source};

/// Writes the objectives that sources measure, those of alerts, and the sources.
pub(super) fn write(out: &mut String, plan: &Plan, width: usize) -> std::fmt::Result {
    if plan.metrics.is_empty() && plan.alerts.is_empty() {
        return Ok(());
    }
    metrics(out, plan, width)?;
    alerts(out, plan, width)?;
    let mut table = Builder::default();
    table.push_record(["source", "kind", "asked at", "time-out", "questions"]);
    for source in &plan.sources {
        let (timeout, questions) = match source.kind.listens() {
            Some(_) => (String::new(), "none: it listens".to_owned()),
            None => (source.timeout.to_string(), format!("{} a minute", a_minute(plan, source))),
        };
        table.push_record([
            source.name.clone(),
            source.kind.name().to_owned(),
            source.kind.place(),
            timeout,
            questions,
        ]);
    }
    writeln!(out, "\nSources")?;
    writeln!(out, "{}", finish(table, width))
}

fn metrics(out: &mut String, plan: &Plan, width: usize) -> std::fmt::Result {
    if plan.metrics.is_empty() {
        return Ok(());
    }
    let mut table = Builder::default();
    table.push_record(["metric objective", "asks", "goal", "during", "every", "lag", "stale after"]);
    for metric in &plan.metrics {
        let Metric { name, source, asks, goal: _, every, lag, stale_after, window, unit: _, during } = metric;
        table.push_record([
            name.clone(),
            if window.is_zero() {
                format!("{source}: {}", asks.words())
            } else {
                format!("{source}: {} (each about {window})", asks.words())
            },
            metric.wanted(),
            during.iter().map(|phase| word(*phase)).collect::<Vec<_>>().join(", "),
            every.to_string(),
            lag.to_string(),
            stale_after.to_string(),
        ]);
    }
    writeln!(out, "\nMetrics")?;
    writeln!(out, "{}", finish(table, width))
}

fn alerts(out: &mut String, plan: &Plan, width: usize) -> std::fmt::Result {
    if plan.alerts.is_empty() {
        return Ok(());
    }
    let mut table = Builder::default();
    table.push_record(["alert objective", "alert", "goal", "every"]);
    for Alert { name, source, query, goal, every } in &plan.alerts {
        table.push_record([
            name.clone(),
            format!("{source}: {}", query.words()),
            goal.words(),
            every.to_string(),
        ]);
    }
    writeln!(out, "\nAlerts")?;
    writeln!(out, "{}", finish(table, width))
}

/// Returns the number of questions a minute to a source.
fn a_minute(plan: &Plan, source: &Source) -> String {
    let asked = plan.metrics.iter().filter(|metric| metric.source == source.name);
    let all: f64 = asked
        .map(|metric| {
            let queries = metric.asks.queries();
            let ages = source.kind.metrics().and_then(|metrics| metrics.behind_query(&queries));
            (queries.len() + usize::from(ages.is_some())) as f64 * 60.0
                / metric.every.as_secs_f64().max(0.001)
        })
        .sum();
    let watched = plan.watched().into_iter().filter(|(alert, _)| alert.source == source.name);
    let alerts: f64 = watched.map(|(_, every)| 60.0 / every.as_secs_f64().max(0.001)).sum();
    format!("{:.0}", all + alerts)
}

/// Returns the sources that are asked, with the number of questions, and those that are listened for, as a part of the summary.
/// Empty without sources.
pub(super) fn summary(plan: &Plan) -> String {
    let (mut asks, mut listens) = (Vec::new(), Vec::new());
    for source in &plan.sources {
        let Some(probe) = source.kind.probe() else {
            listens.push(format!("{} at {}", source.name, source.kind.place()));
            continue;
        };
        let to = probe.about().reach.to;
        let host = to.map_or_else(String::new, |(host, port)| format!(" at {host}:{port}"));
        asks.push(format!("{}{host} {} times a minute", source.name, a_minute(plan, source)));
    }
    let part = |verb: &str, sources: &[String]| match sources {
        [] => String::new(),
        sources => format!("; {verb} {}", sources.join(", ")),
    };
    format!("{}{}", part("asks", &asks), part("listens for", &listens))
}
