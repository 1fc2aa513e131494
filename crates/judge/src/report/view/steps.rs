//! Describes the steps between attacks as rows of a table.

use serde::Serialize;

use super::words::NONE;
use crate::{
    log::StepOutcome,
    score::{
        card::{StepCard, verdict_word},
        format,
    },
    verdict::Verdict,
};

/// A step.
#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The task of a person, or the program with its arguments.
    pub(crate) says: String,
    /// Start and end.
    pub(crate) when: String,
    /// Its verdict or outcome in a word.
    pub(crate) word: &'static str,
    /// The symbol of its verdict or outcome.
    pub(crate) glyph: &'static str,
    /// The reason of its outcome; empty if it would only repeat [`Self::word`].
    pub(crate) why: String,
    /// The last lines of its program.
    pub(crate) lines: Vec<String>,
    /// A sentence that says how to put it back; empty if there is nothing to put back.
    pub(crate) undo: String,
    /// A sentence that says whether it was put back; empty if there is nothing to put back.
    pub(crate) back: String,
}

/// Returns one row for each step.
pub(super) fn all(cards: &[StepCard]) -> Vec<StepView> {
    cards.iter().map(view).collect()
}

/// Formats a step.
fn view(card: &StepCard) -> StepView {
    let when = |us: Option<i64>| us.map_or_else(|| NONE.to_owned(), format::clock);
    let word = match (card.verdict, card.outcome) {
        (Some(verdict), _) => verdict_word(Some(verdict)),
        (None, Some(outcome)) => outcome.word(),
        (None, None) => "not run",
    };
    let program = card.program.as_ref();
    let left_out =
        program.filter(|end| end.left_out > 0).map(|end| format!("… {} lines before", end.left_out));
    let lines = left_out.into_iter().chain(program.into_iter().flat_map(|end| end.lines.iter().cloned()));
    let (undo, back) =
        card.back.as_ref().map(|back| (back.says.clone(), back.why.clone())).unwrap_or_default();
    StepView {
        number: card.index + 1,
        name: card.name.clone(),
        kind: card.kind.clone(),
        says: card.says.clone(),
        when: match card.from_us {
            Some(from) => format!("{} – {}", format::clock(from), when(card.until_us)),
            None => NONE.to_owned(),
        },
        word,
        glyph: if card.outcome == Some(StepOutcome::Done) {
            "✓"
        } else {
            card.verdict.map_or("–", Verdict::glyph)
        },
        why: if card.why == word { String::new() } else { card.why.clone() },
        lines: lines.collect(),
        undo,
        back,
    }
}
