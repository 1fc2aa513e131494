//! Refuses probes that cannot run. The prober decides; this module finds the place in the file.

use firedrill_probe::{Field, Refusal, fits_here, pace, refusals, unreadable};
use firedrill_wire::probe::{ProbeKind, ProbeSpec};

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
        let mut wrong: Vec<Refusal> = specs.iter().flat_map(refusals).collect();
        if specs.is_empty() {
            wrong = pace(item.value.rate.value, item.value.timeout.value);
        }
        let mut said: Vec<Refusal> = Vec::new();
        for refusal in wrong {
            // A probe with two requests has one rate, so the refusal is reported once.
            if !said.contains(&refusal) {
                sink.push(problem(item, &refusal, Severity::Error));
                said.push(refusal);
            }
        }
        if item.value.from.is_empty() {
            let problem = Problem::error(format!("probe `{}` runs nowhere", item.name));
            sink.push(problem.at(item.place_of_key("from"), "no vantage").help("from = [\"coordinator\"]"));
        }
        asked_in_vain(item, sink);
    }
}

/// Refuses probes of the coordinator that lack a file, a token or connections. If the drill may run on another
/// machine, which may have a token or a higher limit, that is a warning.
pub(super) fn refuse_here(scenario: &Scenario, machine: Machine, sink: &mut Sink) {
    let elsewhere = match machine {
        Machine::This => Severity::Error,
        Machine::Any => Severity::Warning,
    };
    let here = |item: &&Item<Probe>| item.value.from.iter().any(|from| from.value == COORDINATOR);
    let mut all: Vec<(&Item<Probe>, ProbeSpec)> = Vec::new();
    for item in scenario.probes.iter().filter(here) {
        for spec in specs(item).into_iter().filter(|spec| refusals(spec).is_empty()) {
            for refusal in unreadable(&spec) {
                // Authorities are not secret, so they can be beside the scenario.
                let severity = if refusal.field == Field::CaFile { Severity::Error } else { elsewhere };
                sink.push(problem(item, &refusal, severity));
            }
            all.push((item, spec));
        }
    }
    let weight = |spec: &ProbeSpec| spec.rate * spec.timeout.as_secs_f64();
    let heaviest = all.iter().max_by(|(_, one), (_, other)| weight(one).total_cmp(&weight(other)));
    if let (Some((item, _)), Err(error)) = (heaviest, fits_here(all.iter().map(|(_, spec)| spec))) {
        let problem = Problem { severity: elsewhere, ..Problem::error(error.to_string()) };
        sink.push(problem.at(item.place_at(&["rate"], false), "this probe needs most of them"));
    }
}

/// Returns the probe as a vantage would get it, once for each of its requests.
fn specs(item: &Item<Probe>) -> Vec<ProbeSpec> {
    let probe = &item.value;
    let http = probe.http.iter().map(|http| ProbeKind::Http(http.value.clone()));
    let tcp = probe.tcp.iter().map(|tcp| ProbeKind::Tcp(tcp.value.clone()));
    http.chain(tcp).map(|kind| probe.spec(&item.name, kind)).collect()
}

fn problem(item: &Item<Probe>, refusal: &Refusal, severity: Severity) -> Problem {
    let place = item.place_at(&refusal.field.path(), refusal.field.is_key());
    let problem = Problem::error(refusal.what.clone()).at(place, refusal.label).help(refusal.help.clone());
    Problem { severity, ..problem }
}

/// Checks that a probe has exactly one request.
fn kinds(item: &Item<Probe>, sink: &mut Sink) {
    match (&item.value.http, &item.value.tcp) {
        (None, None) if !item.broken => sink.push(
            Problem::error(format!("probe `{}` has no request", item.name))
                .at(item.place(), "neither `http` nor `tcp`")
                .help("http = { url = \"http://edge/\" }, or tcp = { address = \"edge:80\" }"),
        ),
        (Some(_), Some(tcp)) => sink.push(
            Problem::error(format!("probe `{}` has two requests", item.name))
                .at(item.place_of(&tcp.at), "besides `http`")
                .help("make a probe for each"),
        ),
        _ => {}
    }
}

/// Warns of parts of a request that have no effect.
fn asked_in_vain(item: &Item<Probe>, sink: &mut Sink) {
    let Some(http) = &item.value.http else { return };
    let mut vain = |key: &str, message: String, help: &str| {
        let place = item.place_at(&["http", key], false);
        sink.push(Problem::warning(message).at(place, "has no effect").help(help));
    };
    if http.ca_file.is_some() && http.url.starts_with("http://") {
        let message = format!("probe `{}` has `ca_file`, but its URL is not https", item.name);
        vain("ca_file", message, "an https:// URL, or leave `ca_file` out");
    }
    if http.body.as_deref().is_some_and(|body| !body.is_empty()) && ["GET", "HEAD"].contains(&&*http.method) {
        let message = format!("most servers ignore the body of a {}", http.method);
        vain("body", message, "method = \"POST\", or leave `body` out");
    }
}
