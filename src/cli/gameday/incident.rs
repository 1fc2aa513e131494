//! Asks the sources of a game day's `skip_if` whether an incident is running, before the game day touches anything. An alert counts
//! even if it is silenced. A source that does not answer never counts as "no incident".

use std::collections::HashSet;

use firedrill_gameday::{
    Gameday, Incident,
    record::{Firing, Reason},
};
use firedrill_sources::{AlertSeen, Asker};
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::{
    diagnostic::Sink,
    fleet::{Fleet, FleetSource},
    plan::fleet_addresses,
    run::firing_alerts,
};

/// Maximum number of alerts that the reason names.
const NAMED: usize = 3;
/// Maximum number of alerts in the record, because a record that is too large cannot be read.
pub(super) const RECORDED: usize = 500;

/// The answers of the sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// The alerts that fire.
    pub(super) firing: Vec<Firing>,
    /// One text for each source that gave no answer, with the reason.
    pub(super) unasked: Vec<String>,
}

/// Asks all sources at the same time. Names of hosts in their addresses are looked up in the fleet first.
pub(super) fn ask(gameday: &Gameday, fleet: &FleetSource, runtime: &Runtime) -> Answers {
    if gameday.skip_if.is_empty() {
        return Answers::default();
    }
    // Errors of the fleet are not shown here: planning the scenarios has shown them already.
    let fleet = Fleet::load(fleet, &mut Sink::default());
    let asking = gameday.skip_if.iter().map(|incident| ask_one(incident, fleet.as_ref()));
    let given = runtime.block_on(join_all(asking));
    let (mut answers, mut known) = (Answers::default(), HashSet::new());
    for (incident, answer) in gameday.skip_if.iter().zip(given) {
        match answer {
            Ok(seen) => answers.add(incident, seen, &mut known),
            Err(why) => {
                let unasked = format!("source {}: {why}", incident.source);
                if !answers.unasked.contains(&unasked) {
                    answers.unasked.push(unasked);
                }
            }
        }
    }
    answers
}

/// Returns the alerts of one entry of `skip_if` that fire. The error is the reason why the source gave no answer.
async fn ask_one(incident: &Incident, fleet: Option<&Fleet>) -> Result<Vec<AlertSeen>, String> {
    let request = incident.kind.probe();
    let names = request.zip(fleet).map(|(request, fleet)| fleet_addresses(&request, fleet));
    let asker =
        Asker::new(&incident.kind, incident.timeout.0, &names.unwrap_or_default()).map_err(|errors| {
            errors.first().map_or_else(|| "it cannot be asked".to_owned(), ToString::to_string)
        })?;
    firing_alerts(&asker, &incident.query).await
}

impl Answers {
    /// Adds the alerts of a source that fire, each alert once: several entries of `skip_if` may match the same alert. `known` has the alerts
    /// that were added so far.
    fn add(&mut self, incident: &Incident, seen: Vec<AlertSeen>, known: &mut HashSet<Firing>) {
        for AlertSeen { what, since_us, hushed, .. } in seen {
            let since = since_us.and_then(|us| Timestamp::from_microsecond(us).ok());
            let firing = Firing {
                source: incident.source.clone(),
                alert: what,
                since: since.map(|since| format!("{since:.0}")),
                hushed,
            };
            if known.insert(firing.clone()) {
                self.firing.push(firing);
            }
        }
    }

    /// Returns the reason why the game day is not held: an alert fires, or a source gave no answer. `None` if it may be held. With
    /// `despite_unknown` a source without an answer is no reason.
    pub(super) fn refusal(&self, despite_unknown: bool) -> Option<(Reason, String)> {
        if !self.firing.is_empty() {
            let words: Vec<String> = self.firing.iter().take(NAMED).map(Firing::words).collect();
            let more = match self.firing.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            return Some((Reason::Incident, format!("an incident is running: {}{more}", words.join("; "))));
        }
        if self.unasked.is_empty() || despite_unknown {
            return None;
        }
        let why = format!("nobody knows whether an incident is running: {}", self.unasked.join("; "));
        Some((Reason::Unasked, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(alert: &str) -> Firing {
        Firing { source: "am".to_owned(), alert: alert.to_owned(), since: None, hushed: None }
    }

    #[test]
    fn an_alert_that_fires_comes_before_a_silent_source_and_cannot_be_overridden() {
        let silent = Answers { unasked: vec!["source am: no answer".to_owned()], ..Answers::default() };
        assert_eq!(Answers::default().refusal(false), None);
        let why = "nobody knows whether an incident is running: source am: no answer".to_owned();
        assert_eq!(silent.refusal(false), Some((Reason::Unasked, why)));
        assert_eq!(silent.refusal(true), None);
        let running = Answers { firing: vec![firing("Down")], ..silent };
        for despite in [true, false] {
            let (reason, why) = running.refusal(despite).unwrap();
            assert_eq!(reason, Reason::Incident);
            assert_eq!(why, "an incident is running: Down, the source does not say since when (source am)");
        }
        let many = Answers { firing: ["a", "b", "c", "d", "e"].map(firing).into(), ..Answers::default() };
        assert!(
            many.refusal(false)
                .unwrap()
                .1
                .ends_with("c, the source does not say since when (source am); and 2 more")
        );
    }
}
