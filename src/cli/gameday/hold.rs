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
    /// Its files, to which standing approvals are.
    pub(super) files: GamedayFiles,
    /// Signed approvals of attacks, and the standing ones.
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

/// Returns what a game day claims; `named` names it and its start.
pub(super) fn of<'a>(named: &'a str, plans: &'a [Plan], reached: &'a Reached) -> OfGameday<'a> {
    OfGameday { named, plans, operator: &reached.operator, authority: reached.identity.authority() }
}

impl Held {
    /// Writes that it begins.
    pub(super) fn begin(&self, gameday: &Gameday, which: &Which, record: &mut Writer) -> Result<()> {
        let (by, file) = (self.reached.operator.clone(), gameday.file.display().to_string());
        let (agreed, unasked) = (self.agreed.clone(), self.unasked.clone());
        let drawn = self.plans.iter().find_map(draw_of);
        let told = drawn.as_ref().map(|Draw { seed, of, attacks }| {
            format!("drawn by seed {seed}, {} of {of} attacks: {}", attacks.len(), attacks.join(", "))
        });
        write(record, Event::Begun { by, file, agreed, unasked, drawn })?;
        let (number, s) = (self.plans.len(), crate::diagnostic::plural(self.plans.len()));
        errln!("{} begins, due {}: {number} scenario{s}", which.words(gameday), local(&which.slot.starts()));
        if let Some(told) = told {
            errln!("{told}");
        }
        Ok(())
    }

    /// Returns the names of the hosts that its scenarios touch.
    pub(super) fn hosts(&self) -> Vec<String> {
        let all: BTreeSet<&str> = self.plans.iter().flat_map(Plan::targets).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Keeps all hosts of the game day from other runs. The error is about a run, or another game day, that uses them.
    pub(super) fn keep(&self, named: &str) -> Result<Whole, String> {
        let (whole, doubts) = self.runtime.block_on(of(named, &self.plans, &self.reached).keep())?;
        for doubt in doubts {
            errln!("warning: {doubt}");
        }
        Ok(whole)
    }

    /// Runs the scenarios. Returns the worst exit code, and the reason why the rest was not run. An error of the record ends the game day
    /// after the scenario that goes on, and loses no exit code.
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
