//! Refuses probes that cannot run. The prober decides; this module finds the place in the file.

use firedrill_probe::{Stores, fits_here, pace, refusals, unreadable};
use firedrill_wire::probe::{ProbeKind, ProbeSpec, Refusal};

use crate::{
    diagnostic::{Item, Problem, Severity, Sink},
    plan::{machine::Machine, model::COORDINATOR},
    scenario::{Scenario, probe::Probe},
};

/// Refuses probes that cannot run anywhere.
pub(super) fn refuse(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.probes {
        kinds(item, sink);
        let specs = specs(item);
        // The refusals, each with the name of its request's kind.
        let mut wrong: Vec<(&str, Refusal)> = specs
            .iter()
            .flat_map(|spec| refusals(spec).into_iter().map(|refusal| (spec.kind.name(), refusal)))
            .collect();
        if specs.is_empty() {
            let pace = pace(item.value.rate.value, item.value.timeout.value);
            wrong = pace.into_iter().map(|refusal| ("", refusal)).collect();
        }
        let mut reported: Vec<Refusal> = Vec::new();
        for (kind, refusal) in wrong {
            // A probe with two requests has one rate, so that a refusal of the rate comes twice.
            if !reported.contains(&refusal) {
                sink.push(problem(item, kind, &refusal, Severity::Error));
                reported.push(refusal);
            }
        }
        if item.value.from.is_empty() {
            let problem = Problem::error(format!("probe `{}` runs nowhere", item.name));
            sink.push(problem.at(item.place_of_key("from"), "no vantage").help("from = [\"coordinator\"]"));
        }
        asked_in_vain(item, sink);
    }
}

/// Refuses probes of the coordinator that lack a file, a token, a client of stores or connections. If the drill may run on another
/// machine, which may have a token or a higher limit, that is a warning.
pub(super) fn refuse_here(scenario: &Scenario, machine: Machine, stores: &dyn Stores, sink: &mut Sink) {
    let elsewhere = match machine {
        Machine::This => Severity::Error,
        Machine::Any => Severity::Warning,
    };
    let here = |item: &&Item<Probe>| item.value.from.iter().any(|from| from.value == COORDINATOR);
    let mut runnable: Vec<(&Item<Probe>, ProbeSpec)> = Vec::new();
    for item in scenario.probes.iter().filter(here) {
        for spec in specs(item).into_iter().filter(|spec| refusals(spec).is_empty()) {
            for refusal in unreadable(&spec, stores) {
                // A file that is not secret, such as one with authorities, can be kept beside the scenario, so it must exist.
                let about = spec.kind.about();
                let open = about.reads.iter().any(|read| read.field == refusal.field && !read.secret);
                let severity = if open { Severity::Error } else { elsewhere };
                sink.push(problem(item, spec.kind.name(), &refusal, severity));
            }
            runnable.push((item, spec));
        }
    }
    // The number of connections that a probe can need at once.
    let weight = |spec: &ProbeSpec| spec.rate * spec.timeout.as_secs_f64();
    let heaviest = runnable.iter().max_by(|(_, one), (_, other)| weight(one).total_cmp(&weight(other)));
    if let (Some((item, _)), Err(error)) = (heaviest, fits_here(runnable.iter().map(|(_, spec)| spec))) {
        let problem = Problem { severity: elsewhere, ..Problem::error(error.to_string()) };
        sink.push(problem.at(item.place_at(&["rate"], false), "this probe needs most of them"));
    }
}

/// Returns the probe as a vantage would get it, once for each of its requests.
fn specs(item: &Item<Probe>) -> Vec<ProbeSpec> {
    item.value.requests().into_iter().map(|one| item.value.spec(&item.name, one.value)).collect()
}

/// Returns the problem of a request, at its place in the probe.
fn problem(item: &Item<Probe>, kind: &str, refusal: &Refusal, severity: Severity) -> Problem {
    let place = item.place_at(&refusal.field.path(kind), refusal.field.is_key());
    let problem = Problem::error(refusal.what.clone()).at(place, refusal.label).help(refusal.help.clone());
    Problem { severity, ..problem }
}

/// Checks that a probe has exactly one request.
fn kinds(item: &Item<Probe>, sink: &mut Sink) {
    match item.value.requests().as_slice() {
        [] if !item.broken => {
            let names = ProbeKind::KINDS.map(|name| format!("`{name}`")).join(", ");
            let examples = ProbeKind::KINDS.iter().zip(ProbeKind::EXAMPLES);
            let examples: Vec<String> = examples.map(|(name, one)| format!("{name} = {one}")).collect();
            sink.push(
                Problem::error(format!("probe `{}` has no request", item.name))
                    .at(item.place(), format!("none of {names}"))
                    .help(examples.join(", or ")),
            );
        }
        [first, second, ..] => sink.push(
            Problem::error(format!("probe `{}` has two requests", item.name))
                .at(item.place_of(&second.at), format!("besides `{}`", first.value.name()))
                .help("make a probe for each"),
        ),
        _ => {}
    }
}

/// Warns of parts of a request that have no effect.
fn asked_in_vain(item: &Item<Probe>, sink: &mut Sink) {
    for request in item.value.requests() {
        for vain in request.value.as_kind().vain() {
            let message = format!("probe `{}` {}", item.name, vain.what);
            let place = item.place_at(&vain.field.path(request.value.name()), false);
            sink.push(Problem::warning(message).at(place, vain.label).help(vain.help));
        }
    }
}
