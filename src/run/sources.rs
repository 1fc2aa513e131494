//! Asks sources: whether each answers, before any harm, and then each metric again and again, by a task of its own.

mod poll;
mod seen;

use std::time::Duration;

use firedrill_sources::Asker;
use futures_util::future::join_all;

use self::poll::Poll;
pub(super) use self::seen::Seen;
use super::{facts::Facts, input::Input, tasks::Tasks};
use crate::plan::{Plan, model::Metric};

/// Times that a source is asked before any harm, until it has an answer with a value.
const TRIES: usize = 4;
/// Time between two of these.
const BETWEEN: Duration = Duration::from_secs(1);

/// Makes the questions of a plan.
fn polls(facts: &Facts) -> Result<Vec<Poll>, String> {
    let plan: &Plan = &facts.plan;
    let asker = |metric: &Metric| {
        let source = plan
            .source_of(metric)
            .ok_or_else(|| format!("{}: the plan has no source `{}`", metric.name, metric.source))?;
        Asker::new(&source.kind, source.timeout.0, &source.names).map_err(|all| {
            all.first().map_or_else(String::new, |one| format!("source {}: {one}", source.name))
        })
    };
    plan.metrics.iter().map(|metric| Ok(Poll::new(metric.clone(), asker(metric)?, facts.clock))).collect()
}

/// Asks every source for every metric. The error is what cannot be measured; then no attack runs.
pub(super) async fn answer(facts: &Facts) -> Result<(), String> {
    let polls = polls(facts)?;
    let failed: Vec<String> = join_all(polls.into_iter().map(first)).await.into_iter().flatten().collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Asks until there is a value. Returns the reason why there is none.
async fn first(mut poll: Poll) -> Option<String> {
    let mut why = None;
    for again in 0..TRIES {
        if again > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        why = poll.trial().await;
        if why.is_none() {
            return None;
        }
    }
    why.map(|why| {
        let Metric { name, source, .. } = poll.metric();
        format!("objective {name} cannot be measured: source {source}: {why}")
    })
}

/// Begins to ask for every metric.
///
/// # Errors
/// What cannot be asked.
pub(super) fn start(facts: &Facts, tasks: &Tasks) -> Result<(), String> {
    for mut poll in polls(facts)? {
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
    Ok(())
}
