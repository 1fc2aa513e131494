//! `firedrill schema`: prints the JSON Schemas of the files that people write, or their reference pages. Reads no file.

use super::failure::Result;
use crate::{fleet, reference, scenario, verdict::Exit};

/// Prints the JSON Schema (draft 2020-12) of scenarios, fleets, game days or channels, or their reference page.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill schema scenario > scenario.schema.json
  firedrill schema --all
  firedrill schema scenario --format markdown | less

In an editor with taplo (Even Better TOML), begin a scenario with:
  #:schema ./scenario.schema.json")]
pub struct Args {
    /// The file format.
    #[arg(required_unless_present = "all")]
    pub which: Option<Which>,
    /// All schemas, in one object by their names.
    #[arg(long, conflicts_with = "which")]
    pub all: bool,
    /// The format of the output.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    pub format: Format,
}

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON Schema, for editors and programs.
    Json,
    /// A page with every table and key, for people.
    Markdown,
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Scenario files.
    Scenario,
    /// Fleet files, and the output of fleet commands.
    Fleet,
    /// Game days.
    Gameday,
    /// Channels by which people are told.
    Channels,
}

/// Runs the command.
///
/// # Errors
/// The schema could not be serialized.
pub fn run(args: &Args) -> Result<Exit> {
    if args.format == Format::Markdown {
        let pages = match args.which {
            Some(Which::Scenario) => vec![reference::scenario()],
            Some(Which::Fleet) => vec![reference::fleet()],
            Some(Which::Gameday) => vec![firedrill_gameday::page()],
            Some(Which::Channels) => vec![firedrill_notify::page()],
            None => vec![
                reference::scenario(),
                reference::fleet(),
                firedrill_gameday::page(),
                firedrill_notify::page(),
            ],
        };
        outln!("{}", pages.join("\n").trim_end());
        return Ok(Exit::Held);
    }
    let schema = match args.which {
        Some(Which::Scenario) => scenario::schema(),
        Some(Which::Fleet) => fleet::schema(),
        Some(Which::Gameday) => firedrill_gameday::schema(),
        Some(Which::Channels) => firedrill_notify::schema(),
        None => serde_json::json!({
            "scenario": scenario::schema(),
            "fleet": fleet::schema(),
            "gameday": firedrill_gameday::schema(),
            "channels": firedrill_notify::schema(),
        }),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    outln!("{text}");
    Ok(Exit::Held)
}
