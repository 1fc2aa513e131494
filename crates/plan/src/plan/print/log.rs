//! Prints the logs that are read, their hosts, and the objectives for them.

use std::fmt::Write as _;

use tabled::builder::Builder;

use super::table::{finish, word};
use crate::{
    alike,
    plan::model::{Log, LogObjective, Plan},
};

/// Writes the logs, and the objectives for them.
pub(super) fn write(out: &mut String, plan: &Plan, width: usize) -> std::fmt::Result {
    if plan.logs.is_empty() {
        return Ok(());
    }
    let mut table = Builder::default();
    table.push_record(["log", "file or unit", "on", "lines that match", "kept"]);
    for Log { spec, on } in &plan.logs {
        let hosts: Vec<&str> = on.iter().map(String::as_str).collect();
        table.push_record([
            spec.name.clone(),
            spec.file.clone(),
            alike::names(&hosts),
            spec.matches.clone(),
            format!("the first {} of a phase", spec.lines),
        ]);
    }
    writeln!(out, "\nLogs that agents read")?;
    writeln!(out, "{}", finish(table, width))?;
    if plan.log_objectives.is_empty() {
        return Ok(());
    }
    let mut table = Builder::default();
    table.push_record(["log objective", "log", "goal", "during"]);
    for LogObjective { name, log, goal, during } in &plan.log_objectives {
        let during: Vec<&str> = during.iter().map(|phase| word(*phase)).collect();
        table.push_record([name.clone(), log.clone(), goal.words(), during.join(", ")]);
    }
    writeln!(out, "\nObjectives for logs")?;
    writeln!(out, "{}", finish(table, width))
}
