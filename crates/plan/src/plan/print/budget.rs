//! The error budgets that the drill burns of.

use std::fmt::Write as _;

use firedrill_wire::Span;
use tabled::builder::Builder;

use super::table::finish;
use crate::plan::model::Plan;

/// Writes the error budgets.
pub(super) fn write(out: &mut String, plan: &Plan, width: usize) -> std::fmt::Result {
    if plan.budgets.is_empty() {
        return Ok(());
    }
    let mut table = Builder::default();
    table.push_record(["error budget of", "target", "burns less than", "a minute without service burns"]);
    for (objective, budget) in &plan.budgets {
        let minute = budget.burnt(1.0, Span::secs(60)) * 100.0;
        table.push_record([
            objective.clone(),
            budget.words(),
            budget.burn_below.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string()),
            format!("{}%", (minute * 1000.0).round() / 1000.0),
        ]);
    }
    writeln!(out, "\nError budgets")?;
    writeln!(out, "{}", finish(table, width))
}
