//! Compares environments: that of the scenario, those of the hosts by the fleet, and those of the certificate. These checks
//! come before any host is asked; the hosts decide in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use firedrill_wire::identity::Person;

use crate::{
    diagnostic::{Problem, Severity, Sink},
    fleet::Fleet,
    plan::{
        Plan,
        machine::Machine,
        model::{Attack, COORDINATOR, Host, Probe},
        resolve::Draft,
    },
    scenario::Scenario,
};

/// The fleet's label for the environment.
const LABEL: &str = "env";
/// Maximum number of hosts that are named.
const NAMED: usize = 5;

/// Refuses hosts whose environment differs from the scenario's.
pub(super) fn refuse(scenario: &Scenario, fleet: &Fleet, draft: &Draft, sink: &mut Sink) {
    let Some(wanted) = &scenario.environment else { return };
    for (environment, hosts) in by_environment(fleet, draft) {
        let Some(environment) = environment.filter(|environment| *environment != wanted.value) else {
            continue;
        };
        let message = format!(
            "the scenario is for `{}`, but in the fleet {} `{environment}`",
            wanted.value,
            belong(&hosts)
        );
        sink.push(
            Problem::error(message)
                .at(wanted.place(), "another environment")
                .help("select hosts of that environment (`where = { env = … }`), or correct `environment`"),
        );
    }
}

/// Refuses a person whose certificate is not valid for the hosts' environments. If the drill may be run on another
/// machine by another person, that is a warning.
pub(super) fn refuse_person(
    scenario: &Scenario,
    fleet: &Fleet,
    draft: &Draft,
    (person, machine): (&Person, Machine),
    sink: &mut Sink,
) {
    let claimed = scenario.environment.as_ref();
    let environments = by_environment(fleet, draft);
    for message in beyond(person, claimed.map(|item| item.value.as_str()), &environments) {
        let mut problem = Problem::error(message).help("use a certificate for that environment (--as NAME)");
        if let Some(item) = claimed {
            problem = problem.at(item.place(), "this scenario");
        }
        let severity = match machine {
            Machine::This => Severity::Error,
            Machine::Any => Severity::Warning,
        };
        sink.push(Problem { severity, ..problem });
    }
}

/// Returns the environments of a plan that a person's certificate does not cover, each with its hosts, as a sentence.
/// Hosts whose environment neither the scenario nor the fleet says are not covered either: hosts decide in the end, but they do
/// not decide about people who approve.
pub fn left_out(person: &Person, plan: &Plan) -> Vec<String> {
    let environments = environments_of(&plan.hosts, plan.attacks.iter(), &plan.probes);
    let mut reasons = beyond(person, plan.environment.as_deref(), &environments);
    if let (None, [_, ..], Some(hosts)) =
        (&plan.environment, person.environments.as_slice(), environments.get(&None))
    {
        reasons.push(format!(
            "{}'s certificate is good for {} only, and neither the scenario (`environment`) nor the fleet (`env`) says the \
             environment of {}",
            person.name,
            person.environments.join(", "),
            some(hosts)
        ));
    }
    reasons
}

/// Hosts by their environment in the fleet; `None` contains hosts without one.
type Environments<'a> = BTreeMap<Option<&'a str>, BTreeSet<&'a str>>;

/// Returns the environments that a person's certificate does not cover. For hosts without an environment, the
/// scenario's counts.
fn beyond(person: &Person, claimed: Option<&str>, environments: &Environments<'_>) -> Vec<String> {
    if person.environments.is_empty() {
        return Vec::new();
    }
    let foreign = environments.iter().filter_map(|(environment, hosts)| {
        let environment = environment.or(claimed)?;
        (!person.environments.iter().any(|own| own == environment)).then(|| {
            format!(
                "{}'s certificate is good for {} only, and {} `{environment}`",
                person.name,
                person.environments.join(", "),
                belong(hosts)
            )
        })
    });
    foreign.collect()
}

/// Returns the hosts of a draft by their environment.
fn by_environment<'a>(fleet: &'a Fleet, draft: &'a Draft) -> Environments<'a> {
    environments_of(&fleet.hosts, draft.attacks.iter().map(|placed| &placed.attack), &draft.probes)
}

/// Returns the hosts that faults touch or probes run on, by their environment.
fn environments_of<'a>(
    hosts: &'a [Host],
    attacks: impl Iterator<Item = &'a Attack>,
    probes: &'a [Probe],
) -> Environments<'a> {
    let labels: HashMap<&str, Option<&str>> =
        hosts.iter().map(|host| (host.name.as_str(), host.labels.get(LABEL).map(String::as_str))).collect();
    let hit = attacks.flat_map(|attack| &attack.injections).map(|one| &one.host);
    let from = probes.iter().flat_map(|probe| &probe.from).filter(|from| *from != COORDINATOR);
    let mut all = Environments::new();
    for host in hit.chain(from) {
        if let Some(label) = labels.get(host.as_str()) {
            all.entry(*label).or_default().insert(host);
        }
    }
    all
}

/// Returns hosts with a verb: `app1, app2 belong to`.
fn belong(hosts: &BTreeSet<&str>) -> String {
    format!("{} belong{} to", some(hosts), if hosts.len() == 1 { "s" } else { "" })
}

/// Returns some of the hosts: `app1, app2 and 3 more`.
fn some(hosts: &BTreeSet<&str>) -> String {
    let shown: Vec<&str> = hosts.iter().copied().take(NAMED).collect();
    let more = hosts.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &more
}
