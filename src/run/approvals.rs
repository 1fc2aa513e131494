//! Approvals of the attack that waits for them: files that were signed beforehand, answers on the terminal, and files
//! that appear in the run's folder.
//!
//! If one approval is needed, the person who runs the drill may give it on the terminal. If several are needed, or if a host's policy asks
//! for approvals, they must come from different people, and none of them may be the person who runs the drill.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use firedrill_wire::api::{Prepared, Signed};
use tokio_util::sync::DropGuard;

use super::{
    approval_watch, error::RunError, facts::Facts, phases::prepare::Answer, recorder::Recorder, tasks::Tasks,
};
use crate::{
    approval::{self, Approval, GamedayFiles},
    log::Event,
    plan::Plan,
};

/// The sources of approvals.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// Files given beforehand (`--approve FILE`, standing approvals).
    pub given: Vec<PathBuf>,
    /// The game day that holds the run, for standing approvals.
    pub gameday: Option<GamedayFiles>,
    /// The place where people are asked for approvals that the files do not cover.
    pub asks: Asks,
}

/// The place where people are asked for approvals while an attack waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asks {
    /// Nowhere: an attack that needs more than the files given beforehand does not run.
    #[default]
    Nowhere,
    /// In the run's folder: `firedrill approve` and the pages of a control room put approvals there.
    InFolder,
    /// On the terminal, and in the run's folder.
    OnTerminal,
}

/// Takes approvals while an attack waits for them.
pub(super) struct ApprovalDesk {
    pub(super) sources: Approvals,
    /// The run's folder.
    pub(super) folder: PathBuf,
    /// The attack that waits, by its place in the plan.
    asking: Option<usize>,
    /// Whether lines of the terminal come to this run.
    listening: bool,
    /// The approvals that agents get: the files given beforehand, and those that counted for an attack.
    pub(super) signed: Vec<Signed>,
    /// Number of people whose approval the policies of hosts want, by the attack's place in the plan. Attacks without such hosts are missing.
    hosts_want: BTreeMap<usize, u32>,
}

/// The meaning of a line that was typed while an attack waits.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Nothing,
    No,
    Yes,
    /// A yes by the person who runs the drill, although others must approve.
    NotTheirs,
    /// The file of an approval.
    File(&'a Path),
}

impl<'a> Said<'a> {
    /// Reads a line. `wants_others` is whether others than the person who runs the drill must approve.
    fn of(line: &'a str, wants_others: bool) -> Self {
        match line.to_ascii_lowercase().as_str() {
            "" => Self::Nothing,
            "n" | "no" | "stop" => Self::No,
            "y" | "yes" if wants_others => Self::NotTheirs,
            "y" | "yes" => Self::Yes,
            _ => Self::File(Path::new(line)),
        }
    }
}

impl ApprovalDesk {
    pub(super) const fn new(sources: Approvals, folder: PathBuf) -> Self {
        Self {
            sources,
            folder,
            asking: None,
            listening: false,
            signed: Vec::new(),
            hosts_want: BTreeMap::new(),
        }
    }

    /// Reads the files that were given beforehand, to send them to the agents, which verify them themselves. A standing approval that does not
    /// count is reported and not sent: agents cannot compare it with the files of a game day.
    ///
    /// # Errors
    /// A file cannot be read or is no approval, or there are too many.
    pub(super) fn read(&mut self, facts: &Facts, recorder: &mut Recorder) -> Result<(), String> {
        let mut counted = 0;
        for path in self.sources.given.clone() {
            let mut signed =
                approval::read_file(&path).map_err(|why| format!("{}: {why}", path.display()))?;
            if approval::is_standing(&signed) {
                match self.verified(&path, facts) {
                    Ok(approval) => signed = approval.signed,
                    Err(why) => {
                        recorder.say(&format!("an approval does not count: {why}"));
                        continue;
                    }
                }
            }
            counted += 1;
            self.keep(signed);
        }
        let most = Signed::MOST;
        if counted > most {
            return Err(format!("{counted} approvals were given; agents take {most} at most"));
        }
        Ok(())
    }

    /// Verifies an approval for this run.
    fn verified(&self, path: &Path, facts: &Facts) -> Result<Approval, String> {
        let run = (&facts.id, self.sources.gameday.as_ref());
        approval::verify(path, &facts.identity, &facts.plan, || facts.faults().root(), run)
            .map_err(|error| error.to_string())
    }

    /// Notes the number of people whose approval hosts want, by their answers to `prepare`.
    pub(super) fn hosts_want(&mut self, answers: &[Answer]) {
        for answer in answers {
            if let Prepared::Ready { wants: wants @ 1.., .. } = answer.prepared.answer {
                let most = self.hosts_want.entry(answer.attack).or_default();
                *most = wants.max(*most);
            }
        }
    }

    /// Returns the number of people who must approve an attack: `by_plan`, the number in the plan, or more if a host wants more.
    pub(super) fn wanted(&self, attack: usize, by_plan: u32) -> u32 {
        self.hosts_want.get(&attack).map_or(by_plan, |hosts| by_plan.max(*hosts))
    }

    /// Whether people other than the one who runs the drill must approve an attack: the plan asks for more than one, or a host asks for any.
    pub(super) fn wants_others(&self, plan: &Plan, attack: usize) -> bool {
        let by_plan = plan.attacks.get(attack).and_then(|attack| attack.approve.as_ref());
        by_plan.is_some_and(|approve| approve.people > 1) || self.hosts_want.contains_key(&attack)
    }

    /// Keeps an approval for the agents, if it is new and agents take one more.
    fn keep(&mut self, signed: Signed) {
        if self.signed.len() < Signed::MOST && !self.signed.contains(&signed) {
            self.signed.push(signed);
        }
    }

    /// Notes the attack that waits from now on; `None` if none does.
    pub(super) fn ask_for(&mut self, attack: Option<usize>) {
        self.asking = attack;
    }

    /// Starts to look for answers on the terminal, if people are asked there, and in the run's folder until the guard is dropped.
    pub(super) fn look(&mut self, tasks: &Tasks) -> DropGuard {
        if self.sources.asks == Asks::OnTerminal && !std::mem::replace(&mut self.listening, true) {
            approval_watch::terminal(tasks.clone());
        }
        let (looking, until) = tasks.until_dropped();
        approval_watch::folder(self.folder.clone(), &looking);
        until
    }

    /// The terminal was closed. This counts as a no.
    pub(super) fn closed(&mut self, facts: &Facts, recorder: &mut Recorder) -> Result<(), RunError> {
        self.listening = false;
        self.take_line("no", facts, recorder)
    }

    /// Takes a typed line as the answer to the current question; without a question, ignores it.
    pub(super) fn take_line(
        &mut self,
        line: &str,
        facts: &Facts,
        recorder: &mut Recorder,
    ) -> Result<(), RunError> {
        let Some(attack) = self.asking else { return Ok(()) };
        let (by, yes) = match Said::of(line, self.wants_others(&facts.plan, attack)) {
            Said::Nothing => return Ok(()),
            Said::No => ("terminal".to_owned(), false),
            Said::Yes => (facts.operator.clone(), true),
            Said::NotTheirs => {
                recorder.say(&own_drill(&facts.operator));
                return Ok(());
            }
            Said::File(path) => return self.take_file(path, facts, recorder),
        };
        recorder.write(Event::ApprovalGiven { attack, by, yes, certificate: None, means: None })
    }

    /// Accepts an approval if it counts for the attack that waits for one; otherwise reports the reason.
    pub(super) fn take_file(
        &mut self,
        path: &Path,
        facts: &Facts,
        recorder: &mut Recorder,
    ) -> Result<(), RunError> {
        let Some(attack) = self.asking else { return Ok(()) };
        let verified = self.verified(path, facts).and_then(|approval| {
            check_approver(self.wants_others(&facts.plan, attack), &facts.operator, approval, path)
        });
        match verified {
            Err(why) => {
                recorder.say(&format!("an approval does not count: {why}"));
                Ok(())
            }
            Ok(Approval { by, serial, means, signed, .. }) => {
                // A later approval by the same certificate replaces the earlier one, so that it does not take up another person's
                // place. Standing approvals and others do not replace each other.
                let is_standing = approval::is_standing(&signed);
                self.signed.retain(|kept| {
                    kept.certificates != signed.certificates || approval::is_standing(kept) != is_standing
                });
                self.keep(signed);
                if recorder.approvals(attack, 0).0.contains(&by) {
                    return Ok(());
                }
                let (certificate, means) = (Some(serial), Some(means));
                recorder.write(Event::ApprovalGiven { attack, by, yes: true, certificate, means })
            }
        }
    }
}

/// Returns the message that a person cannot approve a drill that the same person runs.
fn own_drill(by: &str) -> String {
    format!("{by} runs this drill; if several approvals are needed, they must come from other people")
}

/// Rejects an approval by the person who runs the drill, if others must approve.
fn check_approver(
    wants_others: bool,
    operator: &str,
    approval: Approval,
    path: &Path,
) -> Result<Approval, String> {
    if wants_others && approval.by == operator {
        return Err(format!("{}: {}", path.display(), own_drill(&approval.by)));
    }
    Ok(approval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_counts_only_where_one_person_is_enough() {
        for (line, one, several) in [
            ("", Said::Nothing, Said::Nothing),
            ("NO", Said::No, Said::No),
            ("stop", Said::No, Said::No),
            ("Yes", Said::Yes, Said::NotTheirs),
            ("y", Said::Yes, Said::NotTheirs),
            ("yes.json", Said::File(Path::new("yes.json")), Said::File(Path::new("yes.json"))),
        ] {
            assert_eq!(Said::of(line, false), one, "{line:?}");
            assert_eq!(Said::of(line, true), several, "{line:?}");
        }
    }
}
