//! The formats of GitHub Actions: workflow commands, which become annotations when they are printed, and Markdown, which becomes the job's summary.
//!
//! Commands are escaped the way GitHub's runner decodes them: `%`, carriage return and line feed in messages, also `:` and `,` in properties.

use std::fmt::Write as _;

use super::place::{Place, Places};
use crate::{
    baseline::Results,
    compare::{Row, Side},
    gate::{Gate, Reason},
};

/// Maximum number of reasons that become annotations of a level. GitHub shows ten annotations for each step; the tenth says how many more there are.
const ANNOTATIONS: usize = 9;
/// Maximum number of rows of each table: GitHub limits the summary to 1 MiB.
const ROWS: usize = 200;

/// Returns the workflow commands, one on each line: an error for each reason that fails the gate, a warning for each reason that is allowed, and a notice
/// if the run passes the gate.
#[must_use]
pub fn annotations(run: &Results, decided: &Gate, places: Places<'_>) -> String {
    let mut text = String::new();
    for (level, allowed) in [("error", false), ("warning", true)] {
        let of_level: Vec<&Reason> =
            decided.reasons.iter().filter(|reason| reason.allowed == allowed).collect();
        for reason in of_level.iter().take(ANNOTATIONS) {
            let title = format!("{}: {}", run.scenario, reason.kind.word());
            text += &command(level, &title, places(reason.attack.as_deref()), &reason.text);
        }
        if of_level.len() > ANNOTATIONS {
            let rest = format!(
                "and {} more: see the job's summary, or `firedrill gate`",
                of_level.len() - ANNOTATIONS
            );
            text += &command(level, &run.scenario, None, &rest);
        }
    }
    if decided.exit == 0 {
        let score = run.score.map_or_else(String::new, |score| format!(", score {score}"));
        text += &command(
            "notice",
            &format!("{}: passes", run.scenario),
            None,
            &format!("{}{score}", run.verdict),
        );
    }
    text
}

/// Returns a workflow command.
fn command(level: &str, title: &str, place: Option<Place>, message: &str) -> String {
    let place = place.map_or_else(String::new, |place| {
        format!("file={},line={},", escape_property(&place.file), place.line)
    });
    format!("::{level} {place}title={}::{}\n", escape_property(title), escape_message(message))
}

/// Escapes a message.
fn escape_message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn escape_property(text: &str) -> String {
    escape_message(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns the job's summary as Markdown.
#[must_use]
pub fn summary(run: &Results, decided: &Gate) -> String {
    let outcome = if decided.exit == 0 { "✅ passes" } else { "❌ fails" };
    let score = run.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
    let id = run.run.as_deref().map_or_else(|| "run without an id".to_owned(), |id| format!("run {id}"));
    let mut text = format!(
        "## {outcome}: {}\n\n{}, {score}, exit code {} · {}\n",
        plain(&run.scenario),
        run.verdict,
        decided.exit,
        plain(&id)
    );
    if !decided.reasons.is_empty() {
        text.push_str("\n| kind | reason |\n|---|---|\n");
        for reason in decided.reasons.iter().take(ROWS) {
            let allowed = if reason.allowed { " (allowed)" } else { "" };
            let _ = writeln!(text, "| {}{allowed} | {} |", reason.kind.word(), plain(&reason.text));
        }
        note_if_cut(&mut text, decided.reasons.len());
    }
    match &decided.comparison {
        Some(comparison) => {
            text.push_str("\n| attack | objective | baseline | this run | change |\n|---|---|---|---|---|\n");
            for row in comparison.rows.iter().take(ROWS) {
                write_row(&mut text, row);
            }
            note_if_cut(&mut text, comparison.rows.len());
        }
        None => {
            text.push_str("\n| attack | objective | goal | measured | verdict |\n|---|---|---|---|---|\n");
            let rows = run
                .attacks
                .iter()
                .flat_map(|attack| attack.objectives.iter().map(move |objective| (attack, objective)));
            for (attack, objective) in rows.clone().take(ROWS) {
                let side = Side { verdict: objective.verdict, measured: objective.measured };
                let cells =
                    [&attack.name, &objective.name, &objective.goal, &side.figure()].map(|cell| plain(cell));
                let _ = writeln!(text, "| {} | {} |", cells.join(" | "), objective.verdict);
            }
            note_if_cut(&mut text, rows.count());
        }
    }
    text.push('\n');
    text
}

/// Adds a line with the number of rows, if some were left out.
fn note_if_cut(text: &mut String, total: usize) {
    if total > ROWS {
        let _ = writeln!(text, "\n{ROWS} of {total} are shown.");
    }
}

/// Adds a row of the comparison.
fn write_row(text: &mut String, row: &Row) {
    let side = |side: Option<Side>| {
        side.map_or_else(|| "—".to_owned(), |side| format!("{} {}", side.verdict, side.figure()))
    };
    let cells = [&row.attack, &row.objective, &side(row.before), &side(row.after)].map(|cell| plain(cell));
    let _ = writeln!(text, "| {} | {} |", cells.join(" | "), row.change.word());
}

/// Escapes the markup of Markdown and HTML, and makes mentions (`@name`) ineffective. Web addresses stay links.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(letter);
            }
            // An invisible character (word joiner) after the `@`: otherwise a mention would notify people at every run.
            '@' => safe.push_str("@\u{2060}"),
            '&' => safe.push_str("&amp;"),
            '\n' | '\r' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_escaped_as_the_runner_reads_them() {
        assert_eq!(escape_message("99 % in\r\n:a,b"), "99 %25 in%0D%0A:a,b");
        assert_eq!(escape_property("a:b, 5 %\n"), "a%3Ab%2C 5 %25%0A");
        let place = Place { file: "a,b.toml".to_owned(), line: 3 };
        assert_eq!(
            command("error", "t", Some(place), "m\n::error::x"),
            "::error file=a%2Cb.toml,line=3,title=t::m%0A::error::x\n"
        );
        assert_eq!(plain("<b>|@team *x*&"), "\\<b\\>\\|@\u{2060}team \\*x\\*&amp;");
    }
}
