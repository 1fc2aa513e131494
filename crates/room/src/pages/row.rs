//! A run as a row in a list, with the symbols and colours of results.

use std::path::Path;

use firedrill_history::{Entry, address, minute};
use serde::Serialize;

use crate::runs::find;

/// Returns the symbol beside the word of a result, for people who cannot distinguish the colours.
pub(crate) fn glyph(word: &str) -> &'static str {
    match word {
        "held" => "✓",
        "violated" => "✕",
        "running" => "▶",
        "stopped" => "■",
        "unclean" => "!",
        "refused" => "–",
        _ => "?",
    }
}

/// Returns the CSS class of a word's colours in the style sheet of reports.
pub(crate) fn colours(word: &str) -> &'static str {
    match word {
        "held" => "held",
        "violated" | "unclean" => "violated",
        "refused" => "notrun",
        "running" => "running",
        _ => "unknown",
    }
}

/// A row of a list of runs.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    folder: String,
    /// True if the run has a page. A folder that is a link to another directory has none.
    page: bool,
    /// The folder's name in an address.
    address: String,
    time: String,
    scenario: String,
    environment: String,
    operator: String,
    word: &'static str,
    colours: &'static str,
    glyph: &'static str,
    /// The score, or `—`.
    score: String,
    /// The damage, or the objectives that were violated; may be empty.
    told: String,
}

impl Row {
    /// Returns the row of a run. `reports` is the directory of runs.
    pub(crate) fn of(entry: &Entry, reports: &Path) -> Self {
        // Maximum number of violated objectives that a row names.
        const NAMED: usize = 3;
        let word = entry.ended_as(entry.is_running(reports));
        let mut told = entry
            .damage
            .clone()
            .unwrap_or_else(|| entry.violated.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "));
        if entry.damage.is_none() && entry.violated.len() > NAMED {
            told.push_str(&format!(" and {} more", entry.violated.len() - NAMED));
        }
        Self {
            page: find(reports, &entry.folder).is_some(),
            address: address(&entry.folder),
            folder: firedrill_wire::text::clean(&entry.folder, 80).into_owned(),
            time: minute(entry.at_s),
            scenario: entry.scenario.clone().unwrap_or_else(|| "—".to_owned()),
            environment: entry.environment.clone().unwrap_or_default(),
            operator: entry.operator.clone().unwrap_or_default(),
            word,
            colours: colours(word),
            glyph: glyph(word),
            score: entry.score.map_or_else(|| "—".to_owned(), |score| score.to_string()),
            told: firedrill_wire::text::clean(&told, 300).into_owned(),
        }
    }
}
