//! Renders reports from a log: one file per format, each a function from [`Input`] to bytes.
//!
//! Nothing here judges, asks a host or needs a network; the same log gives the same bytes at any time.

mod axis;
mod chart;
mod columns;
mod data;
mod error;
mod found;
mod heat;
mod html;
mod input;
mod json;
mod judged;
pub mod junit;
mod markdown;
mod names;
mod openmetrics;
mod otlp;
mod rates;
mod steps;
mod style;
mod values;
mod view;

use std::path::{Path, PathBuf};

use firedrill_files::whole;

use crate::{log::Log, score::Scorecard};

pub use axis::{Axis, AxisChart, axis};
pub use error::ReportError;
pub use found::Found;
pub use input::Input;
pub use judged::Judged;
pub use style::STYLE;
pub use view::{
    alarm,
    alike::{hosts, reasons},
    measured,
};

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
    /// For Prometheus: the node exporter's textfile collector, or a Pushgateway.
    OpenMetrics,
    /// For collectors of traces: the run as spans of OpenTelemetry, in the JSON of OTLP.
    Otlp,
}

impl Format {
    /// The formats that are written unless others are asked for.
    pub const ALL: [Self; 4] = [Self::Html, Self::Json, Self::Markdown, Self::Junit];
    /// All formats.
    pub const EVERY: [Self; 6] =
        [Self::Html, Self::Json, Self::Markdown, Self::Junit, Self::OpenMetrics, Self::Otlp];

    /// Returns the name of its file beside the log.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Json => "report.json",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
            Self::OpenMetrics => "metrics.prom",
            Self::Otlp => "trace.json",
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
            Self::OpenMetrics => Ok(openmetrics::render(input)),
            Self::Otlp => otlp::render(input),
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

/// Renders the formats of [`Format::ALL`] into a folder; returns the scorecard and the files' paths.
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
