//! Refuses sources that cannot be asked.

use std::collections::BTreeMap;

use firedrill_sources::{Asker, SourceKind};
use firedrill_wire::{Span, hide::Part, probe::Refusal};

use crate::{
    diagnostic::{Item, Problem, Severity, Sink},
    plan::machine::Machine,
    scenario::{Scenario, source::Source},
};

/// Refuses sources that cannot be asked from anywhere. A source that lacks a secret here is a warning if the drill may run on
/// another machine.
pub(super) fn refuse(scenario: &Scenario, machine: Machine, sink: &mut Sink) {
    let elsewhere = match machine {
        Machine::This => Severity::Error,
        Machine::Any => Severity::Warning,
    };
    same_address(scenario, sink);
    for item in &scenario.sources {
        refuse_source(item, sink);
        refuse_lacking(item, elsewhere, sink);
        let used = scenario.metrics.iter().any(|one| one.value.metric.source.value == item.name)
            || scenario.alerts.iter().any(|one| one.value.alert.source.value == item.name);
        if !used && !item.broken && scenario.lost.is_empty() {
            let problem = Problem::warning(format!("no objective asks source `{}`", item.name));
            sink.push(
                problem
                    .at(item.place(), "not used")
                    .help("metric = { source = \"…\", … } or alert = { source = \"…\", … } in an objective"),
            );
        }
    }
}

/// Refuses a source that cannot be asked from any machine.
pub fn refuse_source(item: &Item<Source>, sink: &mut Sink) {
    kinds(item, sink);
    for kind in item.value.kinds() {
        for refusal in kind.value.invalid() {
            sink.push(problem(item, &kind.value, &refusal, Severity::Error));
        }
        for doubt in kind.value.doubts() {
            sink.push(problem(item, &kind.value, &doubt, Severity::Warning));
        }
        clear(item, &kind.value, sink);
    }
    let timeout = &item.value.timeout;
    if timeout.value < Span::millis(100) || timeout.value > Span::secs(60) {
        let message = format!("a time-out of {} for a question to source `{}`", timeout.value, item.name);
        let place = item.place_of(&timeout.at);
        sink.push(Problem::error(message).at(place, "from 100ms to 1m").help("\"5s\" is usual"));
    }
}

/// Reports the files and secrets that a source lacks on this machine.
pub fn refuse_lacking(item: &Item<Source>, severity: Severity, sink: &mut Sink) {
    for kind in item.value.kinds().iter().filter(|kind| kind.value.invalid().is_empty()) {
        let lacks = Asker::new(&kind.value, item.value.timeout.0, &BTreeMap::new());
        for refusal in lacks.err().into_iter().flatten() {
            sink.push(problem(item, &kind.value, &refusal, severity));
        }
    }
}

/// Refuses a source that listens on the address of an earlier source.
fn same_address(scenario: &Scenario, sink: &mut Sink) {
    let mut taken: Vec<(String, &Item<Source>)> = Vec::new();
    for item in &scenario.sources {
        let Some(address) = item.value.kind().and_then(|kind| Some(kind.listens()?.address())) else {
            continue;
        };
        match taken.iter().find(|(other, _)| *other == address) {
            Some((_, other)) => sink.push(
                Problem::error(format!("sources `{}` and `{}` listen on {address}", other.name, item.name))
                    .at(item.place(), "in use")
                    .also(other.place(), "the first")
                    .help("one source is enough: any number of objectives can ask it"),
            ),
            None => taken.push((address, item)),
        }
    }
}

/// Checks that a source has exactly one kind.
fn kinds(item: &Item<Source>, sink: &mut Sink) {
    match item.value.kinds().as_slice() {
        [] if !item.broken => {
            let names = SourceKind::KINDS.map(|name| format!("`{name}`")).join(", ");
            let examples = SourceKind::KINDS.iter().zip(SourceKind::EXAMPLES);
            let examples: Vec<String> = examples.map(|(name, one)| format!("{name} = {one}")).collect();
            sink.push(
                Problem::error(format!("source `{}` has no kind", item.name))
                    .at(item.place(), format!("none of {names}"))
                    .help(examples.join(", or ")),
            );
        }
        [first, second, ..] => sink.push(
            Problem::error(format!("source `{}` has two kinds", item.name))
                .at(item.place_of(&second.at), format!("besides `{}`", first.value.name()))
                .help("make a source for each"),
        ),
        _ => {}
    }
}

/// Returns the problem of a kind of source, at its place in the source.
fn problem(item: &Item<Source>, kind: &SourceKind, refusal: &Refusal, severity: Severity) -> Problem {
    let place = item.place_at(&refusal.field.path(kind.name()), refusal.field.is_key());
    let problem = Problem::error(format!("source `{}`: {}", item.name, refusal.what));
    Problem { severity, ..problem.at(place, refusal.label).help(refusal.help.clone()) }
}

/// Warns of secrets in clear text.
fn clear(item: &Item<Source>, kind: &SourceKind, sink: &mut Sink) {
    let Some(request) = kind.probe() else { return };
    for clear in request.about().clear.into_iter().filter(|one| one.sure && one.part != Part::User) {
        let message = format!("{} of source `{}` looks like a secret in clear text", clear.part, item.name);
        let help = "secrets.key = { secret_file = \"/etc/firedrill/secrets/key\" }, and {key} in its place";
        let place = item.place_at(&clear.field.path(kind.name()), false);
        sink.push(Problem::warning(message).at(place, "readable by anyone with the file").help(help));
    }
}
