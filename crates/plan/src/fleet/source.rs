//! Reads a fleet from its source: a file, or a program that prints it.

use std::path::PathBuf;

use firedrill_files::text::{self, Text};
use firedrill_wire::hide;

use super::{
    command::{self, MAX_BYTES},
    hosts::Fleet,
    read,
    salvage::Care,
};
use crate::diagnostic::{Problem, Sink};

/// The source of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetSource {
    /// A TOML file.
    File(PathBuf),
    /// A program, as an argument vector, that prints the same structure as JSON. No shell is involved.
    Command(Vec<String>),
}

impl Fleet {
    /// Reads a fleet. Errors go to `sink`; a fleet with errors may be returned, too. Returns `None` if nothing could be read.
    #[must_use]
    pub fn load(source: &FleetSource, sink: &mut Sink) -> Option<Self> {
        Self::read(source, Care::All, sink)
    }

    /// Reads the valid entries of a fleet, for healing: an error in one entry must not keep other hosts from being put back.
    /// Errors go to `sink` and into [`Self::wrong`].
    #[must_use]
    pub fn salvage(source: &FleetSource, sink: &mut Sink) -> Option<Self> {
        Self::read(source, Care::Salvage, sink)
    }

    fn read(source: &FleetSource, care: Care, sink: &mut Sink) -> Option<Self> {
        match source {
            FleetSource::File(path) => match text::read(path, MAX_BYTES) {
                Ok(content) => {
                    warn_of_mark(&content, sink);
                    Some(read::from_toml(&path.display().to_string(), &content.text, care, sink))
                }
                Err(error) => {
                    let message = format!("the fleet {} could not be read: {error}", path.display());
                    sink.push(Problem::error(message).help("name the fleet's file with --fleet FILE"));
                    None
                }
            },
            FleetSource::Command(argv) => match command::output(argv, command::TIME_OUT) {
                Ok(content) => {
                    warn_of_mark(&content, sink);
                    let shown = hide::argv(argv).join(" ");
                    read::from_json(&shown, &content.text, care, sink)
                }
                Err(error) => {
                    sink.push(Problem::error(format!("the fleet's command failed: {error}")));
                    None
                }
            },
        }
    }
}

/// Warns of a byte-order mark at the beginning of a file.
fn warn_of_mark(content: &Text, sink: &mut Sink) {
    if content.mark {
        sink.push(Problem::warning(format!("the fleet: {}", text::MARK)).help(text::MARK_HELP));
    }
}
