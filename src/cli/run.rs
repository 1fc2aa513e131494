//! `firedrill run`: makes the plan of a scenario, runs it, repeats it if the plan says so, and writes the reports.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use firedrill_history::History;

use super::{
    args::DrillArgs,
    ask::runtime,
    channels::NotifyArgs,
    failure::{Failure, Result},
    hosts::wrong,
    output::{print_json, width},
    reached::Reached,
    runs::{history_of, refresh, with_findings},
    signals::{First, forwarded, noted},
};
use crate::{
    approval::GamedayFiles,
    log::{self, RunOutcome},
    plan::{self, Plan},
    report,
    run::{self, Approvals, Asks, Finished, RunError, Within, screen},
    told::{RunTold, Teller},
    verdict::Exit,
};

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill run scenarios/friday.toml --fleet fleet.toml --plan      every effect and its undo, before any harm
  firedrill run scenarios/ci-gate.toml --fleet fleet.toml --param hold=30s
  firedrill run scenarios/region.toml --fleet fleet.toml --seed 7 --approve approval-bob.json --approve approval-carol.json
  firedrill run scenarios/demo.toml --lab                            on the lab that `firedrill lab up` started
  firedrill run scenarios/friday.toml --fleet fleet.toml --notify channels.toml --channel ops

Ctrl-C heals every host and exits 5, and so does `firedrill undo` by anybody. Such a run is not retried, nor is one that
is refused, which exits 4. The run's folder has events.jsonl, report.html, report.md, report.json and junit.xml.
Beside it index.html shows all runs of the directory, and findings.toml what is open (`firedrill findings`).")]
pub(super) struct Args {
    /// The scenario
    scenario: PathBuf,
    #[command(flatten)]
    drill: DrillArgs,
    /// Stop after prepare: print every effect on every host, and how it is undone
    #[arg(long)]
    plan: bool,
    /// A signed approval of attacks that need one (`firedrill approve`)
    #[arg(long, value_name = "FILE")]
    approve: Vec<PathBuf>,
    /// Run although another run uses the same hosts, or measures the same addresses; each report then contains the
    /// other's faults
    #[arg(long)]
    beside_others: bool,
    #[command(flatten)]
    told: NotifyArgs,
    /// The directory in which the run's folder is created
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// For machines: report.json of the last try (or, with --plan, the plan and the answers) on standard output; all else goes
    /// to standard error
    #[arg(long)]
    json: bool,
}

/// Plans the scenario and runs it.
pub(super) fn run(args: &Args) -> Result<Exit> {
    args.told.check()?;
    let reached = Reached::to_harm(&args.drill.fleet, &args.drill.identity)?;
    let options = args.drill.options(&args.scenario, reached.source.clone());
    let plan = plan::load_as(&options, reached.identity.person()).map_err(|report| wrong(&report))?;
    for warning in &plan.warnings {
        errln!("warning: {warning}");
    }
    let teller = if args.plan { None } else { args.told.teller(&args.out)? };
    let settings = Settings {
        approve: args.approve.clone(),
        gameday: None,
        asks: Asks::Nowhere,
        out: args.out.clone(),
        plan_only: args.plan,
        beside_others: args.beside_others,
        within: None,
        json: args.json,
        told: teller.clone().map(|teller| Told { teller, fleet: args.drill.fleet.shown() }),
    };
    let ended = execute(&plan, &reached, &settings);
    if let Some(teller) = teller {
        teller.finish();
    }
    ended
}

/// The settings of a run beside its plan; `run`, `demo` and game days make them.
pub(super) struct Settings {
    pub(super) approve: Vec<PathBuf>,
    /// The game day that holds the run, for standing approvals.
    pub(super) gameday: Option<GamedayFiles>,
    /// The place where people are asked for missing approvals if there is no terminal.
    pub(super) asks: Asks,
    pub(super) out: PathBuf,
    pub(super) plan_only: bool,
    pub(super) beside_others: bool,
    /// The claim of the game day that the run is part of.
    pub(super) within: Option<Within>,
    pub(super) json: bool,
    /// The channels by which people are told of the run.
    pub(super) told: Option<Told>,
}

/// The channels by which people are told of a run.
pub(super) struct Told {
    /// The sender of the messages.
    pub(super) teller: Teller,
    /// The options that select the fleet, for the commands in the messages.
    pub(super) fleet: String,
}

/// Runs a plan, repeats it after `unknown` as often as the plan says, writes reports, prints the verdict.
pub(super) fn execute(plan: &Plan, reached: &Reached, settings: &Settings) -> Result<Exit> {
    let runtime = runtime()?;
    let stop = noted(&runtime);
    let ended = try_and_try_again((&runtime, &stop), plan, reached, settings, &mut |_| {});
    // Remaining tasks are not waited for: all work of the run has ended, and a task that reads from the terminal may never end.
    runtime.shutdown_background();
    ended
}

/// As [`execute`], in the caller's runtime; `stop` has the first signal that came, if any. `begun` is called with the folder of each try
/// once its log exists.
pub(super) fn try_and_try_again(
    (runtime, stop): (&tokio::runtime::Runtime, &First),
    plan: &Plan,
    reached: &Reached,
    settings: &Settings,
    begun: &mut dyn FnMut(&Path),
) -> Result<Exit> {
    let out_existed = settings.out.is_dir();
    let tries = 1 + plan.ci.as_ref().map_or(0, |ci| ci.retry_unknown);
    // The conclusion of the previous try, which was `unknown`.
    let mut before: Option<Conclusion> = None;
    let mut attempt = 1;
    loop {
        let told = settings.told.as_ref().map(|told| RunTold::new(told.teller.clone(), told.fleet.clone()));
        let tell = |exit: Exit, outcome: Option<&RunOutcome>, why: Option<String>| {
            if let Some(told) = &told {
                told.ended(exit, outcome, why);
            }
        };
        let run = run::begin(plan.clone(), options(reached, settings, attempt, told.as_ref()));
        let run = run.inspect(|(handle, _)| begun(handle.folder()));
        let finished = match run.and_then(|run| runtime.block_on(forwarded(run, stop))) {
            Ok(finished) => finished,
            Err(error) => {
                let (why, is_broken) = (error.to_string(), matches!(error, RunError::Broken { .. }));
                let ended = match before {
                    Some(before) if !is_broken => {
                        errln!("{}", Failure::from(error).styled());
                        before.stand(settings.json)
                    }
                    _ => broken(error, settings.json),
                };
                // If the log could not be written, the run was judged from memory, and that exit code counts. After any other error it is
                // unknown whether something was left.
                let exit = ended.as_ref().ok().copied().filter(|_| is_broken).unwrap_or(Exit::Unclean);
                tell(exit, None, Some(why));
                return ended;
            }
        };
        if settings.plan_only {
            let exit = planned(plan, &finished, settings)?;
            if !out_existed {
                // The directory is removed only if it is empty.
                let _ = std::fs::remove_dir(&settings.out);
            }
            return Ok(exit);
        }
        let history = history_of(&settings.out).inspect_err(|failure| errln!("{}", failure.styled())).ok();
        let conclusion = Conclusion::of_folder(&finished.folder, history).inspect_err(|failure| {
            tell(Exit::Unknown, Some(&finished.outcome), Some(failure.to_string()));
        })?;
        tell(conclusion.exit, Some(&finished.outcome), None);
        if let (RunOutcome::Refused(why), Some(before)) = (&finished.outcome, &before) {
            errln!("try {attempt} of {tries} was refused, so the result of the previous try counts: {why}");
            return before.stand(settings.json);
        }
        // A try in which a person skipped an attack is not repeated.
        let may_repeat = attempt < tries && !finished.skipped;
        match next(conclusion.exit, may_repeat, stop.get().copied()) {
            Next::End => return conclusion.tell(settings.json),
            Next::Stopped(signal) => {
                errln!("unknown, and stopped by {signal}: it is not tried again");
                return Ok(conclusion.tell(settings.json)?.worst(Exit::Stopped));
            }
            Next::Again => {}
        }
        if !settings.json {
            conclusion.tell(false)?;
        }
        before = Some(conclusion);
        attempt += 1;
        errln!("unknown: trying again ({attempt} of {tries}); each try has its own report");
    }
}

/// The step after a try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// No further try: the result of this one counts.
    End,
    /// The plan asks for another try, but this signal came.
    Stopped(&'static str),
    /// Another try.
    Again,
}

/// Decides about another try. `may_repeat` is whether the plan allows one more; `signal` is the first signal that came.
fn next(exit: Exit, may_repeat: bool, signal: Option<&'static str>) -> Next {
    if exit != Exit::Unknown || !may_repeat {
        return Next::End;
    }
    signal.map_or(Next::Again, Next::Stopped)
}

/// Reports a run whose log could not be written. The report is made from the coordinator's memory, because the file is incomplete.
/// Other errors are returned.
pub(super) fn broken(error: RunError, json: bool) -> Result<Exit> {
    let RunError::Broken { whole, .. } = &error else { return Err(error.into()) };
    let conclusion = Conclusion::of(&report::Input::new(whole))?;
    errln!("{}", Failure::from(error).styled());
    errln!("`firedrill report` shows what the file has, `firedrill collect` completes it");
    conclusion.tell(json)
}

/// Returns the options of one try; `attempt` counts from 1.
fn options(reached: &Reached, settings: &Settings, attempt: u32, told: Option<&RunTold>) -> run::Options {
    let observer: Box<dyn screen::Observer> = if settings.plan_only {
        Box::new(screen::Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(screen::Live::default())
    } else {
        Box::new(screen::Plain::default())
    };
    let observer = match told {
        Some(told) => told.beside(observer),
        None => observer,
    };
    run::Options {
        operator: reached.operator.clone(),
        identity: Arc::clone(&reached.identity),
        out: settings.out.clone(),
        plan_only: settings.plan_only,
        beside_others: settings.beside_others,
        within: settings.within.clone(),
        approvals: Approvals {
            given: settings.approve.clone(),
            gameday: settings.gameday.clone(),
            asks: if std::io::stdin().is_terminal() { Asks::OnTerminal } else { settings.asks },
        },
        observer,
        attempt,
    }
}

/// Reports a run that touched nothing: the planned effects, or the refusals.
fn planned(plan: &Plan, finished: &Finished, settings: &Settings) -> Result<Exit> {
    let answers: Vec<_> = finished
        .answers
        .iter()
        .map(|answer| (answer.host.clone(), answer.attack, answer.prepared.clone()))
        .collect();
    let refused = match &finished.outcome {
        RunOutcome::Refused(why) => Some(why),
        _ => None,
    };
    if settings.json {
        print_json(
            &serde_json::json!({ "digest": plan.digest(), "plan": plan, "refused": refused, "leaders": &finished.leaders, "answers": answers.iter()
            .map(|(host, attack, prepared)| serde_json::json!({ "host": host, "attack": attack, "prepared": prepared }))
            .collect::<Vec<_>>() }),
        )?;
    } else if refused.is_none() || !answers.is_empty() {
        outln!("{}", plan::print::text(plan, &answers, width()));
        for asked in &finished.leaders {
            outln!("{}", leader_now(asked));
        }
    }
    // The folder of a run that touched nothing has no use.
    let _ = std::fs::remove_dir_all(&finished.folder);
    Ok(if let Some(why) = refused {
        errln!("refused, nothing was touched: {why}");
        Exit::Refused
    } else {
        Exit::Held
    })
}

/// Describes the answer to the question for a target's leader.
fn leader_now(asked: &log::LeaderAsked) -> String {
    match &asked.leader {
        Some(leader) => format!("leader of `{}`: names {leader} now", asked.target),
        None => format!(
            "leader of `{}`: names nobody now, so the attack would not run: {}",
            asked.target, asked.why
        ),
    }
}

/// The result of a run, ready to print.
pub(super) struct Conclusion {
    /// The result for people.
    text: String,
    /// The content of `report.json`.
    json: String,
    exit: Exit,
}

impl Conclusion {
    fn of(input: &report::Input<'_>) -> Result<Self> {
        let json = report::Format::Json.render(input)?;
        Ok(Self {
            text: super::report::table(input.card()),
            json: String::from_utf8_lossy(&json).into_owned(),
            exit: super::report::exit(input.card()),
        })
    }

    /// Judges a run from its folder, and writes all reports there. With a history, also writes findings and the page over all runs. A report
    /// that cannot be written makes the exit code worse at most.
    pub(super) fn of_folder(folder: &Path, history: Option<History>) -> Result<Self> {
        let log = log::read(&folder.join("events.jsonl"))?;
        let mut history = history;
        let input = report::Input::new(&log).beside(folder, SystemTime::now());
        let input = with_findings(input, history.as_mut());
        let mut conclusion = Self::of(&input)?;
        let page = folder.join(report::Format::Html.file());
        conclusion.text = format!("\n{}\nreport: {}\n", conclusion.text, page.display());
        if let Err(error) = report::write(folder, &input, &report::Format::ALL) {
            errln!("{}", Failure::from(error).styled());
            errln!("`firedrill report {}` writes the reports again from the log", folder.display());
            conclusion.exit = conclusion.exit.worst(Exit::Usage);
        }
        // After the run's own page, so that the page over all runs links to it.
        if let Some(history) = &mut history {
            refresh(history);
        }
        Ok(conclusion)
    }

    /// Returns the program's exit code.
    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Lets this conclusion count although another try followed, which was refused or failed. For people, its table was printed already.
    fn stand(&self, json: bool) -> Result<Exit> {
        if json { self.tell(true) } else { Ok(self.exit) }
    }

    /// Prints the result, and returns the program's exit code.
    pub(super) fn tell(&self, json: bool) -> Result<Exit> {
        crate::terminal::out(format_args!("{}", if json { &self.json } else { &self.text }));
        Ok(self.exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_try_is_repeated_unless_a_signal_came() {
        assert_eq!(next(Exit::Unknown, true, None), Next::Again);
        assert_eq!(next(Exit::Unknown, true, Some("SIGTERM")), Next::Stopped("SIGTERM"));
        assert_eq!(next(Exit::Unknown, false, Some("SIGTERM")), Next::End);
        for exit in [Exit::Held, Exit::Violated, Exit::Refused, Exit::Unclean] {
            assert_eq!(next(exit, true, None), Next::End);
        }
    }
}
