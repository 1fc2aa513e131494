//! `firedrill collect`: finishes a run whose coordinator died, or asks its unproven hosts again.

use std::path::PathBuf;

use super::{
    args::{FleetArgs, IdentityArgs},
    ask::runtime,
    channels::NotifyArgs,
    failure::{Failure, Result},
    reached::Reached,
    run::Conclusion,
    runs::{history_beside, reports_of},
    signals::{First, forwarded},
};
use crate::{
    log::{self, Event, Log},
    run::{self, screen},
    score,
    told::{RunTold, Teller},
    verdict::Exit,
};

/// Options of `collect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill collect reports/20261120-1402-friday-7f3a --fleet fleet.toml\n\nHeals what the run left (agents have done so by themselves when their lease ended), reads what they journaled and\nmeasured since, compares every host with its state from before, and writes the reports. Missing data is unknown.\nOf a run that has ended, the hosts that are unproven are asked again.\nWith --notify people are told of the end, unless they were told before."
)]
pub(super) struct Args {
    /// The run's folder
    run: PathBuf,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    told: NotifyArgs,
    /// For machines: report.json on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    args.told.check()?;
    let path = args.run.join("events.jsonl");
    let log = log::read(&path)?;
    let ended = log.records.iter().any(|record| matches!(record.event, Event::RunEnded { .. }));
    if ended && run::unproven(&score::judge(&log)).is_empty() {
        return Err(Failure::new(format!(
            "{} is the log of a run that has ended, and all its hosts are proven; there is nothing to collect",
            path.display()
        ))
        .help(format!("`firedrill report {}` renders it again", args.run.display())));
    }
    let reached = Reached::to_look(&args.fleet, &args.identity)?;
    let reports = reports_of(&args.run).unwrap_or_else(|| PathBuf::from("."));
    let teller = args.told.teller(&reports)?;
    let exit = collected(args, &log, ended, &reached, teller.as_ref());
    if let Some(teller) = teller {
        teller.finish();
    }
    exit
}

/// Heals and collects, judges, tells people of the end by `teller`, and returns the exit code. `ended` is true if the log had an end before.
fn collected(
    args: &Args,
    log: &Log,
    ended: bool,
    reached: &Reached,
    teller: Option<&Teller>,
) -> Result<Exit> {
    let (runtime, screen) = (runtime()?, Box::new(screen::Plain::default()));
    let collecting = run::collect(&args.run, &reached.identity, &reached.operator, screen);
    match collecting.and_then(|run| runtime.block_on(forwarded(run, &First::new()))) {
        Ok(finished) => {
            let conclusion = Conclusion::of_folder(&args.run, history_beside(&args.run))?;
            if let Some(teller) = teller {
                let told = RunTold::new(teller.clone(), args.fleet.shown());
                told.take_over(log);
                let why =
                    "its coordinator had died; `firedrill collect` put back what was left, and judged it";
                told.ended(conclusion.exit(), Some(&finished), (!ended).then(|| why.to_owned()));
            }
            conclusion.tell(args.json)
        }
        Err(error) => super::run::broken(error, args.json),
    }
}
