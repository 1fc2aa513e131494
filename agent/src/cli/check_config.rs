//! `firedrill-agent check-config`: checks whether a file can be used as the agent's configuration. Changes nothing.

use std::{path::Path, process::ExitCode};

use super::shared::fail;
use crate::config::Config;

/// Checks the file, and prints the result. Returns the exit code.
pub(super) fn run(file: &Path) -> ExitCode {
    match Config::load(file) {
        Ok(config) => {
            let environment = match &config.environment {
                Some(name) => format!("its environment {name}"),
                None => "it names no environment".to_owned(),
            };
            outln!("{} can be used; the host is {}, {environment}", file.display(), config.host);
            ExitCode::SUCCESS
        }
        Err(error) => fail(error.to_string().trim_end()),
    }
}
