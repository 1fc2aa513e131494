//! The entry point: makes a plan, or a report of all problems, from files, parameters and a seed.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hasher as _},
    path::PathBuf,
};

use firedrill_probe::{NoStores, Stores};
use firedrill_sources::AlertQuery;
use firedrill_wire::{fault::PeerTable, hide, identity::Person};

use super::{
    Plan,
    machine::Machine,
    model,
    outline::Outline,
    refuse,
    resolve::{Draft, Placed, resolve},
    select,
};
use crate::{
    diagnostic::{Item, Report, Sink},
    fleet::{Fleet, FleetSource},
    scenario::{
        self, Scenario, alert::AlertObjective, log::LogObjective, metric::MetricObjective, step::Step,
    },
};

/// The input for a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// The fleet.
    pub fleet: FleetSource,
    /// Values of parameters, by name; if a name occurs several times, the last value counts.
    pub params: Vec<(String, String)>,
    /// The seed of random picks; `None` for a new one.
    pub seed: Option<u64>,
}

/// The result of checking a scenario.
#[derive(Debug)]
pub struct Inspection {
    /// The plan, if a fleet was given and there are no errors.
    pub plan: Option<Plan>,
    /// Errors and warnings.
    pub report: Report,
    /// Checks that need a fleet and were not made, each a clause.
    pub unchecked: Vec<String>,
    /// Number of attacks in the file; an attack with `for_each` counts once.
    pub attacks: usize,
    /// The names of all hosts that attacks may touch, whatever the seed; empty without a fleet.
    pub may_touch: BTreeSet<String>,
    /// The facts of the scenario, with or without errors.
    pub outline: Outline,
}

/// Makes the plan, to be run on this machine by a program without clients of stores.
///
/// # Errors
/// All problems of the files, each with its place.
pub fn load(options: &Options) -> Result<Plan, Report> {
    load_as(options, None, &NoStores)
}

/// Makes the plan, to be run on this machine by this person, in a program with these clients of stores.
///
/// # Errors
/// The errors of [`load`]; and the certificate is not valid for the hosts' environments.
pub fn load_as(options: &Options, person: Option<&Person>, stores: &dyn Stores) -> Result<Plan, Report> {
    let Options { scenario, fleet, params, seed } = options;
    let inspection = inspect_for((Machine::This, person, stores), scenario, Some(fleet), params, *seed);
    inspection.plan.ok_or(inspection.report)
}

/// Checks a scenario as far as possible; without a fleet some checks are not made ([`Inspection::unchecked`]). The drill may be
/// run on another machine. This program has no clients of stores.
#[must_use]
pub fn inspect(
    file: &std::path::Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    inspect_as((None, &NoStores), file, fleet, params, seed)
}

/// Like [`inspect`], in a program with these clients of stores, for a drill that this person may run: a certificate that is not valid for
/// the hosts' environments is a warning.
#[must_use]
pub fn inspect_as(
    (person, stores): (Option<&Person>, &dyn Stores),
    file: &std::path::Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    inspect_for((Machine::Any, person, stores), file, fleet, params, seed)
}

/// Checks a scenario for a machine, a person and clients of stores, and makes the plan if there are no errors.
fn inspect_for(
    (machine, person, stores): (Machine, Option<&Person>, &dyn Stores),
    file: &std::path::Path,
    fleet: Option<&FleetSource>,
    params: &[(String, String)],
    seed: Option<u64>,
) -> Inspection {
    let mut sink = Sink::default();
    let scenario = scenario::read(file, params, &mut sink);
    let has_fleet = fleet.is_some();
    // Errors of the fleet would cause misleading errors in the scenario.
    let before = sink.errors();
    let fleet = fleet.and_then(|fleet| Fleet::load(fleet, &mut sink)).filter(|_| sink.errors() == before);
    refuse::without_hosts(&scenario, fleet.as_ref(), (machine, stores), &mut sink);
    let (mut plan, mut may_touch) = (None, BTreeSet::new());
    let mut outline = None;
    if let Some(fleet) = fleet {
        let seed = seed.unwrap_or_else(new_seed);
        may_touch = all_hosts(&scenario, &fleet);
        let draft = resolve(&scenario, &fleet, seed, &mut sink);
        refuse::with_hosts(&scenario, &fleet, &draft, &mut sink);
        if let Some(person) = person {
            refuse::of_person(&scenario, &fleet, &draft, (person, machine), &mut sink);
        }
        outline = Some(Outline::of(&scenario, draft.probes.iter().map(|probe| &probe.kind), &sink));
        if !sink.failed() {
            plan = Some(made(&scenario, fleet, draft, seed, file.display().to_string(), &sink));
        }
    }
    let unchecked = if has_fleet { Vec::new() } else { unchecked(&scenario) };
    let outline = outline.unwrap_or_else(|| Outline::of(&scenario, [], &sink));
    let attacks = scenario.attacks.len();
    Inspection { plan, report: sink.into_report(), unchecked, attacks, may_touch, outline }
}

/// Returns all hosts that attacks may touch, whatever the seed picks.
fn all_hosts(scenario: &Scenario, fleet: &Fleet) -> BTreeSet<String> {
    let names: BTreeSet<&str> = scenario.attacks.iter().map(|attack| attack.value.on.as_str()).collect();
    let hosts = |name: &str| match scenario.target(name) {
        Some(target) => select::may_pick(&target.value, fleet),
        None => fleet.host(name).into_iter().collect(),
    };
    names.into_iter().flat_map(hosts).map(|host| host.name.clone()).collect()
}

/// Returns a random seed that is short enough to be typed again, and exact in any reader of JSON.
fn new_seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish() & 0xffff_ffff
}

/// Makes the plan of a scenario without errors.
fn made(scenario: &Scenario, fleet: Fleet, draft: Draft, seed: u64, file: String, sink: &Sink) -> Plan {
    let guard = scenario.guard.as_ref().map(|guard| &guard.value);
    let abort = guard.iter().flat_map(|guard| &guard.abort).filter_map(|abort| {
        Some(model::AbortWhen {
            probe: abort.probe.as_ref()?.value.clone(),
            good_below: abort.good_below.as_ref()?.value,
            over: abort.over.value,
        })
    });
    let abort_on = guard.iter().flat_map(|guard| &guard.abort).filter_map(|abort| {
        Some(model::AbortOn { objective: abort.objective.as_ref()?.value.clone(), over: abort.over.value })
    });
    let objectives = scenario.objectives.iter().filter_map(|objective| {
        Some(model::Objective {
            name: objective.name.clone(),
            probe: objective.value.probe.value.clone(),
            goal: objective.value.goal()?,
            good_at: objective.value.good_at(),
            during: objective.value.during(),
        })
    });
    let asked: Vec<_> = draft.sources.iter().filter_map(|source| source.kind.probe()).collect();
    let mut plan = Plan {
        schema: Plan::SCHEMA,
        name: scenario.name.clone(),
        hypothesis: scenario.hypothesis.clone(),
        meta: scenario.meta.clone(),
        environment: scenario.environment.as_ref().map(|item| item.value.clone()),
        file,
        files: Some(scenario.files.clone()).filter(|files| !files.is_empty()),
        params: hide::params(&scenario.params, draft.probes.iter().map(|probe| &probe.kind).chain(&asked)),
        seed,
        drawn: None,
        origins: fleet.origins,
        hosts: fleet.hosts,
        probes: draft.probes,
        objectives: objectives.collect(),
        sources: draft.sources,
        metrics: scenario.metrics.iter().filter_map(|item| metric(item, scenario)).collect(),
        alerts: scenario.alerts.iter().filter_map(alert).collect(),
        logs: draft.logs,
        log_objectives: scenario.log_objectives.iter().filter_map(log_objective).collect(),
        budgets: budgets(scenario),
        guard: model::Guard {
            abort: abort.collect(),
            abort_on: abort_on.collect(),
            blind_for: guard.and_then(|guard| guard.blind_for.as_ref()).map(|span| span.value),
            max_share: guard
                .and_then(|guard| guard.max_share.as_ref())
                .map(|max| model::MaxShare { of: max.value.of.value.clone(), share: max.value.share.value }),
            keep: guard
                .into_iter()
                .flat_map(|guard| &guard.keep)
                .map(|(role, count)| (role.clone(), count.value))
                .collect(),
        },
        peer_sets: PeerTable::default(),
        steps: steps(scenario, &draft.attacks),
        moving: draft.moving,
        attacks: draft.attacks.into_iter().map(|placed| placed.attack).collect(),
        ci: scenario.ci.as_ref().map(|ci| ci.value.clone()),
        lease: scenario.lease.as_ref().map_or(scenario::LEASE, |lease| lease.value),
        warnings: sink.warnings(),
    };
    plan.share_peers();
    plan
}

/// Returns the steps, each before the first attack that follows it in the file. An attack with groups is several attacks of the
/// plan.
fn steps(scenario: &Scenario, attacks: &[Placed]) -> Vec<model::Step> {
    let step = |item: &Item<Step>| {
        let own = &item.value;
        let after = attacks.iter().position(|placed| placed.item >= own.before);
        let (does, usual) = own.does()?;
        Some(model::Step {
            name: item.name.clone(),
            before: after.unwrap_or(attacks.len()),
            does,
            timeout: own.timeout.as_ref().map_or(usual, |timeout| timeout.value),
            on_failure: own.on_failure.unwrap_or(model::Then::Stop),
        })
    };
    scenario.steps.iter().filter_map(step).collect()
}

fn alert(item: &Item<AlertObjective>) -> Option<model::Alert> {
    let own = &item.value.alert.value;
    let labels = own.labels.iter().map(|(label, value)| (label.clone(), value.value.clone()));
    Some(model::Alert {
        name: item.name.clone(),
        source: own.source.value.clone(),
        query: AlertQuery { name: own.name.value.clone(), labels: labels.collect() },
        goal: item.value.goal()?,
        every: own.every.value,
    })
}

fn metric(item: &Item<MetricObjective>, scenario: &Scenario) -> Option<model::Metric> {
    let own = &item.value;
    let metric = &own.metric.value;
    let kind = scenario.source(&metric.source)?.value.kind()?;
    Some(model::Metric {
        name: item.name.clone(),
        source: metric.source.value.clone(),
        asks: own.asks(kind.metrics()?)?,
        goal: own.goal()?,
        every: metric.every.value,
        lag: metric.lag.value,
        stale_after: metric.stale_after.value,
        window: metric.window.as_ref().map(|window| window.value).unwrap_or_default(),
        unit: metric.unit.as_ref().map(|unit| unit.value.clone()).unwrap_or_default(),
        during: own.during(),
    })
}

fn budgets(scenario: &Scenario) -> std::collections::BTreeMap<String, model::Budget> {
    let probed = scenario.objectives.iter().map(|item| (&item.name, &item.value.budget));
    let metrics = scenario.metrics.iter().map(|item| (&item.name, &item.value.budget));
    let all = probed.chain(metrics);
    all.filter_map(|(name, budget)| Some((name.clone(), budget.as_ref()?.value.planned()))).collect()
}

fn log_objective(item: &Item<LogObjective>) -> Option<model::LogObjective> {
    let own = &item.value;
    let (name, log) = (item.name.clone(), own.logs.value.clone());
    Some(model::LogObjective { name, log, goal: own.goal()?, during: own.during() })
}

/// Returns the checks that need a fleet, in words.
fn unchecked(scenario: &Scenario) -> Vec<String> {
    let mut all = Vec::new();
    if !scenario.targets.is_empty() {
        all.push("whether selectors fit any host".to_owned());
    }
    if !scenario.attacks.is_empty() {
        all.push("which hosts are touched, and names of hosts".to_owned());
    }
    if scenario
        .guard
        .as_ref()
        .is_some_and(|guard| guard.value.max_share.is_some() || !guard.value.keep.is_empty())
    {
        all.push("the blast radius against the guard".to_owned());
    }
    if !scenario.probes.is_empty() {
        all.push("whether every judged probe keeps a vantage that is not attacked".to_owned());
    }
    all
}
