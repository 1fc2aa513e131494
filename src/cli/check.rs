//! `firedrill check`: checks scenarios and fleets offline; no host is asked.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use firedrill_wire::identity::Person;
use serde::Serialize;

use super::{
    args::{FleetArgs, IdentityArgs, parameter},
    failure::Result,
};
use crate::{
    diagnostic::{JsonProblem, Report, Sink, plural},
    fleet::{Fleet, FleetSource, is_fleet},
    link::Identity,
    plan::{Inspection, Plan, inspect_as, print},
    terminal,
    verdict::Exit,
};

/// Width of text without a terminal.
const WIDTH: usize = 110;

/// Checks scenarios and fleets without asking any host.
///
/// Says all that is wrong in one go, with file, line and what would be right. Where your certificate is at hand (--pki, --as), it
/// says whether that is good for the hosts' environments. Without a fleet (--fleet, or FIREDRILL_FLEET) it
/// checks what needs none, and says what it could not check. A fleet's file among the files is checked as such.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill check scenarios/friday.toml --fleet scenarios/fleet.toml
  firedrill check scenarios/*.toml                      scenarios, and the fleet that lies among them
  firedrill check scenarios/*.toml --json
  firedrill check az-rolling.toml --param ticket=OPS-7 --fleet-command 'inventory --format json'

Exit codes: 0 all is right, 2 something is wrong.")]
pub struct Args {
    /// The scenarios, and fleets.
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
    let checked: Vec<(PathBuf, Found)> =
        args.files.iter().map(|file| (file.clone(), Found::of(file, fleet.as_ref(), person, args))).collect();
    if args.json {
        let all: Vec<Checked> = checked.iter().map(|(file, found)| Checked::new(file, found)).collect();
        let text = serde_json::to_string_pretty(&all)?;
        outln!("{text}");
    } else {
        let given = checked.iter().find(|(_, found)| matches!(found, Found::Fleet { .. }));
        let named = given.map_or(Path::new("FILE"), |(file, _)| file);
        let mut out = String::new();
        let mut err = String::new();
        for (file, found) in &checked {
            err.push_str(&found.report().render(true, WIDTH));
            say(&mut out, file, found, named, args.verbose)?;
        }
        terminal::err(format_args!("{err}"));
        terminal::out(format_args!("{out}"));
    }
    let failed = checked.iter().any(|(_, found)| found.report().failed());
    Ok(if failed { Exit::Usage } else { Exit::Held })
}

/// The result of one file's check.
enum Found {
    Scenario(Box<Inspection>),
    Fleet { hosts: Vec<String>, report: Report },
}

impl Found {
    fn of(file: &Path, fleet: Option<&FleetSource>, person: Option<&Person>, args: &Args) -> Self {
        if !is_fleet(file) {
            let found = inspect_as(person, file, fleet, &args.params, Some(args.seed));
            return Self::Scenario(Box::new(found));
        }
        let mut sink = Sink::default();
        let read = Fleet::load(&FleetSource::File(file.to_owned()), &mut sink);
        let hosts = read.into_iter().flat_map(|fleet| fleet.hosts).map(|host| host.name).collect();
        Self::Fleet { hosts, report: sink.into_report() }
    }

    fn report(&self) -> &Report {
        match self {
            Self::Scenario(found) => &found.report,
            Self::Fleet { report, .. } => report,
        }
    }
}

/// Writes one file's lines. `named` is the fleet's name in messages about checks that need one.
fn say(out: &mut String, file: &Path, found: &Found, named: &Path, verbose: bool) -> std::fmt::Result {
    let file = file.display();
    let (errors, warnings) = found.report().counts();
    if found.report().failed() {
        return writeln!(out, "{file}: {errors} error{}", plural(errors));
    }
    let noted = if warnings == 0 { String::new() } else { format!(" ({warnings} to know)") };
    let found = match found {
        Found::Scenario(found) => found,
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
            writeln!(out, "  not checked without a fleet (--fleet {}): {unchecked}", named.display())?;
        }
    }
    match &found.plan {
        Some(plan) if verbose => writeln!(out, "\n{}", print::text(plan, &[], WIDTH)),
        _ => Ok(()),
    }
}

/// The result of a file's check, for machines.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
    problems: Vec<JsonProblem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_checked: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Summary>,
    /// Names of the hosts, if the file is a fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<Vec<String>>,
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
    fn new(file: &Path, found: &Found) -> Self {
        let (scenario, fleet) = match found {
            Found::Scenario(found) => (Some(found), None),
            Found::Fleet { hosts, .. } => (None, Some(hosts.clone())),
        };
        Self {
            file: file.display().to_string(),
            ok: !found.report().failed(),
            problems: found.report().items(),
            not_checked: scenario.map_or_else(Vec::new, |found| found.unchecked.clone()),
            plan: scenario.and_then(|found| found.plan.as_ref()).map(Summary::new),
            fleet,
        }
    }
}

impl Summary {
    fn new(plan: &Plan) -> Self {
        let mut injections = plan.attacks.iter().flat_map(|attack| &attack.injections);
        Self {
            name: plan.name.clone(),
            digest: plan.digest(),
            seed: plan.seed,
            attacks: plan.attacks.iter().map(|attack| attack.name.clone()).collect(),
            hosts: plan.targets().into_iter().map(str::to_owned).collect(),
            seconds: print::total(plan).as_secs_f64(),
            irreversible: injections.any(|one| !one.fault.reversible()),
        }
    }
}
