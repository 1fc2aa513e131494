//! Refuses steps that say nothing or several things, and steps whose limits make no sense.

use firedrill_wire::Span;

use super::time::LONGEST_HOLD;
use crate::{
    diagnostic::{Item, Problem, Sink},
    scenario::{
        Scenario,
        step::{KINDS, Step},
    },
};

/// Minimum of a step's time limit.
const LEAST: Span = Span::secs(1);

/// Checks a step.
pub(super) fn refuse(step: &Item<Step>, scenario: &Scenario, sink: &mut Sink) {
    let (name, own) = (&step.name, &step.value);
    let mut push = |message: String, key: &str, label: &str, help: String| {
        sink.push(Problem::error(message).at(step.place_of_key(key), label).help(help));
    };
    let kinds: Vec<&str> = KINDS.into_iter().filter(|key| step.has(&[key])).collect();
    if let [first, second, ..] = kinds[..] {
        let message = format!("step `{name}` has both `{first}` and `{second}`");
        push(message, second, "a second thing", "make it two steps, one after the other".to_owned());
    }
    if own.undo.is_some() && !step.has(&["manual"]) {
        let message = format!("step `{name}` has `undo`, which only a step by hand has");
        let help = "firedrill does not undo programs; a later step can run another one".to_owned();
        push(message, "undo", "no step by hand", help);
    }
    for (key, text) in [("manual", &own.manual), ("undo", &own.undo)] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            let help = format!("{key} = \"…\", in words that a person can act on");
            push(format!("step `{name}` has an empty `{key}`"), key, "says nothing", help);
        }
    }
    for (key, argv) in [("check", &own.check), ("command", &own.command)] {
        if argv.as_ref().is_some_and(|argv| argv.first().is_none_or(|program| program.is_empty())) {
            let help = format!("{key} = [\"./verify.sh\", \"app1\"]: the program, then its arguments");
            push(format!("step `{name}` names no program"), key, "no program", help);
        }
    }
    if let Some(timeout) = own.timeout.as_ref().filter(|one| !(LEAST..=LONGEST_HOLD).contains(&one.value)) {
        let message = format!("step `{name}` has a time limit of {}", timeout.value);
        push(message, "timeout", "out of range", format!("from {LEAST} to {LONGEST_HOLD}"));
    }
    if let Some(attack) = scenario.attacks.iter().find(|attack| attack.name == *name) {
        let problem = Problem::error(format!("step `{name}` has the name of an attack"));
        sink.push(
            problem
                .at(step.place(), "this step")
                .also(attack.place(), "the attack")
                .help("rename one of them: people name both when they speak about a run"),
        );
    }
    // The scenario's lack of attacks is reported once, at its first step.
    let is_first = scenario.steps.first().is_some_and(|first| first.name == *name);
    if is_first && scenario.attacks.is_empty() {
        let problem = Problem::error("the scenario has steps, but no attack");
        sink.push(
            problem
                .at(step.place(), "a step")
                .help("[[attack]] with a fault: a drill without one shows nothing"),
        );
    }
}
