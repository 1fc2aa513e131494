//! Reads `skip_if`: checks its conditions (each is the alert of an incident) and the sources of the game day, by the same functions as for
//! scenarios. Asks no source.

use firedrill_plan::{
    diagnostic::Problem,
    plan::{AskedAlert, refuse_asked, refuse_source, refuse_unknown},
};
use firedrill_sources::AlertQuery;

use super::Reader;
use crate::gameday::{self, Incident};

impl Reader<'_> {
    /// Checks all conditions of `skip_if` and all sources. Returns the alerts whose source is known and has exactly one kind.
    pub(super) fn skip_if(&mut self) -> Vec<Incident> {
        let sources: Vec<_> = gameday::sources(self.item).collect();
        let alerts: Vec<_> = self.file().skip_if.iter().map(|condition| condition.alert.clone()).collect();
        // Of a broken file, conditions and sources may be missing here. So names that match nothing are reported only for a whole file.
        let is_whole = !self.item.broken;
        for source in &sources {
            refuse_source(source, self.sink);
            let used = alerts.iter().any(|alert| alert.source.value == source.name);
            if !used && is_whole {
                let problem = Problem::warning(format!("no condition asks source `{}`", source.name));
                let help = "skip_if = [{ alert = { source = \"…\", name = \"…\" } }]";
                self.sink.push(problem.at(source.place(), "not used").help(help));
            }
        }
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let mut incidents = Vec::new();
        for alert in &alerts {
            if is_whole {
                let place = self.item.place_of(&alert.source.at);
                refuse_unknown(&alert.source, &names, "source", place, self.sink);
            }
            let source = sources.iter().find(|source| source.name == alert.source.value);
            let kind = source.and_then(|source| source.value.kind());
            let asked = AskedAlert {
                of: "`skip_if`",
                file: self.item.file,
                source: &alert.source,
                name: &alert.name,
                labels: &alert.labels,
            };
            refuse_asked(&asked, kind.as_ref(), self.sink);
            let (Some(source), Some(kind)) = (source, kind) else { continue };
            let labels = alert.labels.iter().map(|(label, value)| (label.clone(), value.value.clone()));
            incidents.push(Incident {
                source: source.name.clone(),
                kind,
                timeout: source.value.timeout.value,
                query: AlertQuery { name: alert.name.value.clone(), labels: labels.collect() },
            });
        }
        incidents
    }
}
