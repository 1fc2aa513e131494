//! The listeners of a run: they hear from before any harm until the run's end, and say what they could not use.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use firedrill_sources::{Asker, Counts, Listener};

use super::super::{facts::Facts, input::Input, tasks::Tasks};
use crate::{log::Event, plan::model::Source};

/// The shortest time between two notes on one source.
const BETWEEN: Duration = Duration::from_secs(10);
/// Time between two looks at what arrived.
const LOOK: Duration = Duration::from_secs(1);

/// The listeners, by the names of their sources. They end when this is dropped.
pub(in crate::run) struct Ears(BTreeMap<String, Arc<Listener>>);

impl Ears {
    /// Begins to listen for every source that is listened for.
    ///
    /// # Errors
    /// A source cannot be listened to. Then no attack runs.
    pub(in crate::run) fn open(facts: &Facts) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for source in &facts.plan.sources {
            let asked = facts.plan.metrics.iter().filter(|metric| metric.source == source.name);
            let queries: Vec<&str> = asked.flat_map(|metric| metric.asks.queries()).collect();
            let Some(listens) = source.kind.listens().filter(|_| !queries.is_empty()) else { continue };
            let listener = listens
                .open(&queries)
                .map_err(|why| format!("source {} cannot be heard: {why}", source.name))?;
            all.insert(source.name.clone(), Arc::new(listener));
        }
        Ok(Self(all))
    }

    /// Returns the way to what was heard of a source; `None` if nobody listens for it.
    pub(super) fn hearing(&self, source: &Source) -> Option<Asker> {
        self.0.get(&source.name).map(|listener| Asker::hearing(&source.kind, Arc::clone(listener)))
    }

    /// Begins to note what could not be used.
    pub(super) fn tell(&self, tasks: &Tasks) {
        for (name, listener) in &self.0 {
            let (name, listener, mail) = (name.clone(), Arc::clone(listener), tasks.clone());
            tasks.spawn(async move {
                let mut told = Counts::default();
                loop {
                    let now = listener.counts();
                    let wait = match lost(&now, &told) {
                        None => LOOK,
                        Some(text) => {
                            let text = format!("source {name}: {text}");
                            if !mail.send(Input::Exchanged(Box::new(Event::Note { text }))) {
                                return;
                            }
                            told = now;
                            BETWEEN
                        }
                    };
                    tokio::time::sleep(wait).await;
                }
            });
        }
    }
}

/// Returns what could not be used, in words, if that is more than was told.
fn lost(now: &Counts, told: &Counts) -> Option<String> {
    let mut all = Vec::new();
    let first = now.first_malformed.as_deref().unwrap_or_default();
    for (count, before, what) in [
        (
            now.dropped,
            told.dropped,
            "packets were dropped by the kernel, because they came faster than they were read".to_owned(),
        ),
        (now.malformed, told.malformed, format!("lines could not be read, the first is `{first}`")),
        (now.skipped, told.skipped, "events and service checks of DogStatsD were skipped".to_owned()),
        (now.not_forwarded, told.not_forwarded, "packets could not be passed on (`forward`)".to_owned()),
    ] {
        if count > before {
            all.push(format!("{count} {what}"));
        }
    }
    (!all.is_empty()).then(|| format!("{} (of {} packets so far)", all.join("; "), now.packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_used_is_told_once_for_each_change() {
        let none = Counts { packets: 9, ..Counts::default() };
        assert_eq!(lost(&none, &Counts::default()), None);
        let first_malformed = Some("x:five|c".to_owned());
        let some = Counts { packets: 90, malformed: 2, dropped: 7, first_malformed, ..Counts::default() };
        assert_eq!(
            lost(&some, &none).as_deref(),
            Some(
                "7 packets were dropped by the kernel, because they came faster than they were read; 2 lines could not be read, the \
                 first is `x:five|c` (of 90 packets so far)"
            )
        );
        assert_eq!(lost(&some, &some), None);
    }
}
