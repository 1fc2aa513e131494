//! The facts of a scenario that need no fleet, for people who read about it. Secrets are hidden.

use std::collections::BTreeMap;

use firedrill_wire::{hide, probe::ProbeKind};

use crate::{diagnostic::Sink, scenario::Scenario};

/// The facts of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Its name; empty if that cannot be read.
    pub name: String,
    /// Its hypothesis.
    pub hypothesis: String,
    /// Its parameters, in the order of their names.
    pub params: Vec<Parameter>,
    /// The names of its objectives.
    pub objectives: Vec<String>,
}

/// A parameter of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The type of its values, in words.
    pub kind: &'static str,
    /// Its value unless another is given; `None` if it has to be given.
    pub default: Option<String>,
    /// Its purpose.
    pub about: String,
}

impl Outline {
    /// Returns the facts of a scenario. `probes` are its requests as far as they are known; parameters that they use as secrets are
    /// hidden.
    pub(super) fn of<'p>(
        scenario: &Scenario,
        probes: impl IntoIterator<Item = &'p ProbeKind>,
        sink: &Sink,
    ) -> Self {
        let default = |name: &String, text: &String| (name.clone(), sink.harmless(text));
        let defaults: BTreeMap<String, String> = scenario
            .declared
            .iter()
            .filter_map(|(name, declared)| Some(default(name, declared.default.as_ref()?)))
            .collect();
        let mut defaults = hide::params(&defaults, probes);
        let params = scenario.declared.iter().map(|(name, declared)| Parameter {
            name: name.clone(),
            kind: declared.kind.word(),
            default: defaults.remove(name),
            about: sink.harmless(declared.about.as_deref().unwrap_or_default()),
        });
        Self {
            name: sink.harmless(&scenario.name),
            hypothesis: sink.harmless(&scenario.hypothesis),
            params: params.collect(),
            objectives: scenario.all_objectives().map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{
        fleet::FleetSource,
        plan::{inspect, print::effects},
    };

    const SCENARIO: &str = r#"schema = 1
name = "stop-one"
hypothesis = "Nobody notices."

[params]
hold = { type = "duration", default = "20s", about = "how long" }
api_token = { type = "string", default = "xyz" }
times = { type = "integer" }

[probes.up]
http = { url = "http://10.9.0.9/", headers = { X-Api-Key = "S3CR3T-TOKEN" } }
rate = 10
timeout = "500ms"
connection = "new"
from = ["coordinator"]

[objectives.open]
probe = "up"
good = "95%"

[[attack]]
name = "stop"
on = "app"
fault.service-stop = { service = "shop" }
baseline = "5s"
hold = { param = "hold" }

[[attack]]
name = "boot"
on = "b"
fault.host-reboot = { back_within = "1m" }
baseline = "5s"

[targets.app]
where = { role = "app" }
"#;
    const FLEET: &str = r#"schema = 1
host = [
  { name = "a", address = "10.9.0.1", roles = ["app"] },
  { name = "b", address = "10.9.0.2", roles = ["app"] },
]
"#;

    #[test]
    fn the_facts_of_a_scenario_and_its_effects_have_no_secrets() {
        let home = tempfile::tempdir().unwrap();
        let (scenario, fleet) = (home.path().join("stop.toml"), home.path().join("fleet.toml"));
        fs::write(&scenario, SCENARIO).unwrap();
        fs::write(&fleet, FLEET).unwrap();
        let times = [("times".to_owned(), "3".to_owned())];
        let found = inspect(&scenario, Some(&FleetSource::File(fleet)), &times, Some(1));
        let outline = &found.outline;
        assert_eq!((outline.name.as_str(), &outline.objectives[..]), ("stop-one", &["open".to_owned()][..]));
        let params: Vec<_> =
            outline.params.iter().map(|one| (one.name.as_str(), one.default.as_deref())).collect();
        let hidden = Some(firedrill_wire::hide::HIDDEN);
        assert_eq!(params, [("api_token", hidden), ("hold", Some("20s")), ("times", None)]);
        assert_eq!(outline.params[1].about, "how long");
        let texts: Vec<&str> = found.report.files().map(|(_, text)| text).collect();
        assert!(texts[0].contains("X-Api-Key = \"************\""), "{texts:?}");
        assert!(!texts.concat().contains("S3CR3T") && !texts.concat().contains("xyz"), "{texts:?}");
        let plan = found.plan.unwrap_or_else(|| panic!("{}", found.report.render(false, 110)));
        let all: Vec<_> = plan.attacks.iter().flat_map(effects).collect();
        let told: Vec<_> =
            all.iter().map(|one| (one.words(), one.count, one.irreversible.is_some())).collect();
        let stop = "a, b: service-stop service=shop manager=auto".to_owned();
        let boot = "b: host-reboot back_within=1m\nCANNOT BE UNDONE".to_owned();
        assert_eq!(told, [(stop, 2, false), (boot, 1, true)]);
    }
}
