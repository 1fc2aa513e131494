//! `firedrill check`: checks scenarios, fleets, game days and channels offline; no host is asked.

mod found;
mod json;

use std::{
    collections::HashSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use firedrill_gameday::is_gameday;

use self::{found::Found, json::Checked};
use super::{
    args::{FleetArgs, IdentityArgs, parameter},
    days::{self, WIDTH},
    failure::Result,
};
use crate::{diagnostic::plural, link::Identity, plan::print, terminal, verdict::Exit};

/// Checks scenarios, fleets, game days and channels without asking any host.
///
/// Says all that is wrong in one go, with file, line and what would be right. Where your certificate is at hand (--pki, --as), it
/// says whether that is good for the hosts' environments. Without a fleet (--fleet, or FIREDRILL_FLEET) it
/// checks what needs none, and says what it could not check. A fleet's file among the files is checked as such. A
/// game day is checked with the scenarios, the fleet and the channels that it names, and game days are compared with each other.
/// Secrets are not read.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill check scenarios/friday.toml --fleet scenarios/fleet.toml
  firedrill check scenarios/*.toml                      scenarios, and the fleet that lies among them
  firedrill check scenarios/*.toml --json
  firedrill check gamedays/*.toml                       with their scenarios and fleets
  firedrill check channels.toml
  firedrill check az-rolling.toml --param ticket=OPS-7 --fleet-command 'inventory --format json'

Exit codes: 0 all is right, 2 something is wrong.")]
pub struct Args {
    /// The scenarios, fleets, game days and files of channels.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The fleet that the scenarios are checked against.
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// The person whose certificate is compared with the hosts' environments.
    #[command(flatten)]
    pub identity: IdentityArgs,
    /// A parameter's value; may be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub params: Vec<(String, String)>,
    /// The seed of random picks.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the whole plan.
    #[arg(long, short)]
    pub verbose: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Checks all files and prints the results.
///
/// # Errors
/// The results could not be serialized.
pub fn run(args: &Args) -> Result<Exit> {
    let fleet = args.fleet.source();
    let identity = args.identity.at_hand();
    let person = identity.as_ref().and_then(Identity::person);
    let gamedays: Vec<&Path> =
        args.files.iter().map(PathBuf::as_path).filter(|file| is_gameday(file)).collect();
    // Game days are compared with each other, so they are checked together; `days` has them in the order of the files.
    let mut days = days::inspect(&gamedays, person, jiff::Timestamp::now()).into_iter();
    let checked: Vec<(PathBuf, Found)> = args
        .files
        .iter()
        .map(|file| {
            let day = if gamedays.contains(&file.as_path()) { days.next() } else { None };
            let found = day.map(|day| Found::Gameday(Box::new(day)));
            (
                file.clone(),
                found.unwrap_or_else(|| Found::of(file, fleet.as_ref(), person, &args.params, args.seed)),
            )
        })
        .collect();
    if args.json {
        let results: Vec<Checked> = checked.iter().map(|(file, found)| Checked::new(file, found)).collect();
        let text = serde_json::to_string_pretty(&results)?;
        outln!("{text}");
    } else {
        // A fleet among the checked files is the one that messages propose.
        let fleet_file = checked.iter().find(|(_, found)| matches!(found, Found::Fleet { .. }));
        let fleet_name = fleet_file.map_or(Path::new("FILE"), |(file, _)| file);
        let mut out = String::new();
        let (mut err, mut told) = (String::new(), HashSet::new());
        for (file, found) in &checked {
            err.push_str(&found.render(&mut told));
            say(&mut out, file, found, fleet_name, args.verbose)?;
        }
        terminal::err(format_args!("{err}"));
        terminal::out(format_args!("{out}"));
    }
    let failed = checked.iter().any(|(_, found)| found.failed());
    Ok(if failed { Exit::Usage } else { Exit::Held })
}

/// Writes the result of one file to `out`. `fleet_name` is the file that messages about checks without a fleet propose.
fn say(out: &mut String, file: &Path, found: &Found, fleet_name: &Path, verbose: bool) -> std::fmt::Result {
    let file = file.display();
    let (errors, warnings) = found.counts();
    if found.failed() {
        return writeln!(out, "{file}: {errors} error{}", plural(errors));
    }
    let noted = if warnings == 0 { String::new() } else { format!(" ({warnings} to know)") };
    let found = match found {
        Found::Scenario(found) => found,
        Found::Gameday(day) => {
            let drills = day.drills.len();
            let due = day.gameday.as_ref().and_then(|gameday| {
                let slot = gameday.schedule.upcoming(jiff::Timestamp::now()).next()?;
                Some(format!(", next {}", days::local(&slot.starts())))
            });
            let due = due.unwrap_or_default();
            return writeln!(
                out,
                "{file}: fine{noted}; a game day of {drills} scenario{}{due}",
                plural(drills)
            );
        }
        Found::Channels { names, .. } => {
            let (number, s) = (names.len(), plural(names.len()));
            return writeln!(out, "{file}: fine{noted}; {number} channel{s}: {}", names.join(", "));
        }
        Found::Fleet { hosts, .. } => {
            return writeln!(
                out,
                "{file}: fine{noted}; a fleet of {} host{}",
                hosts.len(),
                plural(hosts.len())
            );
        }
    };
    match &found.plan {
        Some(plan) => writeln!(out, "{file}: fine{noted}; {}", print::summary(plan))?,
        None => {
            let (attacks, s) = (found.attacks, plural(found.attacks));
            writeln!(out, "{file}: fine as far as it could be checked{noted}; {attacks} attack{s}")?;
            let unchecked = found.unchecked.join("; ");
            writeln!(out, "  not checked without a fleet (--fleet {}): {unchecked}", fleet_name.display())?;
        }
    }
    match &found.plan {
        Some(plan) if verbose => writeln!(out, "\n{}", print::text(plan, &[], WIDTH)),
        _ => Ok(()),
    }
}
