//! Warns of objectives whose only evidence is that connections open, or that hosts reply. A service can accept connections and
//! answer nothing.

use firedrill_wire::probe::Shows;

use crate::{
    diagnostic::{Item, Problem, Sink},
    plan::timing,
    scenario::{Scenario, objective::Objective, probe::Probe},
};

/// Warns once of each such objective, unless every attack that it judges is also judged by answers of the same
/// service.
pub(super) fn warn(scenario: &Scenario, sink: &mut Sink) {
    for objective in &scenario.objectives {
        let Some(probe) = scenario.probe(&objective.value.probe) else { continue };
        let Some(kind) = probe.value.kind() else { continue };
        let about = kind.about();
        let (Shows::Opens, Some(service)) = (about.shows, about.reach.to) else { continue };
        let alone = scenario.attacks.iter().any(|attack| {
            let judged: Vec<&Item<Objective>> = timing::judged(attack, scenario)
                .into_iter()
                .filter_map(|name| scenario.objective(name))
                .collect();
            let answers = |other: &&Item<Objective>| {
                scenario.probe(&other.value.probe).is_some_and(|probe| asks(probe, &service))
            };
            judged.iter().any(|one| one.name == objective.name) && !judged.iter().any(answers)
        });
        if alone {
            let message = format!(
                "objective `{}` is judged only by connections that open, or hosts that reply: a service that answers nothing counts as \
                 good, for instance a database without quorum",
                objective.name
            );
            let help = format!(
                "judge by an answer of `{}` too: by an `http` probe, for instance of a health check that reads and writes, or by \
                 `expect` of a `tcp` probe",
                about.reach.text
            );
            sink.push(
                Problem::warning(message)
                    .at(objective.place_of(&objective.value.probe.at), "no answer of a service")
                    .also(probe.place_at(&[kind.name()], true), "reads no answer")
                    .help(help),
            );
        }
    }
}

/// Whether a probe reads answers of that service.
fn asks(probe: &Item<Probe>, (host, port): &(String, u16)) -> bool {
    probe.value.requests().iter().any(|one| {
        let (about, to) = (one.value.about(), one.value.destinations());
        about.shows != Shows::Opens
            && to.iter().any(|(other, at)| other.eq_ignore_ascii_case(host) && at == port)
    })
}
