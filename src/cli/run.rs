//! `firedrill run`: a scenario from plan to report.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    common::{FleetArgs, IdentityArgs, Reached, print_json, runtime, width, wrong},
    failure::{Failure, Result},
};
use crate::{
    log::{self, RunOutcome},
    plan::{self, Plan},
    report,
    run::{self, Approvals, Finished, RunError, screen},
    verdict::Exit,
};

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill run scenarios/friday.toml --fleet fleet.toml --plan      every effect and its undo, before any harm
  firedrill run scenarios/ci-gate.toml --fleet fleet.toml --param hold=30s
  firedrill run scenarios/region.toml --fleet fleet.toml --approve alice --approve bob
  firedrill run scenarios/demo.toml --lab                            on the lab that `firedrill lab up` started

Ctrl-C heals every host and exits 5. The run's folder has events.jsonl, report.html, report.md, report.json and junit.xml.")]
pub(super) struct Args {
    /// The scenario
    scenario: PathBuf,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// A parameter of the scenario, as NAME=VALUE
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = super::check::parameter)]
    params: Vec<(String, String)>,
    /// What picks are made with; the same seed picks the same hosts
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after prepare: print every effect on every host, and how it is undone
    #[arg(long)]
    plan: bool,
    /// Somebody who approves all attacks that need it
    #[arg(long, value_name = "NAME")]
    approve: Vec<String>,
    /// Where the run's folder is made
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// For machines: the report (or, with --plan, the plan and the answers) on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let reached = args.fleet.reach(&args.identity)?;
    let plan = plan::load(&plan::Options {
        scenario: args.scenario.clone(),
        fleet: reached.source.clone(),
        params: args.params.clone(),
        seed: args.seed,
    })
    .map_err(|report| wrong(&report))?;
    for warning in &plan.warnings {
        errln!("warning: {warning}");
    }
    let settings = Settings {
        approve: args.approve.clone(),
        out: args.out.clone(),
        plan_only: args.plan,
        json: args.json,
    };
    execute(&plan, &reached, &settings)
}

/// How a plan is run, whoever made it.
pub(super) struct Settings {
    pub(super) approve: Vec<String>,
    pub(super) out: PathBuf,
    pub(super) plan_only: bool,
    pub(super) json: bool,
}

/// Runs a plan, tries an unknown one again as often as it says, writes reports, prints the verdict.
pub(super) fn execute(plan: &Plan, reached: &Reached, settings: &Settings) -> Result<Exit> {
    let runtime = runtime()?;
    let ended = try_and_try_again(&runtime, plan, reached, settings);
    // Nothing of it is waited for: what matters has ended, and what still reads a terminal never does.
    runtime.shutdown_background();
    ended
}

fn try_and_try_again(
    runtime: &tokio::runtime::Runtime,
    plan: &Plan,
    reached: &Reached,
    settings: &Settings,
) -> Result<Exit> {
    let was_there = settings.out.is_dir();
    let tries = 1 + plan.ci.as_ref().map_or(0, |ci| ci.retry_unknown);
    let mut attempt = 1;
    loop {
        let finished = match runtime.block_on(run::run(plan.clone(), options(reached, settings, attempt))) {
            Ok(finished) => finished,
            Err(error) => return broken(error),
        };
        if settings.plan_only || matches!(finished.outcome, RunOutcome::Refused(_)) {
            let exit = before_harm(plan, &finished, settings)?;
            if !was_there {
                // Only if nothing else is in it.
                let _ = std::fs::remove_dir(&settings.out);
            }
            // The tries before this one did touch something, and ended unknown.
            return Ok(if attempt == 1 { exit } else { Exit::Unknown });
        }
        let exit = conclude(&finished.folder, settings.json)?;
        if exit != Exit::Unknown || attempt >= tries {
            return Ok(exit);
        }
        attempt += 1;
        errln!("unknown: trying again ({attempt} of {tries}); each try has its own report");
    }
}

/// A run without a log: healed, or not.
pub(super) fn broken(error: RunError) -> Result<Exit> {
    let exit = match &error {
        RunError::Broken { left, .. } if left.is_empty() => Exit::Unknown,
        RunError::Broken { .. } => Exit::Unclean,
        _ => return Err(error.into()),
    };
    errln!("{}", Failure::from(error).styled());
    errln!(
        "its verdict is unknown; `firedrill report` shows what the log has, `firedrill collect` completes it"
    );
    Ok(exit)
}

fn options(reached: &Reached, settings: &Settings, attempt: u32) -> run::Options {
    let observer: Box<dyn screen::Observer> = if settings.json || settings.plan_only {
        Box::new(screen::Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(screen::Live::default())
    } else {
        Box::new(screen::Plain::default())
    };
    run::Options {
        operator: reached.operator.clone(),
        identity: Arc::clone(&reached.identity),
        out: settings.out.clone(),
        plan_only: settings.plan_only,
        approvals: Approvals { given: settings.approve.clone(), terminal: std::io::stdin().is_terminal() },
        observer,
        attempt,
    }
}

/// Nothing was touched: what would have been, or who refused.
fn before_harm(plan: &Plan, finished: &Finished, settings: &Settings) -> Result<Exit> {
    let answers: Vec<_> =
        finished.answers.iter().map(|one| (one.host.clone(), one.attack, one.prepared.clone())).collect();
    let refused = match &finished.outcome {
        RunOutcome::Refused(why) => Some(why),
        _ => None,
    };
    if settings.json {
        print_json(
            &serde_json::json!({ "digest": plan.digest(), "plan": plan, "refused": refused, "answers": answers.iter()
            .map(|(host, attack, prepared)| serde_json::json!({ "host": host, "attack": attack, "prepared": prepared }))
            .collect::<Vec<_>>() }),
        )?;
    } else if refused.is_none() || !answers.is_empty() {
        outln!("{}", plan::print::text(plan, &answers, width()));
    }
    // A folder with nothing but questions in it helps nobody.
    let _ = std::fs::remove_dir_all(&finished.folder);
    Ok(if let Some(why) = refused {
        errln!("refused, nothing was touched: {why}");
        Exit::Refused
    } else {
        Exit::Held
    })
}

/// Reports, verdict, exit code.
pub(super) fn conclude(folder: &Path, json: bool) -> Result<Exit> {
    let log = log::read(&folder.join("events.jsonl"))?;
    let input = report::Input::new(&log);
    let written = report::write(folder, &input, &report::Format::ALL);
    if json {
        print_json(input.card())?;
    } else {
        outln!("\n{}\nreport: {}", super::report::table(input.card()), folder.join("report.html").display());
    }
    let exit = super::report::exit(input.card());
    if let Err(error) = written {
        errln!("{}", Failure::from(error).styled());
        errln!("`firedrill report {}` writes the reports again from the log", folder.display());
        return Ok(exit.worst(Exit::Usage));
    }
    Ok(exit)
}
