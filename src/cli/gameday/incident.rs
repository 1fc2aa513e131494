//! Asks whether an incident is running: for the alerts of `skip_if`, before a game day touches anything. An alert counts whether or not
//! people are told of it, and a source that cannot be asked is no proof that nothing is wrong.

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
    run::asked,
};

/// Number of alerts that the reason names.
const NAMED: usize = 3;
/// Number of alerts that the record has. A record that is too large cannot be read.
pub(super) const RECORDED: usize = 500;

/// The answers of the sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    /// The alerts that fire.
    pub(super) firing: Vec<Firing>,
    /// The sources that could not be asked, each with the reason.
    pub(super) unasked: Vec<String>,
}

/// Asks for all alerts at once. The fleet tells the addresses of names that it knows.
pub(super) fn ask(gameday: &Gameday, fleet: &FleetSource, runtime: &Runtime) -> Answers {
    if gameday.skip_if.is_empty() {
        return Answers::default();
    }
    // The scenarios were planned with this fleet, so its errors are known.
    let fleet = Fleet::load(fleet, &mut Sink::default());
    let all = runtime.block_on(join_all(gameday.skip_if.iter().map(|one| of(one, fleet.as_ref()))));
    let (mut answers, mut known) = (Answers::default(), HashSet::new());
    for (incident, answer) in gameday.skip_if.iter().zip(all) {
        match answer {
            Ok(seen) => answers.add(incident, seen, &mut known),
            Err(why) => {
                let told = format!("source {}: {why}", incident.source);
                if !answers.unasked.contains(&told) {
                    answers.unasked.push(told);
                }
            }
        }
    }
    answers
}

async fn of(incident: &Incident, fleet: Option<&Fleet>) -> Result<Vec<AlertSeen>, String> {
    let request = incident.kind.probe();
    let names = request.zip(fleet).map(|(request, fleet)| fleet_addresses(&request, fleet));
    let asker = Asker::new(&incident.kind, incident.timeout.0, &names.unwrap_or_default())
        .map_err(|all| all.first().map_or_else(|| "it cannot be asked".to_owned(), ToString::to_string))?;
    asked(&asker, &incident.query).await
}

impl Answers {
    fn add(&mut self, incident: &Incident, seen: Vec<AlertSeen>, known: &mut HashSet<Firing>) {
        for AlertSeen { what, since_us, hushed, .. } in seen {
            let since = since_us.and_then(|us| Timestamp::from_microsecond(us).ok());
            let one = Firing {
                source: incident.source.clone(),
                alert: what,
                since: since.map(|since| format!("{since:.0}")),
                hushed,
            };
            if known.insert(one.clone()) {
                self.firing.push(one);
            }
        }
    }

    /// Returns the reason why the game day is not held; `None` if no incident is running, or nobody knows and the person starts it all the
    /// same.
    pub(super) fn refuses(&self, despite_unknown: bool) -> Option<(Reason, String)> {
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
    fn an_incident_counts_before_a_source_that_is_silent_and_no_flag_hides_it() {
        let silent = Answers { unasked: vec!["source am: no answer".to_owned()], ..Answers::default() };
        assert_eq!(Answers::default().refuses(false), None);
        let why = "nobody knows whether an incident is running: source am: no answer".to_owned();
        assert_eq!(silent.refuses(false), Some((Reason::Unasked, why)));
        assert_eq!(silent.refuses(true), None);
        let running = Answers { firing: vec![firing("Down")], ..silent };
        for despite in [true, false] {
            let (reason, why) = running.refuses(despite).unwrap();
            assert_eq!(reason, Reason::Incident);
            assert_eq!(why, "an incident is running: Down, the source does not say since when (source am)");
        }
        let many = Answers { firing: ["a", "b", "c", "d", "e"].map(firing).into(), ..Answers::default() };
        assert!(
            many.refuses(false)
                .unwrap()
                .1
                .ends_with("c, the source does not say since when (source am); and 2 more")
        );
    }
}
