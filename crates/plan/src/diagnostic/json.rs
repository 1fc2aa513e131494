//! Problems as data for machines. Only converts them.

use serde::Serialize;

use super::problem::{Problem, Severity, Source, located};

/// A problem for machines; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonProblem {
    /// Whether it prevents the run.
    pub severity: Severity,
    /// The message.
    pub message: String,
    /// The correction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Its end, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<JsonEnd>,
}

/// The end of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JsonEnd {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl JsonProblem {
    pub(super) fn new(problem: &Problem, sources: &[Source]) -> Self {
        let place = problem.place.as_ref().and_then(|place| located(sources, place));
        let ends =
            place.as_ref().map(|(source, at)| (line_column(source, at.start), line_column(source, at.end)));
        Self {
            severity: problem.severity,
            message: problem.message.clone(),
            help: problem.help.clone(),
            file: place.map(|(source, _)| source.name.clone()),
            line: ends.map(|((line, _), _)| line),
            column: ends.map(|((_, column), _)| column),
            end: ends.map(|(_, (line, column))| JsonEnd { line, column }),
        }
    }
}

/// Returns line and column of a byte, both from 1.
fn line_column(source: &Source, offset: usize) -> (usize, usize) {
    let text = &source.text;
    let end = text.floor_char_boundary(offset.min(text.len()));
    let line_start = text[..end].rfind('\n').map_or(0, |at| at + 1);
    (source.line(end), text[line_start..end].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::sink::Sink, *};

    #[test]
    fn lines_and_columns_count_from_one() {
        let mut sink = Sink::default();
        sink.add_source("a", "a\nüb");
        sink.add_source("b", "");
        assert_eq!(line_column(&sink.sources[0], 4), (2, 2));
        assert_eq!(line_column(&sink.sources[0], 1), (1, 2));
        assert_eq!(line_column(&sink.sources[1], 9), (1, 1));
    }
}
