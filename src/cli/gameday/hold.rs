//! Holds a game day whose conditions are met: keeps its hosts, runs its scenarios one after another, and writes the record. Decides about
//! no condition.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
};

use firedrill_gameday::{
    Gameday,
    record::{Draw, Event, Writer},
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::which::Which;
use crate::{
    approval::GamedayFiles,
    cli::{
        days::local,
        failure::{Result, Wrap as _},
        reached::Reached,
        run::{Settings, Told, try_and_try_again},
        signals::noted,
    },
    plan::Plan,
    run::{Asks, OfGameday, Whole},
    told::GamedayTold,
    verdict::Exit,
};

/// A game day whose conditions are met.
pub(super) struct Held {
    /// The digest of its files, which standing approvals name.
    pub(super) files: GamedayFiles,
    /// The files of signed approvals, those of attacks and the standing ones.
    pub(super) approve: Vec<PathBuf>,
    /// The directory of runs.
    pub(super) out: PathBuf,
    pub(super) reached: Reached,
    pub(super) plans: Vec<Plan>,
    /// The people who have agreed.
    pub(super) agreed: Vec<String>,
    /// The options by which a person reaches the fleet.
    pub(super) fleet: String,
    /// The sources that could not be asked for alerts, and why.
    pub(super) unasked: Vec<String>,
    pub(super) runtime: Runtime,
}

/// Writes an event to the record of a slot.
pub(super) fn write(record: &mut Writer, event: Event) -> Result<()> {
    let written = record.write(Timestamp::now(), event);
    written.wrap(format!("the record {} cannot be written", record.path().display()))
}

/// Returns the draw of a plan for the record; `None` if its attacks were not drawn.
fn draw_of(plan: &Plan) -> Option<Draw> {
    let of = plan.drawn.as_ref()?.of;
    let attacks = plan.attacks.iter().map(|attack| attack.name.clone()).collect();
    Some(Draw { seed: plan.seed, of, attacks })
}

/// Returns the claim of a game day on its hosts; `named` names the game day and its start in messages.
pub(super) fn of<'a>(named: &'a str, plans: &'a [Plan], reached: &'a Reached) -> OfGameday<'a> {
    OfGameday { named, plans, operator: &reached.operator, authority: reached.identity.authority() }
}

impl Held {
    /// Writes to the record, and to standard error, that the game day begins.
    pub(super) fn begin(&self, gameday: &Gameday, which: &Which, record: &mut Writer) -> Result<()> {
        let (by, file) = (self.reached.operator.clone(), gameday.file.display().to_string());
        let (agreed, unasked) = (self.agreed.clone(), self.unasked.clone());
        let drawn = self.plans.iter().find_map(draw_of);
        let draw_line = drawn.as_ref().map(|Draw { seed, of, attacks }| {
            format!("drawn by seed {seed}, {} of {of} attacks: {}", attacks.len(), attacks.join(", "))
        });
        write(record, Event::Begun { by, file, agreed, unasked, drawn })?;
        let (number, s) = (self.plans.len(), crate::diagnostic::plural(self.plans.len()));
        errln!("{} begins, due {}: {number} scenario{s}", which.words(gameday), local(&which.slot.starts()));
        if let Some(line) = draw_line {
            errln!("{line}");
        }
        Ok(())
    }

    /// Returns the names of the hosts that its scenarios touch.
    pub(super) fn hosts(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.plans.iter().flat_map(Plan::targets).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Claims all hosts of the game day, so that other runs are refused on them. The error names the run or the game day that uses them.
    pub(super) fn keep(&self, named: &str) -> Result<Whole, String> {
        let (whole, doubts) = self.runtime.block_on(of(named, &self.plans, &self.reached).keep())?;
        for doubt in doubts {
            errln!("warning: {doubt}");
        }
        Ok(whole)
    }

    /// Runs the scenarios. Returns the worst exit code, and the reason why the rest was not run; `None` if all were run. If the record cannot
    /// be written, the game day ends after the current scenario, whose exit code still counts.
    pub(super) fn hold(
        self,
        whole: &Whole,
        record: &mut Writer,
        told: Option<&GamedayTold>,
    ) -> (Exit, Option<String>) {
        let runtime = self.runtime;
        let stop = noted(&runtime);
        let settings = Settings {
            approve: self.approve.clone(),
            gameday: Some(self.files.clone()),
            // Nobody sits at the terminal of a program that a control room starts.
            asks: Asks::InFolder,
            out: self.out.clone(),
            plan_only: false,
            beside_others: false,
            within: Some(whole.within().clone()),
            json: false,
            told: told.map(|told| Told { teller: told.teller().clone(), fleet: self.fleet.clone() }),
        };
        let (mut worst, mut rest, mut has_run) = (Exit::Held, None, false);
        for (index, plan) in self.plans.iter().enumerate() {
            let scenario = index + 1;
            if let Some(signal) = stop.get() {
                rest = Some(format!("stopped by {signal} before scenario {scenario}"));
                worst = worst.worst(Exit::Stopped);
                break;
            }
            if let Some(by) = whole.undone_by() {
                rest = Some(format!("ended before scenario {scenario} by an undo of {by}"));
                worst = worst.worst(Exit::Stopped);
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
            worst = worst.worst(counted(exit, has_run));
            has_run |= !matches!(exit, Exit::Refused | Exit::Usage);
            let more_follow = scenario < self.plans.len();
            if let Some(failure) = unwritten.or(written.err()) {
                errln!("{}", failure.styled());
                worst = worst.worst(Exit::Usage);
                rest = more_follow.then(|| {
                    format!("its record cannot be written, so the rest was not run after scenario {scenario}")
                });
                break;
            }
            if more_follow && is_last(exit) {
                rest = Some(format!("scenario {scenario} ended {}, so the rest was not run", exit.word()));
                break;
            }
        }
        let _flushed = std::io::stdout().flush();
        runtime.shutdown_background();
        (worst, rest)
    }
}

/// Returns the exit code of a scenario that could not be judged. If its run had begun, something may not have been put back.
const fn unjudged(has_begun: bool) -> Exit {
    if has_begun { Exit::Unclean } else { Exit::Usage }
}

/// Returns the exit code that counts for the game day when a scenario ends with `exit`. After another scenario has run, a refusal counts as
/// unknown: a refusal says that nothing was touched, which is no longer true.
fn counted(exit: Exit, has_run: bool) -> Exit {
    if exit == Exit::Refused && has_run { Exit::Unknown } else { exit }
}

/// Whether no scenario may follow one that ended with this code: a person wants an end, or something may not have been put back.
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
    fn an_unjudged_run_is_the_last_and_a_late_refusal_counts_as_unknown() {
        assert!(is_last(unjudged(true)), "something may be left");
        assert!(!is_last(unjudged(false)), "no run began");
        assert_eq!(Exit::Held.worst(counted(Exit::Refused, true)), Exit::Unknown);
        assert_eq!(Exit::Held.worst(counted(Exit::Refused, false)), Exit::Refused);
        assert_eq!(counted(Exit::Violated, true), Exit::Violated);
    }
}
