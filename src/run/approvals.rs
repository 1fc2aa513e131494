//! Approvals of the attack that waits for them: files that were signed beforehand, answers on the terminal, and files
//! that appear in the run's folder.
//!
//! If one approval is needed, the person who runs the drill may answer on the terminal. If several are needed, they
//! come from different people, and none of them is the one who runs it.

use std::path::{Path, PathBuf};

use firedrill_wire::api::Signed;
use tokio_util::sync::DropGuard;

use super::{approval_watch, error::RunError, facts::Facts, recorder::Recorder, tasks::Tasks};
use crate::{
    approval::{self, Approval},
    log::Event,
    plan::Plan,
};

/// The sources of approvals.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// Files given beforehand (`--approve FILE`).
    pub given: Vec<PathBuf>,
    /// Whether a person can answer on the terminal.
    pub terminal: bool,
}

/// Takes approvals while an attack waits for them.
pub(super) struct ApprovalDesk {
    pub(super) sources: Approvals,
    /// The folder of log, reports and approvals.
    pub(super) folder: PathBuf,
    /// The attack that waits.
    asking: Option<usize>,
    /// Whether the terminal is read.
    listening: bool,
    /// The approvals that agents get: the files given beforehand, and those that counted for an attack.
    pub(super) signed: Vec<Signed>,
}

/// The meaning of a line that was typed while an attack waits.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Nothing,
    No,
    Yes,
    /// Yes by the person who runs the drill, where others must approve.
    NotTheirs,
    /// The file of an approval.
    File(&'a Path),
}

impl<'a> Said<'a> {
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

/// Whether an attack needs more than one person.
fn wants_others(plan: &Plan, attack: usize) -> bool {
    let asked = plan.attacks.get(attack).and_then(|attack| attack.approve.as_ref());
    asked.is_some_and(|approve| approve.people > 1)
}

impl ApprovalDesk {
    pub(super) const fn new(sources: Approvals, folder: PathBuf) -> Self {
        Self { sources, folder, asking: None, listening: false, signed: Vec::new() }
    }

    /// Reads the files that were given beforehand, for the agents, which verify them by themselves.
    ///
    /// # Errors
    /// One of them cannot be read, or is no approval.
    pub(super) fn read(&mut self) -> Result<(), String> {
        for path in self.sources.given.clone() {
            let signed = approval::read_file(&path).map_err(|why| format!("{}: {why}", path.display()))?;
            self.keep(signed);
        }
        Ok(())
    }

    fn keep(&mut self, signed: Signed) {
        if self.signed.len() < Signed::MOST && !self.signed.contains(&signed) {
            self.signed.push(signed);
        }
    }

    /// An attack waits from now on; `None` if none does.
    pub(super) fn ask_for(&mut self, attack: Option<usize>) {
        self.asking = attack;
    }

    /// Looks for answers on the terminal, and in the run's folder until the guard is dropped.
    pub(super) fn look(&mut self, tasks: &Tasks) -> DropGuard {
        if !std::mem::replace(&mut self.listening, true) {
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
        let (by, yes) = match Said::of(line, wants_others(&facts.plan, attack)) {
            Said::Nothing => return Ok(()),
            Said::No => ("terminal".to_owned(), false),
            Said::Yes => (facts.operator.clone(), true),
            Said::NotTheirs => {
                recorder.say(&own_drill(&facts.operator));
                return Ok(());
            }
            Said::File(path) => return self.take_file(path, facts, recorder),
        };
        recorder.write(Event::ApprovalGiven { attack, by, yes, certificate: None })
    }

    /// Accepts an approval if it counts for the attack that waits for one; otherwise reports the reason.
    pub(super) fn take_file(
        &mut self,
        path: &Path,
        facts: &Facts,
        recorder: &mut Recorder,
    ) -> Result<(), RunError> {
        let Some(attack) = self.asking else { return Ok(()) };
        let verified = approval::verify(path, &facts.identity, &facts.plan, &facts.id)
            .map_err(|error| error.to_string())
            .and_then(|approval| {
                not_by_themselves(wants_others(&facts.plan, attack), &facts.operator, approval, path)
            });
        match verified {
            Err(why) => {
                recorder.say(&format!("an approval does not count: {why}"));
                Ok(())
            }
            Ok(Approval { by, serial, signed, .. }) => {
                self.keep(signed);
                if recorder.approvals(attack, 0).0.contains(&by) {
                    return Ok(());
                }
                recorder.write(Event::ApprovalGiven { attack, by, yes: true, certificate: Some(serial) })
            }
        }
    }
}

/// Says that a person cannot approve their own drill.
fn own_drill(by: &str) -> String {
    format!("{by} runs this drill; if several approvals are needed, they must come from other people")
}

/// Rejects the approval of the person who runs the drill, where others must approve.
fn not_by_themselves(
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
