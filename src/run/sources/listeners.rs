//! The listeners of a run, for sources that send their data to the coordinator. They listen from before any fault until the run's end,
//! and the log gets a note when data was lost. They never ask a source for anything.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use firedrill_sources::{Asker, Counts, Listener};

use super::super::{facts::Facts, input::Input, tasks::Tasks};
use crate::{log::Event, plan::model::Source};

/// Minimum time between two notes on one source.
const BETWEEN: Duration = Duration::from_secs(10);
/// Time between two looks at the counts of lost data.
const LOOK: Duration = Duration::from_secs(1);

/// The listeners, by the names of their sources. Dropping the value ends them.
pub(in crate::run) struct Listeners(BTreeMap<String, Arc<Listener>>);

impl Listeners {
    /// Begins to listen for every source that sends its data and that a metric of the plan uses.
    ///
    /// # Errors
    /// The port of a source cannot be opened. Then no attack runs.
    pub(in crate::run) fn open(facts: &Facts) -> Result<Self, String> {
        let mut listeners = BTreeMap::new();
        for source in &facts.plan.sources {
            let asked = facts.plan.metrics.iter().filter(|metric| metric.source == source.name);
            let queries: Vec<&str> = asked.flat_map(|metric| metric.asks.queries()).collect();
            let Some(listens) = source.kind.listens().filter(|_| !queries.is_empty()) else { continue };
            let listener = listens
                .open(&queries)
                .map_err(|why| format!("source {} cannot be heard: {why}", source.name))?;
            listeners.insert(source.name.clone(), Arc::new(listener));
        }
        Ok(Self(listeners))
    }

    /// Returns the client that reads the received data of a source; `None` if the source has no listener.
    pub(super) fn asker(&self, source: &Source) -> Option<Asker> {
        self.0.get(&source.name).map(|listener| Asker::hearing(&source.kind, Arc::clone(listener)))
    }

    /// Starts one task per source that writes a note to the log when data of the source was lost.
    pub(super) fn note_losses(&self, tasks: &Tasks) {
        for (name, listener) in &self.0 {
            let (name, listener, mail) = (name.clone(), Arc::clone(listener), tasks.clone());
            tasks.spawn(async move {
                let mut noted = Counts::default();
                loop {
                    let now = listener.counts();
                    let wait = match losses(&now, &noted) {
                        None => LOOK,
                        Some(text) => {
                            let text = format!("source {name}: {text}");
                            if !mail.send(Input::Exchanged(Box::new(Event::Note { text }))) {
                                return;
                            }
                            noted = now;
                            BETWEEN
                        }
                    };
                    tokio::time::sleep(wait).await;
                }
            });
        }
    }
}

/// Describes the data that was lost, for people. `None` if no count has grown since the counts `noted`.
fn losses(now: &Counts, noted: &Counts) -> Option<String> {
    let mut parts = Vec::new();
    let first = now.first_malformed.as_deref().unwrap_or_default();
    for (count, before, text) in [
        (
            now.dropped,
            noted.dropped,
            "packets were dropped by the kernel, because they came faster than they were read".to_owned(),
        ),
        (now.malformed, noted.malformed, format!("lines could not be read, the first is `{first}`")),
        (now.skipped, noted.skipped, "events and service checks of DogStatsD were skipped".to_owned()),
        (now.not_forwarded, noted.not_forwarded, "packets could not be passed on (`forward`)".to_owned()),
    ] {
        if count > before {
            parts.push(format!("{count} {text}"));
        }
    }
    (!parts.is_empty()).then(|| format!("{} (of {} packets so far)", parts.join("; "), now.packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_data_is_noted_once_for_each_change_of_the_counts() {
        let none = Counts { packets: 9, ..Counts::default() };
        assert_eq!(losses(&none, &Counts::default()), None);
        let first_malformed = Some("x:five|c".to_owned());
        let some = Counts { packets: 90, malformed: 2, dropped: 7, first_malformed, ..Counts::default() };
        assert_eq!(
            losses(&some, &none).as_deref(),
            Some(
                "7 packets were dropped by the kernel, because they came faster than they were read; 2 lines could not be read, the \
                 first is `x:five|c` (of 90 packets so far)"
            )
        );
        assert_eq!(losses(&some, &some), None);
    }
}
