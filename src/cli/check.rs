//! `firedrill check`: is everything right with these scenarios? Offline; no host is asked.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::failure::Result;
use crate::{
    fleet::{FleetSource, split_command},
    plan::{Inspection, inspect, print},
    scenario::diagnose::JsonProblem,
    terminal,
    verdict::Exit,
};

/// Width of text where there is no terminal to ask.
const WIDTH: usize = 110;

/// Checks scenarios without asking any host.
///
/// Says all that is wrong in one go, with file, line and what would be right. Without a fleet it checks what needs
/// none, and says what it could not check.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill check scenarios/friday.toml --fleet scenarios/fleet.toml
  firedrill check scenarios/*.toml --json
  firedrill check az-rolling.toml --param ticket=OPS-7 --fleet-command 'inventory --format json'

Exit codes: 0 all is right, 2 something is wrong.")]
pub struct Args {
    /// The scenarios.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The fleet's file.
    #[arg(long, value_name = "FILE", conflicts_with = "fleet_command")]
    pub fleet: Option<PathBuf>,
    /// A program that prints the fleet as JSON, with its arguments; quotes group words, no shell is involved.
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    pub fleet_command: Option<Command>,
    /// A parameter's value; may be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// What picks are made with.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the whole plan.
    #[arg(long, short)]
    pub verbose: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// An argument vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub Vec<String>);

pub(super) fn command(text: &str) -> Result<Command, String> {
    split_command(text).map(Command)
}

/// Reads `name=value`.
///
/// # Errors
/// There is no `=`, or nothing before it.
pub fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

/// Checks all files and prints what was found.
///
/// # Errors
/// What was found could not be put into text.
pub fn run(args: &Args) -> Result<Exit> {
    let fleet = match (&args.fleet, &args.fleet_command) {
        (Some(file), _) => Some(FleetSource::File(file.clone())),
        (None, Some(command)) => Some(FleetSource::Command(command.0.clone())),
        (None, None) => None,
    };
    let check = |file: &PathBuf| (file.clone(), inspect(file, fleet.as_ref(), &args.params, Some(args.seed)));
    let checked: Vec<(PathBuf, Inspection)> = args.files.iter().map(check).collect();
    if args.json {
        let all: Vec<Checked> = checked.iter().map(|(file, found)| Checked::new(file, found)).collect();
        let text = serde_json::to_string_pretty(&all)?;
        outln!("{text}");
    } else {
        let mut out = String::new();
        let mut err = String::new();
        for (file, found) in &checked {
            err.push_str(&found.report.render(true, WIDTH));
            say(&mut out, file, found, args.verbose)?;
        }
        terminal::err(format_args!("{err}"));
        terminal::out(format_args!("{out}"));
    }
    let failed = checked.iter().any(|(_, found)| found.report.failed());
    Ok(if failed { Exit::Usage } else { Exit::Held })
}

fn say(out: &mut String, file: &Path, found: &Inspection, verbose: bool) -> std::fmt::Result {
    let file = file.display();
    let (errors, warnings) = found.report.counts();
    if found.report.failed() {
        let s = if errors == 1 { "" } else { "s" };
        return writeln!(out, "{file}: {errors} error{s}");
    }
    let noted = if warnings == 0 { String::new() } else { format!(" ({warnings} to know)") };
    match &found.plan {
        Some(plan) => writeln!(out, "{file}: fine{noted}; {}", print::summary(plan))?,
        None => {
            let s = if found.attacks == 1 { "" } else { "s" };
            writeln!(out, "{file}: fine as far as it could be checked{noted}; {} attack{s}", found.attacks)?;
            writeln!(out, "  not checked without a fleet (--fleet FILE): {}", found.unchecked.join("; "))?;
        }
    }
    match &found.plan {
        Some(plan) if verbose => writeln!(out, "\n{}", print::text(plan, &[], WIDTH)),
        _ => Ok(()),
    }
}

/// What was found out about a file, for machines.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    problems: Vec<JsonProblem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_checked: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Summary>,
}

#[derive(Serialize)]
struct Summary {
    name: String,
    digest: String,
    seed: u64,
    attacks: Vec<String>,
    hosts: Vec<String>,
    seconds: f64,
    irreversible: bool,
}

impl Checked {
    fn new(file: &Path, found: &Inspection) -> Self {
        let plan = found.plan.as_ref().map(|plan| Summary {
            name: plan.name.clone(),
            digest: plan.digest(),
            seed: plan.seed,
            attacks: plan.attacks.iter().map(|attack| attack.name.clone()).collect(),
            hosts: plan.targets().into_iter().map(str::to_owned).collect(),
            seconds: print::total(plan).as_secs_f64(),
            irreversible: plan
                .attacks
                .iter()
                .flat_map(|attack| &attack.injections)
                .any(|one| !one.fault.reversible()),
        });
        Self {
            file: file.display().to_string(),
            ok: !found.report.failed(),
            problems: found.report.items(),
            not_checked: found.unchecked.clone(),
            plan,
        }
    }
}
