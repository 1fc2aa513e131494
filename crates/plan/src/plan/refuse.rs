//! Refusals and warnings that need no host. One file per concern.

mod agent;
mod alert;
mod blast;
mod budget;
mod environment;
mod fault;
mod judge;
mod log;
mod meant;
mod metric;
mod moving;
mod names;
mod opens_only;
mod probe;
mod secret;
mod source;
mod step;
mod time;
mod values;
mod vantage;
mod way;
mod writes;

pub use alert::{AskedAlert, refuse_asked};
pub use environment::left_out;
use firedrill_probe::Stores;
use firedrill_wire::identity::Person;
pub use names::known as refuse_unknown;
pub use source::{refuse_lacking, refuse_source};

use super::{machine::Machine, resolve::Draft};
use crate::{diagnostic::Sink, fleet::Fleet, scenario::Scenario};

/// Makes all refusals that need only the scenario. From a fleet, if there is one, only its names are used. `machine` decides
/// whether a missing token, or a missing client of stores, is an error.
pub(crate) fn without_hosts(
    scenario: &Scenario,
    fleet: Option<&Fleet>,
    (machine, stores): (Machine, &dyn Stores),
    sink: &mut Sink,
) {
    names::refuse(scenario, fleet, sink);
    probe::refuse(scenario, sink);
    probe::refuse_here(scenario, machine, stores, sink);
    moving::refuse(scenario, machine, stores, sink);
    source::refuse(scenario, machine, sink);
    metric::refuse(scenario, sink);
    alert::refuse(scenario, sink);
    log::refuse(scenario, sink);
    writes::refuse(scenario, sink);
    values::refuse(scenario, sink);
    budget::refuse(scenario, sink);
    for attack in &scenario.attacks {
        fault::refuse(attack, scenario, sink);
        time::refuse(attack, scenario, sink);
        judge::refuse(attack, scenario, sink);
        budget::refuse_attack(attack, scenario, sink);
        metric::refuse_attack(attack, scenario, sink);
        alert::refuse_attack(attack, scenario, sink);
        meant::refuse(attack, scenario, sink);
    }
    scenario.steps.iter().for_each(|step| step::refuse(step, scenario, sink));
    meant::warn(scenario, sink);
    opens_only::warn(scenario, sink);
    secret::warn(scenario, sink);
}

/// Makes all refusals that need the fleet's hosts.
pub(crate) fn with_hosts(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    agent::refuse(scenario, draft, sink);
    moving::refuse_hosts(scenario, draft, sink);
    environment::refuse(scenario, fleet, draft, sink);
    blast::refuse(scenario, fleet, draft, sink);
    time::refuse_limit(scenario, draft, sink);
    vantage::refuse(scenario, draft, sink);
    log::refuse_hosts(scenario, draft, sink);
    fault::refuse_with_hosts(scenario, fleet, draft, sink);
    way::warn(scenario, fleet, draft, sink);
}

/// Makes the refusals that depend on the person who runs the drill, and on the machine.
pub(crate) fn of_person(
    scenario: &Scenario,
    fleet: &Fleet,
    draft: &Draft,
    who: (&Person, Machine),
    sink: &mut Sink,
) {
    environment::refuse_person(scenario, fleet, draft, who, sink);
}
