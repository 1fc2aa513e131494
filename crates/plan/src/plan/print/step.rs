//! Prints the steps between attacks: what a person does, and the programs that the coordinator runs.

use std::fmt::Write as _;

use super::super::model::{Does, Plan, Step, Then};

/// Writes the steps before an attack; for the number of attacks, those after the last one.
pub(super) fn write(out: &mut String, plan: &Plan, attack: usize) -> std::fmt::Result {
    plan.steps_before(attack).try_for_each(|(place, step)| one(out, place, step))
}

fn one(out: &mut String, place: usize, step: &Step) -> std::fmt::Result {
    writeln!(out, "\nStep {}. {}  [{}]", place + 1, step.name, step.does.word())?;
    let what = step.does.said();
    match &step.does {
        Does::Manual { undo, .. } => {
            writeln!(out, "   A person does this within {}: {what}", step.timeout)?;
            match undo {
                Some(undo) => {
                    writeln!(out, "   FIREDRILL CANNOT UNDO IT. At its end the run asks a person: {undo}")?;
                }
                None => writeln!(out, "   Firedrill cannot undo it, and asks nobody to put it back.")?,
            }
        }
        Does::Check { .. } => {
            writeln!(out, "   The coordinator runs this for at most {}: {what}", step.timeout)?;
            writeln!(out, "   Exit code 0 is good, any other makes the run violated.")?;
        }
        Does::Command { .. } => {
            writeln!(out, "   The coordinator runs this for at most {}: {what}", step.timeout)?;
            writeln!(out, "   FIREDRILL CANNOT UNDO IT.")?;
        }
    }
    match step.on_failure {
        Then::Stop => writeln!(out, "   If it fails, or if nobody knows, the run stops."),
        Then::Continue => {
            writeln!(out, "   If it fails, or if nobody knows, the run goes on, and does not hold.")
        }
    }
}

/// Returns the number of steps, for the summary; empty without any.
pub(super) fn summary(plan: &Plan) -> String {
    let by_hand = plan.steps.iter().filter(|step| step.does.argv().is_none()).count();
    let parts = [(by_hand, "by hand"), (plan.steps.len() - by_hand, "by a program here")];
    let parts = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("; {count} step{} {how}", crate::diagnostic::plural(count)));
    parts.collect()
}
