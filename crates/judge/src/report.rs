//! Renders reports from a log: one file per format, each a function from [`Input`] to bytes.
//!
//! Nothing here judges, asks a host or needs a network; the same log gives the same bytes at any time.

mod chart;
mod columns;
mod html;
mod json;
mod junit;
mod markdown;
mod view;

use std::path::{Path, PathBuf};

use crate::{
    log::Log,
    score::{self, Facts, Scorecard},
};

use firedrill_files::whole;
use view::{ChartView, Sketch};
pub use view::{
    alarm,
    alike::{hosts, reasons},
    measured,
};

/// The input of reports.
pub struct Input<'a> {
    pub(crate) log: &'a Log,
    pub(crate) facts: Facts<'a>,
    pub(crate) card: Scorecard,
    /// The charts of the whole run, and those of each attack.
    timelines: Vec<ChartView>,
    zooms: Vec<Vec<ChartView>>,
}

impl<'a> Input<'a> {
    /// Judges a log and prepares it for rendering. Measurements are read once, one block at a time, and drawn on the
    /// way.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        let facts = Facts::of(log);
        let mut sketch = Sketch::new(facts.plan, facts.last_us);
        let card = score::of(&facts, log, &mut sketch);
        let (timelines, zooms) = sketch.charts(&card);
        Self { log, facts, card, timelines, zooms }
    }

    /// Returns the verdicts and figures.
    #[must_use]
    pub const fn card(&self) -> &Scorecard {
        &self.card
    }
}

/// A format of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A single page for people.
    Html,
    /// All results, for programs.
    Json,
    /// A summary for tickets and pull requests.
    Markdown,
    /// For CI: a violation is a failure, `unknown` an error, an attack that did not run is skipped.
    Junit,
}

/// A report could not be rendered or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The template failed, which is a bug.
    #[error("cannot render the page")]
    Html(#[from] minijinja::Error),
    /// A value could not be serialized, which is a bug.
    #[error("cannot render JSON")]
    Json(#[from] serde_json::Error),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Html, Self::Json, Self::Markdown, Self::Junit];

    /// Returns the name of its file beside the log.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Json => "report.json",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
        }
    }

    /// Renders the report.
    ///
    /// # Errors
    /// A template or serializer failed, which is a bug.
    pub fn render(self, input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Html => html::render(input),
            Self::Json => json::render(input),
            Self::Markdown => Ok(markdown::render(input)),
            Self::Junit => Ok(junit::render(input)),
        }
    }
}

/// Renders some formats into a folder; returns the files' paths in the same order. Files are written atomically.
///
/// # Errors
/// A report could not be rendered or written.
pub fn write(folder: &Path, input: &Input<'_>, formats: &[Format]) -> Result<Vec<PathBuf>, ReportError> {
    let mut paths = Vec::new();
    for format in formats {
        let path = folder.join(format.file());
        let bytes = format.render(input)?;
        whole::replace(&path, &bytes, whole::USUAL)
            .map_err(|source| ReportError::Write { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}

/// Renders all formats into a folder; returns the scorecard and the files' paths.
///
/// # Errors
/// A report could not be rendered or written.
pub fn write_all(folder: &Path, log: &Log) -> Result<(Scorecard, Vec<PathBuf>), ReportError> {
    let input = Input::new(log);
    let paths = write(folder, &input, &Format::ALL)?;
    Ok((input.card, paths))
}

#[cfg(test)]
mod tests;
