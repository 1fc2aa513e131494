//! Asks a source again and again whether one alert fires, and makes a record of each answer. Never judges the alert.

use std::time::Duration;

use firedrill_sources::{AlertQuery, AlertSeen, Asker, clock::Clock};

use super::super::clock::RunClock;
use crate::{
    log::{Event, SourceClock},
    plan::model::Alert,
};

/// Maximum number of questions for an alert before any fault.
const TRIES: usize = 4;
/// Time between two questions before any fault.
const BETWEEN: Duration = Duration::from_secs(1);

/// Asks for an alert before any fault, up to [`TRIES`] times until there is an answer. Returns the alerts that fire.
///
/// # Errors
/// There is no answer, or no usable one. The error is a clause for people.
pub(crate) async fn firing_alerts(asker: &Asker, query: &AlertQuery) -> Result<Vec<AlertSeen>, String> {
    let mut answer = asker.alert(query).await;
    for _ in 1..TRIES {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
        answer = asker.alert(query).await;
    }
    Ok(answer?.says)
}

/// One alert and the client for its source. Several objectives may be about the same alert.
pub(super) struct Watch {
    /// The first objective about the alert.
    objective: String,
    source: String,
    query: AlertQuery,
    every: Duration,
    asker: Asker,
    clock: RunClock,
    /// The source's clock, compared with the run's clock.
    there: Clock,
}

impl Watch {
    pub(super) fn new(alert: &Alert, every: Duration, asker: Asker, clock: RunClock) -> Self {
        let Alert { name, source, query, .. } = alert.clone();
        Self { objective: name, source, query, every, asker, clock, there: Clock::default() }
    }

    /// Asks once. Returns the record for the log.
    pub(super) async fn once(&mut self) -> Event {
        let began_us = self.clock.now_us();
        let asked = self.asker.alert(&self.query).await;
        let ended_us = self.clock.now_us();
        let (asked_us, answered_us, firing, failed) = match asked {
            Ok(answer) => {
                let (sent_us, received_us) =
                    (self.clock.from_boot(answer.sent_us), self.clock.from_boot(answer.received_us));
                if let Some(date_us) = answer.date_us {
                    self.there.saw(date_us, sent_us, received_us);
                }
                (sent_us, received_us, answer.says, None)
            }
            Err(why) => (began_us, ended_us, Vec::new(), Some(why)),
        };
        let clock = self.there.offset_us().map(|(zero_us, unsure_us)| SourceClock { zero_us, unsure_us });
        Event::AlertSeen { objective: self.objective.clone(), asked_us, answered_us, clock, firing, failed }
    }

    /// Asks before any fault. Returns the reason why there is no answer; `None` if there is one.
    pub(super) async fn trial(&self) -> Option<String> {
        let why = firing_alerts(&self.asker, &self.query).await.err()?;
        Some(format!("objective {} cannot be measured: source {}: {why}", self.objective, self.source))
    }

    /// Asks again and again, and gives each record to `send`, until `send` returns false.
    pub(super) async fn watch(mut self, send: impl Fn(Event) -> bool) {
        loop {
            let next = tokio::time::Instant::now() + self.every;
            if !send(self.once().await) {
                return;
            }
            tokio::time::sleep_until(next).await;
        }
    }
}
