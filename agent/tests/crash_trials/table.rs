//! The table of results: trials by kind of fault and by damage.

use std::{collections::BTreeMap, fmt::Write as _};

use super::trial::Outcome;

/// The results of some trials.
#[derive(Default)]
struct Cell {
    /// Number of trials.
    trials: usize,
    /// Number of trials with an effect in place when the first process was hit.
    broke: usize,
    /// Number of trials with a problem.
    left: usize,
}

impl Cell {
    fn add(&mut self, outcome: &Outcome) {
        self.trials += 1;
        self.broke += usize::from(outcome.broke);
        self.left += usize::from(outcome.problem.is_some());
    }
}

/// Returns the table, as Markdown.
pub(crate) fn of(outcomes: &[Outcome], first: u64, count: u64) -> String {
    let (mut kinds, mut damages, mut total) = (BTreeMap::new(), BTreeMap::new(), Cell::default());
    for outcome in outcomes {
        total.add(outcome);
        for kind in &outcome.kinds {
            kinds.entry(kind.as_str()).or_insert_with(Cell::default).add(outcome);
        }
        damages.entry(outcome.damage.as_str()).or_insert_with(Cell::default).add(outcome);
    }
    let mut text = format!(
        "\ncrash trials {first} to {}: {} trials, {} with something broken when the first process was hit, {} with leftovers\n",
        first + count - 1,
        total.trials,
        total.broke,
        total.left
    );
    for (title, cells) in [("fault", kinds), ("besides", damages)] {
        let _ = write!(text, "\n| {title} | trials | broken when hit | leftovers |\n|---|---|---|---|\n");
        for (name, cell) in cells {
            let _ = writeln!(text, "| {name} | {} | {} | {} |", cell.trials, cell.broke, cell.left);
        }
    }
    text
}
