//! Refuses goals for writes whose probe writes no records.

use firedrill_wire::probe::Shows;

use crate::{
    diagnostic::{Problem, Sink},
    scenario::Scenario,
};

pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    for objective in &scenario.objectives {
        let Some(lost) = &objective.value.lost_writes else { continue };
        let Some(probe) = scenario.probe(&objective.value.probe) else { continue };
        let Some(kind) = probe.value.kind() else { continue };
        if kind.about().shows != Shows::Keeps {
            let message = format!(
                "objective `{}` counts lost writes, and probe `{}` writes no records",
                objective.name, probe.name
            );
            sink.push(
                Problem::error(message)
                    .at(objective.place_of(&lost.at), "nothing is written")
                    .also(probe.place(), "the probe")
                    .help(
                        "a probe with `writes`, for example writes = { etcd = { url = \"http://kv:2379\" } }",
                    ),
            );
        }
        if let Some(during) = &objective.value.during {
            let message = format!("objective `{}` counts the writes of the whole attack", objective.name);
            sink.push(Problem::warning(message).at(objective.place_of(&during.at), "has no effect"));
        }
    }
}
