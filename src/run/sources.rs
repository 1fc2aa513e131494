//! Asks sources: whether each answers, before any harm, and then each metric and each alert again and again, by a task of its own. What is
//! listened for is heard from before any harm until the run's end.

mod alert;
mod ears;
mod poll;
mod seen;

use std::time::Duration;

use firedrill_sources::Asker;
use futures_util::future::join_all;

pub(crate) use self::alert::asked;
use self::{alert::Watch, poll::Poll};
pub(super) use self::{ears::Ears, seen::Seen};
use super::{facts::Facts, input::Input, tasks::Tasks};
use crate::plan::{
    Plan,
    model::{Metric, Source},
};

/// Time between two questions for a metric before any harm.
const BETWEEN: Duration = Duration::from_secs(1);

/// Makes the questions of a plan.
fn polls(facts: &Facts, ears: &Ears) -> Result<Vec<Poll>, String> {
    let plan: &Plan = &facts.plan;
    let metrics = plan.metrics.iter().map(|metric| {
        let source = plan.source_of(metric);
        let asker = match source.and_then(|source| ears.hearing(source)) {
            Some(asker) => asker,
            None => asker(source, &metric.name, &metric.source)?,
        };
        Ok(Poll::new(metric.clone(), asker, facts.clock))
    });
    metrics.collect()
}

/// Makes the questions about alerts of a plan.
fn watches(facts: &Facts) -> Result<Vec<Watch>, String> {
    let plan: &Plan = &facts.plan;
    let alerts = plan.watched().into_iter().map(|(alert, every)| {
        let source = plan.sources.iter().find(|source| source.name == alert.source);
        Ok(Watch::new(alert, every.0, asker(source, &alert.name, &alert.source)?, facts.clock))
    });
    alerts.collect()
}

fn asker(source: Option<&Source>, objective: &str, name: &str) -> Result<Asker, String> {
    let source = source.ok_or_else(|| format!("{objective}: the plan has no source `{name}`"))?;
    Asker::new(&source.kind, source.timeout.0, &source.names)
        .map_err(|all| all.first().map_or_else(String::new, |one| format!("source {}: {one}", source.name)))
}

/// Asks every source for every metric and every alert. The error names each objective that cannot be measured; then no attack runs.
pub(super) async fn answer(facts: &Facts, ears: &Ears) -> Result<(), String> {
    let metrics = join_all(polls(facts, ears)?.into_iter().map(first));
    let watches = watches(facts)?;
    let alerts = join_all(watches.iter().map(Watch::trial));
    let (metrics, alerts) = tokio::join!(metrics, alerts);
    let failed: Vec<String> = metrics.into_iter().chain(alerts).flatten().collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Asks for a metric until there is a value. Returns the reason why there is none.
async fn first(mut poll: Poll) -> Option<String> {
    let end = tokio::time::Instant::now() + poll.patience();
    let mut why = poll.trial().await?;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(BETWEEN).await;
        why = poll.trial().await?;
    }
    let Metric { name, source, .. } = poll.metric();
    Some(format!("objective {name} cannot be measured: source {source}: {why}"))
}

/// Begins to ask for every metric and every alert.
///
/// # Errors
/// A source cannot be asked; the error names it.
pub(super) fn start(facts: &Facts, tasks: &Tasks, ears: &Ears) -> Result<(), String> {
    ears.tell(tasks);
    for mut poll in polls(facts, ears)? {
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
