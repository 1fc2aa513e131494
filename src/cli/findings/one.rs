//! One finding for the terminal, or as JSON.

use firedrill_history::{Finding, Severity};

use crate::cli::{failure::Result, output::print_json};

/// Prints one finding.
pub(super) fn print(finding: &Finding, json: bool) -> Result<()> {
    if json {
        return print_json(finding);
    }
    let said = |name: &str, text: &str| {
        let text = if text.is_empty() { "—" } else { text };
        format!("  {name}: {text}")
    };
    outln!("{}  {}  {}", finding.id, finding.scenario, finding.what());
    if finding.is_by_person() {
        outln!("{}", said("found by", &finding.by));
        outln!("{}", said("state", finding.state.word()));
    }
    outln!("{}", said("owner", &finding.owner));
    outln!("{}", said("severity", finding.severity.map_or("", Severity::word)));
    outln!("{}", said("ticket", &finding.ticket));
    outln!("{}", said("follow-up", &finding.follow_up));
    outln!("{}", said("note", &finding.note));
    Ok(())
}
