//! Judges the steps between attacks: their outcomes, and whether steps by hand were put back.
//!
//! Firedrill cannot see what a person does, so only the person's word counts. Without it a step is unknown, and it may be in force.

use firedrill_plan::plan::model::{Does, Step};

use super::{
    facts::Facts,
    format,
    step_card::{BackCard, StepCard},
    step_facts::StepFacts,
};
use crate::{
    log::{RunOutcome, StepOutcome},
    verdict::Verdict,
};

/// Returns the results of all steps.
pub(super) fn cards(facts: &Facts<'_>) -> Vec<StepCard> {
    facts.steps.iter().enumerate().map(|(index, step)| card(facts.ended, index, step)).collect()
}

/// Returns the result of a step; `ended` is the outcome of the run.
fn card(ended: Option<&RunOutcome>, index: usize, step: &StepFacts<'_>) -> StepCard {
    let Step { name, before, does, .. } = step.planned;
    let outcome = step.ended.map(|end| end.outcome);
    let why = match (&step.ended, step.began_us, ended) {
        (Some(end), ..) => end.words(),
        (None, Some(_), _) => "unknown: the log has no end of the step".to_owned(),
        (None, None, Some(outcome)) => format!("not run: the run had ended: {}", outcome.reason()),
        (None, None, None) => "not run: the log ends before it".to_owned(),
    };
    let verdict = match (outcome, does) {
        (Some(StepOutcome::Done), Does::Check { .. }) => Some(Verdict::Held),
        (Some(StepOutcome::Failed), Does::Check { .. }) => Some(Verdict::Violated),
        (Some(StepOutcome::Done | StepOutcome::Skipped), _) => None,
        (Some(StepOutcome::Failed | StepOutcome::Unknown), _) => Some(Verdict::Unknown),
        (None, _) => step.began_us.map(|_| Verdict::Unknown),
    };
    StepCard {
        index,
        name: name.clone(),
        before: *before,
        kind: does.word().to_owned(),
        says: does.said(),
        outcome,
        verdict,
        why,
        from_us: step.began_us,
        until_us: step.ended.map(|end| end.at_us),
        program: step.program.cloned(),
        back: does.undo().map(|undo| back(undo, step)),
    }
}

/// Returns whether a step was put back; `undo` is the task of the person.
fn back(undo: &str, step: &StepFacts<'_>) -> BackCard {
    let why = match (&step.back, step.back_asked_us) {
        (Some(end), _) if end.outcome == StepOutcome::Done => {
            let by = end.by.map(|by| format!(", says {by}")).unwrap_or_default();
            let note = if end.why.is_empty() { String::new() } else { format!(": {}", end.why) };
            format!("put back{by}{note}")
        }
        (Some(end), _) => format!("not known to be put back: {}", end.words()),
        (None, _) if !step.may_be_left() => "nothing to put back".to_owned(),
        (None, Some(_)) => "not known to be put back: the log ends before somebody says so".to_owned(),
        (None, None) => "not known to be put back: nobody was asked".to_owned(),
    };
    let at_us = step.back.map(|end| end.at_us);
    BackCard { says: undo.to_owned(), is_back: !step.may_be_left(), why, at_us }
}

/// Whether something that was done by hand may still be in force.
pub(super) fn may_be_left(facts: &Facts<'_>) -> bool {
    facts.steps.iter().any(StepFacts::may_be_left)
}

/// Returns the reasons why a run is not `held` that come from its steps.
pub(super) fn reasons(cards: &[StepCard]) -> Vec<String> {
    let skipped = |card: &&StepCard| card.from_us.is_none() || card.outcome == Some(StepOutcome::Skipped);
    let not_run: Vec<&str> = cards.iter().filter(skipped).map(|card| card.name.as_str()).collect();
    let mut why = Vec::new();
    if !not_run.is_empty() {
        why.push(format!("steps not run: {}", format::list(&not_run)));
    }
    let bad = cards.iter().filter(|card| card.verdict.is_some_and(|verdict| verdict != Verdict::Held));
    why.extend(bad.map(|card| format!("step \"{}\" ({}): {}", card.name, card.kind, card.why)));
    let left = cards.iter().filter_map(|card| Some((card, card.back.as_ref().filter(|back| !back.is_back)?)));
    why.extend(left.map(|(card, back)| {
        format!("step \"{}\" may still be in force: {} ({})", card.name, back.why, back.says)
    }));
    why
}

#[cfg(test)]
mod tests;
