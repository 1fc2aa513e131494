//! Reports from a log: one file a format, each a function from [`Input`] to bytes.
//!
//! Nothing here judges, asks anyone or needs a network; the same log gives the same bytes at any time.

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
    whole,
};

use view::{ChartView, Sketch};
pub(crate) use view::{
    alarm,
    alike::{hosts, reasons},
    measured,
};

/// What a report is made of.
pub struct Input<'a> {
    pub(crate) log: &'a Log,
    pub(crate) facts: Facts<'a>,
    pub(crate) card: Scorecard,
    /// The charts of the whole run, and those of each attack.
    timelines: Vec<ChartView>,
    zooms: Vec<Vec<ChartView>>,
}

impl<'a> Input<'a> {
    /// Judges a log, ready to be rendered. What was measured is read once, a part at a time, and drawn on the way.
    #[must_use]
    pub fn new(log: &'a Log) -> Self {
        let facts = Facts::of(log);
        let mut sketch = Sketch::new(facts.plan, facts.last_us);
        let card = score::of(&facts, log, &mut sketch);
        let (timelines, zooms) = sketch.charts(&card);
        Self { log, facts, card, timelines, zooms }
    }

    /// The verdicts and figures.
    #[must_use]
    pub const fn card(&self) -> &Scorecard {
        &self.card
    }
}

/// A kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Format {
    /// One page for people, without any other file.
    Html,
    /// Everything, for programs.
    Json,
    /// A summary for tickets and pull requests.
    Markdown,
    /// For CI: violated is a failure, unknown an error, not run skipped.
    Junit,
}

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The template failed: a bug.
    #[error("cannot render the page")]
    Html(#[from] minijinja::Error),
    /// A value could not be put into JSON: a bug.
    #[error("cannot render JSON")]
    Json(#[from] serde_json::Error),
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Format {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Html, Self::Json, Self::Markdown, Self::Junit];

    /// Its file's name beside the log.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Json => "report.json",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
        }
    }

    /// The report's bytes.
    ///
    /// # Errors
    /// Only where a template or serialiser fails, which would be a bug.
    pub fn render(self, input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Html => html::render(input),
            Self::Json => json::render(input),
            Self::Markdown => Ok(markdown::render(input)),
            Self::Junit => Ok(junit::render(input)),
        }
    }
}

/// Renders some kinds into a folder; answers the files' paths, in the same order. A file is whole or not there.
///
/// # Errors
/// A report could not be rendered or written.
pub fn write(folder: &Path, input: &Input<'_>, formats: &[Format]) -> Result<Vec<PathBuf>, ReportError> {
    let mut paths = Vec::new();
    for format in formats {
        let path = folder.join(format.file());
        let bytes = format.render(input)?;
        whole::replace(&path, &bytes).map_err(|source| ReportError::Write { path: path.clone(), source })?;
        paths.push(path);
    }
    Ok(paths)
}

/// Renders all kinds into a folder; answers the scorecard and the files' paths.
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
