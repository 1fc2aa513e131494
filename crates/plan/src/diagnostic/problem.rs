//! A problem of a file: its severity, message and places. Never decides what a problem is.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

/// Index of a file among those that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) usize);

/// Some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub at: Range<usize>,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path, as it was given.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
    /// The offsets at which its second and later lines begin; computed when first needed.
    pub(super) lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// Returns the line of a byte, from 1. The file is scanned once, also for many problems.
    pub(super) fn line(&self, byte: usize) -> usize {
        let starts = self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            breaks.map(|(at, _)| at + 1).collect()
        });
        starts.partition_point(|start| *start <= byte) + 1
    }
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It prevents the run.
    Error,
    /// It is a warning.
    Warning,
}

/// An error or a warning.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
    /// The text at the caret.
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    /// Related places, each with the text at its mark.
    pub(crate) also: Vec<(Place, String)>,
}

impl Problem {
    /// Creates an error.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: "here".to_owned(),
            help: None,
            also: Vec::new(),
        }
    }

    /// Creates a warning.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Sets the place, and the text at the caret.
    #[must_use]
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.place = Some(place);
        self.label = label.into();
        self
    }

    /// Sets the correction.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a related place.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }
}

/// Returns the file of a place, and its bytes limited to the text, to character boundaries, and to one line.
pub(super) fn located<'s>(sources: &'s [Source], place: &Place) -> Option<(&'s Source, Range<usize>)> {
    let source = sources.get(place.file.0)?;
    let text = &source.text;
    let start = text.floor_char_boundary(place.at.start.min(text.len()));
    let end = text.ceil_char_boundary(place.at.end.clamp(start, text.len()));
    let length = text[start..end].split(['\n', '\r']).next().unwrap_or("").len();
    Some((source, start..start + length))
}
