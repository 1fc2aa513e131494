//! Draws the runs of a scenario as SVG: a column for each verdict, and above them the scores as a line. Colours come from the style sheet.

use std::fmt::Write as _;

use firedrill_judge::verdict::Verdict;

use crate::{entry::Entry, time::day};

/// The size of the drawing and its margins, in SVG units.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 176.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 12.0;
/// The y coordinate of the score 100.
const TOP: f64 = 14.0;
/// The y coordinate of the score 0.
const BOTTOM: f64 = 104.0;
/// The y coordinate of the top of the columns of verdicts.
const COLUMNS: f64 = 122.0;
/// The height of the highest column.
const COLUMN: f64 = 24.0;

/// Draws runs, which are sorted, the oldest first. `label` describes the drawing for screen readers.
pub(super) fn svg(runs: &[&Entry], label: &str) -> String {
    let step = (WIDTH - LEFT - RIGHT) / runs.len().max(1) as f64;
    let middle = |index: usize| LEFT + (index as f64 + 0.5) * step;
    let height = |score: u8| BOTTOM - (BOTTOM - TOP) * f64::from(score.min(100)) / 100.0;
    let mut text = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(label)
    );
    for score in [0, 50, 100] {
        let y = height(score);
        let _ = write!(
            text,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"scale\" x=\"{:.1}\" y=\"{:.1}\">{score}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
    // A run without a score makes a gap in the line: the next point begins with a move (`M`) in place of a line (`L`).
    let (mut path, mut dots, mut pen) = (String::new(), String::new(), 'M');
    for (index, entry) in runs.iter().enumerate() {
        let Some(score) = entry.score else {
            pen = 'M';
            continue;
        };
        let (x, y) = (middle(index), height(score));
        let _ = write!(path, "{pen}{x:.1} {y:.1}");
        let _ = write!(dots, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\"/>");
        pen = 'L';
    }
    if !path.is_empty() {
        let _ = write!(text, "<path class=\"score\" d=\"{path}\"/>{dots}");
    }
    let width = (step * 0.7).clamp(2.0, 16.0);
    // Columns differ in height, too, for people who cannot distinguish the colours.
    for (index, entry) in runs.iter().enumerate() {
        let (class, part) = match entry.verdict {
            Some(Verdict::Held) => ("v-held", 0.25),
            Some(Verdict::Violated) => ("v-violated", 1.0),
            Some(Verdict::Unknown) | None => ("v-unknown", 0.5),
        };
        let (x, height) = (middle(index) - width / 2.0, COLUMN * part);
        let _ = write!(
            text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            COLUMNS + COLUMN - height
        );
    }
    if let (Some(first), Some(last)) = (runs.first(), runs.last()) {
        let y = HEIGHT - 12.0;
        let _ = write!(text, "<text x=\"{LEFT}\" y=\"{y}\">{}</text>", day(first.at_s));
        if runs.len() > 1 {
            let _ = write!(
                text,
                "<text class=\"scale\" x=\"{:.1}\" y=\"{y}\">{}</text>",
                WIDTH - RIGHT,
                day(last.at_s)
            );
        }
    }
    text.push_str("</svg>");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
