//! Refuses questions in `pick_by` that cannot be asked, and uses of a target with `pick_by` that make no sense.

use firedrill_probe::{Stores, refusals, unreadable};
use firedrill_wire::{
    Span,
    probe::{ProbeKind, Refusal, Shows},
};

use crate::{
    diagnostic::{Item, Problem, Severity, Sink},
    plan::{
        machine::Machine,
        model::{Ask, Candidate, names_candidate},
        partition::has_group,
        resolve::Draft,
        timing,
    },
    scenario::{
        Scenario,
        pick_by::{PickBy, spec},
        target::Target,
    },
};

/// Minimum time for an answer.
const LEAST: Span = Span::millis(100);
/// Maximum time for an answer.
const MOST: Span = Span::secs(60);

/// Checks every target with `pick_by`, without its hosts.
pub(super) fn refuse(scenario: &Scenario, machine: Machine, stores: &dyn Stores, sink: &mut Sink) {
    for item in &scenario.targets {
        if let Some(by) = &item.value.pick_by {
            questions(item, &by.value, sink);
            command(item, &by.value, sink);
            // An address of documentation (RFC 5737) in place of a candidate's.
            let sample = Candidate { host: String::new(), addresses: vec![[192, 0, 2, 1].into()] };
            requests(item, &by.value, &[sample], (machine, stores), sink);
            others(item, sink);
            uses(item, scenario, sink);
        }
    }
}

/// Refuses candidates that cannot be asked.
pub(super) fn refuse_hosts(scenario: &Scenario, draft: &Draft, sink: &mut Sink) {
    for moving in &draft.moving {
        let (Some(item), Ask::Request(kind)) = (scenario.target(&moving.target), &moving.ask) else {
            continue;
        };
        for candidate in &moving.candidates {
            let wrong = match candidate.request(kind) {
                None => Some("it has no address".to_owned()),
                Some(asked) => {
                    let wrong = refusals(&spec(&moving.target, asked, moving.timeout));
                    wrong.into_iter().next().map(|refusal| refusal.what)
                }
            };
            // A request that cannot be sent to any host has been reported.
            let Some(wrong) = wrong.filter(|_| !sink.failed()) else { continue };
            let message = format!("`{}` cannot be asked whether it is the leader: {wrong}", candidate.host);
            let place = item.place_at(&["pick_by", kind.name()], true);
            let help = "`{host}` stands for the first address of the host in the fleet";
            sink.push(Problem::error(message).at(place, "the question").help(help));
        }
    }
}

/// Checks that there is exactly one question.
fn questions(item: &Item<Target>, by: &PickBy, sink: &mut Sink) {
    let command = by.command.iter().map(|_| "command");
    let requests = by.requests();
    let names: Vec<&str> = requests.iter().map(|one| one.value.name()).chain(command).collect();
    match names[..] {
        [] if !item.broken => sink.push(
            Problem::error(format!("`pick_by` of target `{}` asks nothing", item.name))
                .at(item.place_of_key("pick_by"), "no question")
                .help("pick_by = { tcp = { address = \"{host}:6379\", send = \"ROLE\\r\\n\", expect = \"master\" } }, or { command = [\"./leader.sh\"] }"),
        ),
        [first, second, ..] => sink.push(
            Problem::error(format!("`pick_by` of target `{}` has two questions", item.name))
                .at(item.place_at(&["pick_by", second], true), format!("besides `{first}`"))
                .help("keep one: one answer decides who the leader is"),
        ),
        _ => {}
    }
}

/// Checks the program and the time-out of a question.
fn command(item: &Item<Target>, by: &PickBy, sink: &mut Sink) {
    let Some(argv) = &by.command else { return };
    if argv.value.first().is_none_or(String::is_empty) {
        let problem = Problem::error(format!("`pick_by` of target `{}` names no program", item.name));
        let help = "command = [\"./leader.sh\"]: the program, then its arguments";
        sink.push(problem.at(item.place_at(&["pick_by", "command"], true), "no program").help(help));
    }
    if !(LEAST..=MOST).contains(&by.timeout.value) {
        let problem =
            Problem::error(format!("`pick_by` of target `{}` waits for {}", item.name, by.timeout.value));
        let place = item.place_at(&["pick_by", "timeout"], true);
        sink.push(problem.at(place, "out of range").help(format!("from {LEAST} to {MOST}")));
    }
}

/// Refuses requests that the prober cannot send, and those that are the same for all hosts.
fn requests(
    item: &Item<Target>,
    by: &PickBy,
    to: &[Candidate],
    (machine, stores): (Machine, &dyn Stores),
    sink: &mut Sink,
) {
    for request in by.requests() {
        let kind = &request.value;
        if kind.about().shows == Shows::Keeps {
            let problem = Problem::error(format!("`pick_by` of target `{}` would write records", item.name));
            let help = "a question that changes nothing, for instance `postgres` or `redis` with a `role`";
            sink.push(problem.at(item.place_of(&request.at), "no question").help(help));
            continue;
        }
        if !names_candidate(kind) {
            let problem = Problem::error(format!(
                "`pick_by` of target `{}` asks the same of every host: `{{host}}` is not in its request",
                item.name
            ));
            let help = "write {host} where the host's address belongs, as in \"{host}:6379\"";
            sink.push(problem.at(item.place_of(&request.at), "no {host}").help(help));
            continue;
        }
        for asked in to.iter().filter_map(|candidate| candidate.request(kind)) {
            let spec = spec(&item.name, asked, by.timeout.value);
            let wrong = refusals(&spec);
            let here = if wrong.is_empty() { unreadable(&spec, stores) } else { Vec::new() };
            wrong.iter().for_each(|refusal| sink.push(problem(item, kind, refusal, Severity::Error)));
            for refusal in here {
                let elsewhere = match machine {
                    Machine::This => Severity::Error,
                    Machine::Any => Severity::Warning,
                };
                sink.push(problem(item, kind, &refusal, elsewhere));
            }
        }
    }
}

/// Returns the problem of a request, at its place in `pick_by`.
fn problem(item: &Item<Target>, kind: &ProbeKind, refusal: &Refusal, severity: Severity) -> Problem {
    let inner = refusal.field.path(kind.name());
    let path: Vec<&str> = std::iter::once("pick_by").chain(inner.iter().copied()).collect();
    let place = item.place_at(&path, refusal.field.is_key());
    let problem = Problem::error(refusal.what.clone()).at(place, refusal.label).help(refusal.help.clone());
    Problem { severity, ..problem }
}

/// Refuses the other keys that choose hosts.
fn others(item: &Item<Target>, sink: &mut Sink) {
    let given = [("pick", item.value.pick.is_some()), ("group_by", item.value.group_by.is_some())];
    for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        let message = format!("target `{}` has `{key}` besides `pick_by`, which picks one host", item.name);
        let problem = Problem::error(message).at(item.place_of_key(key), "a second choice");
        sink.push(problem.also(item.place_of_key("pick_by"), "the first").help(format!("leave `{key}` out")));
    }
}

/// Refuses each use of the target other than `on` of an attack: it would be about all candidates, not about the leader.
fn uses(target: &Item<Target>, scenario: &Scenario, sink: &mut Sink) {
    let name = target.name.as_str();
    let mut refuse = |place, what: &str| {
        let message =
            format!("target `{name}` moves, so it can only be the `on` of an attack, and not {what}");
        let help = "make another target with the same `where`, without `pick_by`";
        sink.push(
            Problem::error(message).at(place, "moves").also(target.place_of_key("pick_by"), "why").help(help),
        );
    };
    for probe in &scenario.probes {
        for from in probe.value.from.iter().filter(|from| from.value == name) {
            refuse(probe.place_of(&from.at), "a vantage");
        }
    }
    for log in scenario.logs.iter().filter(|log| log.value.on.value == name) {
        refuse(log.place_of(&log.value.on.at), "the hosts of a log");
    }
    for attack in &scenario.attacks {
        if let Some(for_each) = attack.value.for_each.as_ref().filter(|_| attack.value.on.value == name) {
            refuse(attack.place_of(&for_each.at), "gone through by `for_each`");
        }
        for part in timing::parts(attack, scenario) {
            let mut fault = part.fault.clone();
            let named = has_group(&fault, name)
                || fault.selectors_mut().into_iter().any(|list| list.iter().any(|peer| peer == name));
            if named {
                refuse(attack.place_of_value(name), "a peer of a fault");
            }
        }
    }
}
