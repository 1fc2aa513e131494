//! `firedrill gameday start`: holds a game day. Runs its scenarios one after another, as `firedrill run` does, and writes the record of
//! the slot. Nothing is started before all conditions of the game day are met.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
};

use firedrill_gameday::{
    Gameday,
    record::{self, Event, Firing, NotClaimed, Reason, Writer},
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::{
    incident,
    promotion::{promoted, runs},
    which::{Which, WhichArgs, gameday},
};
use crate::{
    cli::{
        args::{FleetArgs, IdentityArgs},
        ask::runtime,
        channels::{check, of_gameday},
        days::local,
        failure::{Failure, Result, Wrap as _},
        hosts::wrong,
        reached::Reached,
        run::{Settings, Told, try_and_try_again},
        runs::ReportsArgs,
        signals::noted,
    },
    plan::{self, Options, Plan},
    run::{OfGameday, Whole},
    told::GamedayTold,
    verdict::Exit,
};

/// Options of `gameday start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill gameday start gamedays/friday.toml --slot 2026-12-04T14:00
  firedrill gameday start gamedays/friday.toml --now
  firedrill gameday start gamedays/friday.toml --now --approve approval-bob.json
  firedrill gameday start gamedays/friday.toml --now --incident-unknown

Nothing starts unless the day is open (`not_on`), enough people have agreed (`go_no_go`, `firedrill gameday agree`), each scenario has
held where it has to (`requires`), no alert of an incident fires (`skip_if`), and all files are right. A slot is held once, whoever starts it. `firedrill serve --start-gamedays`
starts slots at their time. A scenario that a person stops, or that leaves something behind, is the last.

Exit codes: those of `firedrill run`, the worst of all scenarios; 4 also if the game day was not held.")]
pub(super) struct Args {
    /// The game day
    file: PathBuf,
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// A signed approval of attacks that need one (`firedrill approve`)
    #[arg(long, value_name = "FILE")]
    approve: Vec<PathBuf>,
    /// Start although a source of `skip_if` cannot be asked, so that nobody knows whether an incident is running
    #[arg(long)]
    incident_unknown: bool,
    /// Run on the hosts of a lab that was started with `firedrill lab up`, in place of the game day's fleet
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "lab")]
    lab: Option<String>,
}

/// The reason why a game day is not held, and the exit code.
struct NotHeld {
    why: String,
    reason: Reason,
    /// The alerts of an incident that is running.
    firing: Vec<Firing>,
    exit: Exit,
}

impl NotHeld {
    const fn refused(reason: Reason, why: String) -> Self {
        Self { why, reason, firing: Vec::new(), exit: Exit::Refused }
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let now = Timestamp::now();
    let Some(gameday) = gameday(&args.file, now) else { return Ok(Exit::Usage) };
    let which = Which::of(&gameday, &args.which, now)?;
    which.in_reach(now)?;
    let (words, slot) = (which.words(&gameday), which.recorded_as());
    let ready = ready(args, &gameday, &which, now);
    if let Err(NotHeld { why, exit, .. }) = &ready
        && now < which.slot.starts().timestamp()
    {
        errln!("{words} does not start yet, nothing was touched: {why}");
        return Ok(*exit);
    }
    let claim = Writer::claim_late(&args.reports.reports, &gameday.name, &slot);
    let Some(mut record) = claimed(claim, &words)? else { return Ok(Exit::Refused) };
    // After the lab's network was entered, which no other thread may be there for.
    let told = of_gameday(&args.reports.reports, &gameday).map(GamedayTold::new);
    let ended = start((&gameday, &which), ready, &mut record, told.as_ref());
    if let Some(told) = told {
        told.teller().finish();
    }
    ended
}

/// Holds the game day, or writes why it is not held.
fn start(
    (gameday, which): (&Gameday, &Which),
    ready: Result<Held<'_>, NotHeld>,
    record: &mut Writer,
    told: Option<&GamedayTold>,
) -> Result<Exit> {
    let (words, slot) = (which.words(gameday), which.recorded_as());
    match ready {
        Ok(held) => {
            // After the slot was claimed: of two who start the same slot, the one who has it keeps the hosts.
            let whole = match held.keep(&words) {
                Ok(whole) => whole,
                Err(why) => {
                    errln!("{words} is not held, nothing was touched: {why}");
                    if let Some(told) = told {
                        told.not_held(gameday, &slot, &why);
                    }
                    write(record, Event::not_held(Reason::Busy, why))?;
                    return Ok(Exit::Refused);
                }
            };
            held.begin(gameday, which, record)?;
            if let Some(told) = told {
                told.begun(gameday, &slot, &held.reached.operator, held.hosts());
            }
            let (exit, why) = held.hold(&whole, record, told);
            if let Some(told) = told {
                told.ended(gameday, &slot, exit, why.as_deref());
            }
            let written = write(record, Event::Ended { exit: exit as u8, why: why.clone() });
            if let Some(why) = why {
                errln!("{why}");
            }
            errln!("{words} has ended: {}", exit.word());
            if let Err(failure) = written {
                errln!("{}", failure.styled());
                return Ok(exit.worst(Exit::Usage));
            }
            Ok(exit)
        }
        Err(NotHeld { why, reason, firing, exit }) => {
            errln!("{words} is not held, nothing was touched: {why}");
            if let Some(told) = told {
                told.not_held(gameday, &slot, &why);
            }
            write(record, Event::NotHeld { why, reason, firing })?;
            Ok(exit)
        }
    }
}

/// Returns the record of a claim. Says so, and returns `None`, if the slot was claimed before; `words` name it.
pub(super) fn claimed(claim: Result<Writer, NotClaimed>, words: &str) -> Result<Option<Writer>> {
    match claim {
        Ok(record) => Ok(Some(record)),
        Err(NotClaimed::Taken) => {
            let taken = Failure::new(format!("{words} has a record already: a slot is held once"))
                .help("`firedrill gameday held` shows it; --now starts the game day outside of its schedule");
            errln!("{}", taken.styled());
            Ok(None)
        }
        Err(NotClaimed::Io { path, source }) => {
            Err(Failure::from(source).wrap(format!("the record {} cannot be made", path.display())))
        }
    }
}

fn write(record: &mut Writer, event: Event) -> Result<()> {
    let written = record.write(Timestamp::now(), event);
    written.wrap(format!("the record {} cannot be written", record.path().display()))
}

/// A game day whose conditions are met.
struct Held<'a> {
    args: &'a Args,
    reached: Reached,
    plans: Vec<Plan>,
    /// The people who have agreed.
    agreed: Vec<String>,
    /// The options by which a person reaches the fleet.
    fleet: String,
    /// The sources that could not be asked for alerts, and why.
    unasked: Vec<String>,
    runtime: Runtime,
}

/// Checks all conditions, the cheap ones first. Writes nothing.
fn ready<'a>(args: &'a Args, gameday: &Gameday, which: &Which, now: Timestamp) -> Result<Held<'a>, NotHeld> {
    let refused = |failure: Failure| NotHeld::refused(Reason::Other, failure.to_string());
    if let Some(why) = gameday.why_closed(&which.slot) {
        return Err(NotHeld::refused(Reason::Closed, why.to_owned()));
    }
    let agreed = agreed(args, gameday, which, now)
        .map_err(|failure| NotHeld::refused(Reason::NoGo, failure.to_string()))?;
    check(gameday).map_err(|failure| NotHeld {
        exit: Exit::Usage,
        ..NotHeld::refused(Reason::Other, failure.to_string())
    })?;
    let fleet = FleetArgs { fleet: Some(gameday.fleet.clone()), ..FleetArgs::default() };
    #[cfg(feature = "lab")]
    let fleet = match &args.lab {
        Some(lab) => FleetArgs { lab: Some(lab.clone()), ..FleetArgs::default() },
        None => fleet,
    };
    let reached = Reached::to_harm(&fleet, &args.identity).map_err(refused)?;
    let plans = plans(gameday, &reached)?;
    if let Some(requires) = &gameday.requires {
        let runs = if args.reports.reports.is_dir() {
            runs(&args.reports.reports).map_err(refused)?
        } else {
            Vec::new()
        };
        for plan in &plans {
            let (is_promoted, words) = promoted(requires, plan, now, &runs);
            if !is_promoted {
                let why = format!("promotion of {}: {words}", plan.name);
                return Err(NotHeld::refused(Reason::Promotion, why));
            }
        }
    }
    // After the lab's network was entered.
    let runtime = runtime().map_err(refused)?;
    let words = which.words(gameday);
    if let Some(why) = runtime.block_on(of(&words, &plans, &reached).busy()) {
        runtime.shutdown_background();
        return Err(NotHeld::refused(Reason::Busy, why));
    }
    // As late as possible: an incident may begin at any time.
    let unasked = match no_incident(args, gameday, &reached, &runtime) {
        Ok(unasked) => unasked,
        Err(not_held) => {
            runtime.shutdown_background();
            return Err(not_held);
        }
    };
    Ok(Held { args, reached, plans, agreed, fleet: fleet.shown(), unasked, runtime })
}

/// Returns what a game day claims; `named` names it and its start.
fn of<'a>(named: &'a str, plans: &'a [Plan], reached: &'a Reached) -> OfGameday<'a> {
    OfGameday { named, plans, operator: &reached.operator, authority: reached.identity.authority() }
}

/// Returns the sources that could not be asked although the person starts the game day all the same. The error is that an incident is
/// running, or that nobody knows.
fn no_incident(
    args: &Args,
    gameday: &Gameday,
    reached: &Reached,
    runtime: &Runtime,
) -> Result<Vec<String>, NotHeld> {
    let answers = incident::ask(gameday, &reached.source, runtime);
    if let Some((reason, why)) = answers.refuses(args.incident_unknown) {
        if reason == Reason::Unasked {
            errln!("help: --incident-unknown starts it all the same");
        }
        return Err(NotHeld { firing: answers.firing, ..NotHeld::refused(reason, why) });
    }
    for unasked in &answers.unasked {
        errln!("warning: nobody knows whether an incident is running: {unasked}");
    }
    Ok(answers.unasked)
}

/// Returns the people who have agreed. The error is that there are not enough of them.
fn agreed(args: &Args, gameday: &Gameday, which: &Which, now: Timestamp) -> Result<Vec<String>> {
    let Some(wanted) = &gameday.go_no_go else { return Ok(Vec::new()) };
    let given = record::agreements(&args.reports.reports, &gameday.name, &which.agreed_as())
        .wrap("the agreements to this start cannot be read")?;
    let go = record::go(wanted, &gameday.roles, &given, which.counts_at(now));
    if go.is_go() {
        return Ok(go.agreed);
    }
    Err(Failure::new(format!("no go: {}, within {}", go.words(), wanted.expires)))
}

/// Plans all scenarios before the first is run, so that an error in the last one is found in time.
fn plans(gameday: &Gameday, reached: &Reached) -> Result<Vec<Plan>, NotHeld> {
    let mut plans = Vec::new();
    for drill in &gameday.drills {
        let options = Options {
            scenario: drill.file.clone(),
            fleet: reached.source.clone(),
            params: drill.params.clone(),
            seed: drill.seed,
        };
        let plan = plan::load_as(&options, reached.identity.person()).map_err(|report| {
            errln!("{}", wrong(&report).styled());
            let why = format!("{} cannot be run as it is", drill.file.display());
            NotHeld { exit: Exit::Usage, ..NotHeld::refused(Reason::Other, why) }
        })?;
        for warning in &plan.warnings {
            errln!("warning: {warning}");
        }
        plans.push(plan);
    }
    Ok(plans)
}

impl Held<'_> {
    /// Writes that it begins.
    fn begin(&self, gameday: &Gameday, which: &Which, record: &mut Writer) -> Result<()> {
        let (by, file) = (self.reached.operator.clone(), gameday.file.display().to_string());
        let (agreed, unasked) = (self.agreed.clone(), self.unasked.clone());
        write(record, Event::Begun { by, file, agreed, unasked })?;
        let (number, s) = (self.plans.len(), crate::diagnostic::plural(self.plans.len()));
        errln!("{} begins, due {}: {number} scenario{s}", which.words(gameday), local(&which.slot.starts()));
        Ok(())
    }

    /// Returns the names of the hosts that its scenarios touch.
    fn hosts(&self) -> Vec<String> {
        let all: BTreeSet<&str> = self.plans.iter().flat_map(Plan::targets).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Keeps all hosts of the game day from other runs. The error is about a run, or another game day, that uses them.
    fn keep(&self, named: &str) -> Result<Whole, String> {
        let (whole, doubts) = self.runtime.block_on(of(named, &self.plans, &self.reached).keep())?;
        for doubt in doubts {
            errln!("warning: {doubt}");
        }
        Ok(whole)
    }

    /// Runs the scenarios. Returns the worst exit code, and the reason why the rest was not run. An error of the record ends the game day
    /// after the scenario that goes on, and loses no exit code.
    fn hold(self, whole: &Whole, record: &mut Writer, told: Option<&GamedayTold>) -> (Exit, Option<String>) {
        let runtime = self.runtime;
        let stop = noted(&runtime);
        let settings = Settings {
            approve: self.args.approve.clone(),
            out: self.args.reports.reports.clone(),
            plan_only: false,
            beside_others: false,
            within: Some(whole.id().clone()),
            json: false,
            told: told.map(|told| Told { teller: told.teller().clone(), fleet: self.fleet.clone() }),
        };
        let (mut all, mut rest, mut has_run) = (Exit::Held, None, false);
        for (index, plan) in self.plans.iter().enumerate() {
            let scenario = index + 1;
            if let Some(signal) = stop.get() {
                rest = Some(format!("stopped by {signal} before scenario {scenario}"));
                all = all.worst(Exit::Stopped);
                break;
            }
            if let Some(by) = whole.undone_by() {
                rest = Some(format!("ended before scenario {scenario} by an undo of {by}"));
                all = all.worst(Exit::Stopped);
                break;
            }
            errln!("scenario {scenario} of {}: {}", self.plans.len(), plan.name);
            let (mut has_begun, mut unwritten) = (false, None);
            let mut begun = |folder: &Path| {
                has_begun = true;
                let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let event = Event::RunBegun { scenario, name: plan.name.clone(), run };
                unwritten = unwritten.take().or(write(record, event).err());
            };
            let ended = try_and_try_again((&runtime, &stop), plan, &self.reached, &settings, &mut begun);
            let (exit, why) = ended.map_or_else(
                |failure| {
                    errln!("{}", failure.styled());
                    (unjudged(has_begun), Some(failure.to_string()))
                },
                |exit| (exit, None),
            );
            let written = write(record, Event::ScenarioEnded { scenario, exit: exit as u8, why });
            all = all.worst(counted(exit, has_run));
            has_run |= !matches!(exit, Exit::Refused | Exit::Usage);
            let is_rest = scenario < self.plans.len();
            if let Some(failure) = unwritten.or(written.err()) {
                errln!("{}", failure.styled());
                all = all.worst(Exit::Usage);
                rest = is_rest.then(|| {
                    format!("its record cannot be written, so the rest was not run after scenario {scenario}")
                });
                break;
            }
            if is_rest && is_last(exit) {
                rest = Some(format!("scenario {scenario} ended {}, so the rest was not run", exit.word()));
                break;
            }
        }
        let _flushed = std::io::stdout().flush();
        runtime.shutdown_background();
        (all, rest)
    }
}

/// Returns the exit code of a scenario that could not be judged. Nobody knows whether a run that had begun has left something.
const fn unjudged(has_begun: bool) -> Exit {
    if has_begun { Exit::Unclean } else { Exit::Usage }
}

/// Returns the exit code of a scenario as it counts for the game day. A refusal says that nothing was touched, which is not true of a game
/// day of which a scenario has run.
fn counted(exit: Exit, has_run: bool) -> Exit {
    if exit == Exit::Refused && has_run { Exit::Unknown } else { exit }
}

/// Whether nothing may follow a scenario that ended so: a person wants an end, or something may not have been put back.
const fn is_last(exit: Exit) -> bool {
    match exit {
        Exit::Stopped | Exit::Unclean | Exit::Lost | Exit::Bug => true,
        Exit::Held | Exit::Violated | Exit::Unknown | Exit::Refused | Exit::Usage => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_judged_is_the_last_and_a_late_refusal_is_no_refusal_of_the_whole() {
        assert!(is_last(unjudged(true)), "something may be left");
        assert!(!is_last(unjudged(false)), "no run began");
        assert_eq!(Exit::Held.worst(counted(Exit::Refused, true)), Exit::Unknown);
        assert_eq!(Exit::Held.worst(counted(Exit::Refused, false)), Exit::Refused);
        assert_eq!(counted(Exit::Violated, true), Exit::Violated);
    }
}
