//! `firedrill schema`: JSON Schemas of the files that people write, for editors and for other programs.

use super::failure::Result;
use crate::{fleet, scenario, verdict::Exit};

/// Prints the JSON Schema (draft 2020-12) of scenario or fleet files.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill schema scenario > scenario.schema.json
  firedrill schema --all

In an editor with taplo (Even Better TOML), begin a scenario with:
  #:schema ./scenario.schema.json")]
pub struct Args {
    /// The file format.
    #[arg(required_unless_present = "all")]
    pub which: Option<Which>,
    /// Both, in one object by their names.
    #[arg(long, conflicts_with = "which")]
    pub all: bool,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Scenario files.
    Scenario,
    /// Fleet files, and the output of fleet commands.
    Fleet,
}

/// Runs the command.
///
/// # Errors
/// The schema could not be serialized.
pub fn run(args: &Args) -> Result<Exit> {
    let schema = match args.which {
        Some(Which::Scenario) => scenario::schema(),
        Some(Which::Fleet) => fleet::schema(),
        None => serde_json::json!({ "scenario": scenario::schema(), "fleet": fleet::schema() }),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    outln!("{text}");
    Ok(Exit::Held)
}
