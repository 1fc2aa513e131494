//! The page on refusals: one line for each code, by the list of the codes.

use std::fmt::Write as _;

use firedrill_wire::RefusalCode;

use super::names::cell;

/// The text above the tables.
const HEAD: &str = include_str!("refusals.md");

/// Returns the page on refusals.
#[must_use]
pub fn refusals() -> String {
    let mut out = HEAD.trim_end().to_owned();
    for (group, codes) in RefusalCode::GROUPS {
        let _ = write!(out, "\n\n## {group}\n| code | meaning | what to do | status |\n|---|---|---|---|\n");
        let rows: Vec<String> = codes.iter().map(row).collect();
        out.push_str(&rows.join("\n"));
    }
    out.push('\n');
    out
}

fn row(code: &RefusalCode) -> String {
    format!("| `{code}` | {} | {} | {} |", cell(code.meaning()), cell(code.remedy()), code.status())
}
