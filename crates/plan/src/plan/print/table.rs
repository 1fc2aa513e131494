//! The form of tables, and words in them.

use tabled::{
    builder::Builder,
    settings::{Style, Width, peaker::Priority},
};

use crate::plan::model::Phase;

/// Finishes a table; lines are at most `width` wide, where they can be broken.
pub(super) fn finish(table: Builder, width: usize) -> String {
    let mut table = table.build();
    table
        .with(Style::rounded())
        .with(Width::wrap(width.max(40)).keep_words(true).priority(Priority::max(true)));
    table.to_string()
}

/// Returns the word for a phase.
pub(super) const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Baseline => "baseline",
        Phase::Fault => "fault",
        Phase::Recovery => "recovery",
        Phase::Settle => "settle",
    }
}
