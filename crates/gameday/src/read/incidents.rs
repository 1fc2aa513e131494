//! Checks the alerts of incidents, and the sources that are asked for them, as those of scenarios are checked.

use firedrill_plan::{
    diagnostic::Problem,
    plan::{AskedAlert, refuse_asked, refuse_source, refuse_unknown},
};
use firedrill_sources::AlertQuery;

use super::Reader;
use crate::gameday::{Incident, sources};

impl Reader<'_> {
    /// Returns the alerts that can be asked for.
    pub(super) fn skip_if(&mut self) -> Vec<Incident> {
        let sources: Vec<_> = sources(self.item).collect();
        let conditions = self.file().skip_if.clone();
        for source in &sources {
            refuse_source(source, self.sink);
            let used = conditions.iter().any(|one| one.alert.source.value == source.name);
            if !used && !self.item.broken {
                let problem = Problem::warning(format!("no condition asks source `{}`", source.name));
                let help = "skip_if = [{ alert = { source = \"…\", name = \"…\" } }]";
                self.sink.push(problem.at(source.place(), "not used").help(help));
            }
        }
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let mut all = Vec::new();
        for alert in conditions.iter().map(|one| &one.alert) {
            let source = sources.iter().find(|source| source.name == alert.source.value);
            if !self.item.broken {
                let place = self.item.place_of(&alert.source.at);
                refuse_unknown(&alert.source, &names, "source", place, self.sink);
            }
            let kind = source.and_then(|source| source.value.kind());
            let (file, of) = (self.item.file, "`skip_if`");
            let (source_name, name, labels) = (&alert.source, &alert.name, &alert.labels);
            refuse_asked(
                &AskedAlert { of, file, source: source_name, name, labels },
                kind.as_ref(),
                self.sink,
            );
            let (Some(source), Some(kind)) = (source, kind) else { continue };
            let labels = labels.iter().map(|(label, value)| (label.clone(), value.value.clone()));
            all.push(Incident {
                source: source.name.clone(),
                kind,
                timeout: source.value.timeout.value,
                query: AlertQuery { name: name.value.clone(), labels: labels.collect() },
            });
        }
        all
    }
}
