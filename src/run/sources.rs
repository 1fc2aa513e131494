//! Reads the metrics and alerts of a plan's sources. Before any fault, each source is asked once as a trial. During the run, one task
//! per metric and one per alert asks again and again. Sources that send their data (such as StatsD) are listened to from before any
//! fault until the run's end. This module never judges a value.

mod alert;
mod listeners;
mod poll;
mod seen;

use std::time::Duration;

use firedrill_sources::Asker;
use futures_util::future::join_all;

pub(crate) use self::alert::firing_alerts;
use self::{alert::Watch, poll::Poll};
pub(super) use self::{listeners::Listeners, seen::Seen};
use super::{facts::Facts, input::Input, tasks::Tasks};
use crate::plan::{
    Plan,
    model::{Metric, Source},
};

/// Time between two questions for a metric before any fault.
const BETWEEN: Duration = Duration::from_secs(1);

/// Makes a poll for each metric of the plan.
///
/// # Errors
/// The plan has no such source, or the source cannot be used; the error names the metric or the source.
fn polls(facts: &Facts, listeners: &Listeners) -> Result<Vec<Poll>, String> {
    let plan: &Plan = &facts.plan;
    let metrics = plan.metrics.iter().map(|metric| {
        let source = plan.source_of(metric);
        let asker = match source.and_then(|source| listeners.asker(source)) {
            Some(asker) => asker,
            None => asker(source, &metric.name, &metric.source)?,
        };
        Ok(Poll::new(metric.clone(), asker, facts.clock))
    });
    metrics.collect()
}

/// Makes a watch for each alert of the plan.
///
/// # Errors
/// As for [`polls`].
fn watches(facts: &Facts) -> Result<Vec<Watch>, String> {
    let plan: &Plan = &facts.plan;
    let alerts = plan.watched().into_iter().map(|(alert, every)| {
        let source = plan.sources.iter().find(|source| source.name == alert.source);
        Ok(Watch::new(alert, every.0, asker(source, &alert.name, &alert.source)?, facts.clock))
    });
    alerts.collect()
}

/// Makes the client that asks a source. `name` is the source's name in the plan, for the error if there is no such source.
fn asker(source: Option<&Source>, objective: &str, name: &str) -> Result<Asker, String> {
    let source = source.ok_or_else(|| format!("{objective}: the plan has no source `{name}`"))?;
    Asker::new(&source.kind, source.timeout.0, &source.names).map_err(|errors| {
        errors.first().map_or_else(String::new, |first| format!("source {}: {first}", source.name))
    })
}

/// Asks once for every metric and every alert, before any fault.
///
/// # Errors
/// Some objectives cannot be measured; the error names each. Then no attack runs.
pub(super) async fn answer(facts: &Facts, listeners: &Listeners) -> Result<(), String> {
    let metrics = join_all(polls(facts, listeners)?.into_iter().map(wait_for_value));
    let watches = watches(facts)?;
    let alerts = join_all(watches.iter().map(Watch::trial));
    let (metrics, alerts) = tokio::join!(metrics, alerts);
    let failed: Vec<String> = metrics.into_iter().chain(alerts).flatten().collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Asks for a metric until there is a value. Returns the reason why there is no value in time; `None` if there is one.
async fn wait_for_value(mut poll: Poll) -> Option<String> {
    let end = tokio::time::Instant::now() + poll.patience();
    let mut why = poll.trial().await?;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(BETWEEN).await;
        why = poll.trial().await?;
    }
    let Metric { name, source, .. } = poll.metric();
    Some(format!("objective {name} cannot be measured: source {source}: {why}"))
}

/// Starts the tasks that ask for every metric and every alert until the run's end.
///
/// # Errors
/// A source cannot be asked; the error names it.
pub(super) fn start(facts: &Facts, tasks: &Tasks, listeners: &Listeners) -> Result<(), String> {
    listeners.note_losses(tasks);
    for mut poll in polls(facts, listeners)? {
        let mail = tasks.clone();
        tasks.spawn(async move {
            loop {
                if let Some(event) = poll.once().await
                    && !mail.send(Input::Sampled(Box::new(event)))
                {
                    return;
                }
                tokio::time::sleep(poll.until_next()).await;
            }
        });
    }
    for watch in watches(facts)? {
        let mail = tasks.clone();
        tasks.spawn(watch.watch(move |event| mail.send(Input::AlertSeen(Box::new(event)))));
    }
    Ok(())
}
