//! Prints tables for people and JSON for machines.

use super::failure::Result;

/// Formats rows as a table with aligned columns; without spaces at the ends of lines.
pub(super) fn table(rows: Vec<Vec<String>>) -> String {
    use tabled::{builder::Builder, settings::Style};
    let padded = Builder::from_iter(rows).build().with(Style::blank()).to_string();
    padded.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    outln!("{text}");
    Ok(())
}

/// Returns the width of the terminal in columns, at least 60; 110 without a terminal.
pub(super) fn width() -> usize {
    terminal_size::terminal_size().map_or(110, |(columns, _)| usize::from(columns.0).max(60))
}
