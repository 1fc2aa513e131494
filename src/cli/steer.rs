//! `firedrill pause`, `resume`, `skip` and `step`: ask a run on this machine to do something about its next attacks, or tell it the outcome of
//! a step by hand. They use the run's socket, which the run's user and root can open, and need neither the fleet nor a certificate.

use std::path::PathBuf;

use firedrill_wire::{
    RunId, Span,
    text::{TEXT_MOST, cleaned},
};

use super::{
    ask::runtime,
    failure::{Failure, Result},
    login::named,
    runs::{ReportsArgs, begun_of, log_of},
};
use crate::{
    run::{PAUSE, Reply, Requested, StepAnswer, Wants, Wish, request},
    verdict::Exit,
};

const AFTER: &str = "\
A fault that is in force ends at its time, and its recovery is measured to the end: wishes are about the first attack for
which nothing was armed. This works on the machine of the run, for its user and for root.
Exit codes: 0 the run does it · 3 nobody knows: no such run goes on here, or it did not answer · 4 the run refuses";

/// Options of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  firedrill pause reports/20261120-1402-friday-7f3a
  firedrill pause 20261120-1402-friday-7f3a --for 10m

While a run pauses, nothing is armed or in force. If nobody ends the pause in time, the run ends with exit code 5, and
injects nothing more. The baseline of the next attack is measured after the pause.

{AFTER}"))]
pub(super) struct PauseArgs {
    #[command(flatten)]
    whose: RunArgs,
    /// The maximum of the pause, counted from its beginning; `firedrill pause` during a pause sets another
    #[arg(long = "for", value_name = "TIME", default_value_t = PAUSE)]
    longest: Span,
}

/// Options of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  firedrill resume reports/20261120-1402-friday-7f3a

It also takes back a pause that has not begun.

{AFTER}"))]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    whose: RunArgs,
}

/// Options of `skip`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:
  firedrill skip reports/20261120-1402-friday-7f3a
  firedrill skip 20261120-1402-friday-7f3a --attack 3

An attack that is skipped was not run: the run is unknown at best, and is not tried again (`retry_unknown`).

{AFTER}"))]
pub(super) struct SkipArgs {
    #[command(flatten)]
    whose: RunArgs,
    /// The number of the attack that is meant; if another one is next, nothing is skipped [default: the next]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attack: Option<u32>,
}

/// Options of `step`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill step reports/20261120-1402-friday-7f3a done --step 2
  firedrill step 20261120-1402-friday-7f3a failed --note \"the rack is locked\"
  firedrill step 20261120-1402-friday-7f3a back --step 2

A run waits for a step by hand until somebody says what became of it, and at its end for what has to be put back. Only
`back` means that it was put back; without this word nobody knows, and the run ends with exit code 6. A step that is skipped
was not done: the run is unknown at best, and is not tried again (`retry_unknown`). This works on the machine of the run,
for its user and for root.
Exit codes: 0 the run takes it · 3 nobody knows: no such run goes on here, or it did not answer · 4 the run refuses")]
pub(super) struct StepArgs {
    #[command(flatten)]
    whose: RunArgs,
    /// The outcome
    answer: StepWord,
    /// A note that the log and the reports have
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// The number of the step that is meant; if the run waits for another one, nothing happens [default: that one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    step: Option<u32>,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum StepWord {
    /// It is done
    Done,
    /// It could not be done, or not be put back
    Failed,
    /// It is left out: nothing was done
    Skip,
    /// It is put back, at the end of the run
    Back,
}

/// The run, and the person who asks.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The run: its id, its folder, or its events.jsonl
    run: PathBuf,
    /// The person who asks [default: the login name]
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    #[command(flatten)]
    reports: ReportsArgs,
}

/// Asks a run to pause before its next attack.
pub(super) fn pause(args: &PauseArgs) -> Result<Exit> {
    tell(&args.whose, Wants::Pause { longest: args.longest })
}

/// Asks a run that pauses to go on.
pub(super) fn resume(args: &ResumeArgs) -> Result<Exit> {
    tell(&args.whose, Wants::Resume)
}

/// Asks a run to skip its next attack.
pub(super) fn skip(args: &SkipArgs) -> Result<Exit> {
    let attack = args.attack.and_then(|number| usize::try_from(number - 1).ok());
    tell(&args.whose, Wants::Skip { attack })
}

/// Tells a run the outcome of a step by hand.
pub(super) fn step(args: &StepArgs) -> Result<Exit> {
    let step = args.step.and_then(|number| usize::try_from(number - 1).ok());
    let answer = match args.answer {
        StepWord::Done => StepAnswer::Done,
        StepWord::Failed => StepAnswer::Failed,
        StepWord::Skip => StepAnswer::Skip,
        StepWord::Back => StepAnswer::Back,
    };
    let note = cleaned(args.note.clone(), TEXT_MOST);
    tell(&args.whose, Wants::Step { step, answer, note })
}

/// Sends a wish to the run, and prints its reply.
fn tell(args: &RunArgs, wants: Wants) -> Result<Exit> {
    let by = named(args.by.as_deref())?;
    let run = run_of(args)?;
    let requested = runtime()?.block_on(request(&run, &Wish { by, wants }));
    let (exit, text) = told(&requested, &run);
    if exit == Exit::Held {
        outln!("{text}");
    } else {
        errln!("{text}");
    }
    Ok(exit)
}

/// Returns the run's id. If the argument is an id and no path, the run's folder is not needed.
fn run_of(args: &RunArgs) -> Result<RunId> {
    let id = args.run.to_str().and_then(|text| text.parse().ok());
    if let Some(id) = id.filter(|_| !args.run.exists()) {
        return Ok(id);
    }
    let log = log_of(&args.run, &args.reports.reports)?;
    Ok(begun_of(&log).map_err(|failure: Failure| failure.help("name the run by its id"))?.0)
}

/// Returns the exit code of a reply, and a sentence for people.
fn told(requested: &Requested, run: &RunId) -> (Exit, String) {
    let unknown = |why: &str| (Exit::Unknown, format!("run {run}: {why}"));
    match requested {
        Requested::Replied(Reply::Taken(text)) => (Exit::Held, format!("run {run}: {text}")),
        Requested::Replied(Reply::Refused(why)) => (Exit::Refused, format!("run {run} refuses: {why}")),
        Requested::Replied(Reply::Later) => unknown(
            "it has been told, and is busy with questions to hosts; `firedrill watch` shows when it has looked at it",
        ),
        Requested::Replied(Reply::Over) => unknown("it has ended"),
        Requested::Nowhere => unknown(
            "no program of this user runs it on this machine: it has ended, its program has died, or it runs on another machine or as another user",
        ),
        Requested::Silent(why) => unknown(&format!("the program that runs it does not answer: {why}")),
        Requested::Claimed { user, reply } => {
            let says = reply.words();
            unknown(&format!(
                "the program of user {user} says: {says}; nothing proves that it is the run's coordinator"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_of_the_runs_own_coordinator_counts() {
        let run: RunId = "friday-7f3a".parse().expect("an id");
        let taken = || Reply::Taken("it skips attack 2".to_owned());
        let replies = [
            (Requested::Replied(taken()), Exit::Held),
            (Requested::Replied(Reply::Refused("it is already ending".to_owned())), Exit::Refused),
            (Requested::Replied(Reply::Later), Exit::Unknown),
            (Requested::Replied(Reply::Over), Exit::Unknown),
            (Requested::Nowhere, Exit::Unknown),
            (Requested::Silent("it took longer than 7 s".to_owned()), Exit::Unknown),
            (Requested::Claimed { user: 7, reply: taken() }, Exit::Unknown),
        ];
        for (requested, exit) in replies {
            let (code, text) = told(&requested, &run);
            assert!(code == exit && text.starts_with("run friday-7f3a"), "{requested:?}: {text}");
        }
    }
}
