//! Approvals before an attack: files that were signed beforehand, answers on the terminal, and files that appear in
//! the run's folder.
//!
//! If one approval is needed, the person who runs the drill may answer on the terminal. If several are needed, they
//! come from different people, and none of them is the one who runs it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;

use super::{Run, RunError, clock::signed, input::Input, tasks::Tasks};
use crate::{
    approval::{self, Approval},
    log::Event,
    plan::model::{Approve, Attack},
};

/// The sources of approvals.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// Files given beforehand (`--approve FILE`).
    pub given: Vec<PathBuf>,
    /// Whether a person can answer on the terminal.
    pub terminal: bool,
}

/// Prefix and suffix of the names of approval files in a run's folder.
pub(crate) const FILE: (&str, &str) = ("approval-", ".json");
/// Interval at which the folder is read while people are asked.
const LOOK: Duration = Duration::from_millis(250);

/// Reads lines for as long as the program runs. A separate thread does that, because a read from a terminal cannot be
/// cancelled: a pending read must neither keep the program from ending nor swallow the next answer.
fn listen(tasks: Tasks) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if !tasks.send(Input::Line(line)) {
                return;
            }
        }
        tasks.send(Input::TerminalClosed);
    });
}

/// Returns the approval files in a run's folder.
fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(FILE.0) && name.ends_with(FILE.1))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Sends the path of each approval file that appears in the folder or changes there.
async fn watch(folder: PathBuf, tasks: Tasks) {
    let mut seen: BTreeSet<(PathBuf, Option<SystemTime>)> = BTreeSet::new();
    loop {
        for path in in_folder(&folder) {
            let changed = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
            if seen.insert((path.clone(), changed)) && !tasks.send(Input::Approval(path)) {
                return;
            }
        }
        sleep(LOOK).await;
    }
}

impl Run {
    /// Asks people for approval. The inner error is the reason why the attack does not run.
    pub(super) async fn approved(
        &mut self,
        index: usize,
        attack: &Attack,
        approve: &Approve,
    ) -> Result<Result<(), String>, RunError> {
        let wanted = usize::try_from(approve.people).unwrap_or(usize::MAX);
        let before = self.recorder.len();
        self.recorder.write(Event::ApprovalAsked { attack: index, people: approve.people })?;
        self.asking = Some(index);
        let answer = self.ask_people(index, attack, approve, wanted, before).await;
        self.asking = None;
        answer
    }

    async fn ask_people(
        &mut self,
        index: usize,
        attack: &Attack,
        approve: &Approve,
        wanted: usize,
        before: usize,
    ) -> Result<Result<(), String>, RunError> {
        for path in self.approvals.given.clone() {
            self.take_approval(&path)?;
        }
        let agreed = self.recorder.approvals(index, before).0.len();
        if agreed >= wanted {
            return Ok(Ok(()));
        }
        let folder = self.folder.display().to_string();
        if !self.approvals.terminal {
            return Ok(Err(format!(
                "needs {wanted} to approve and there is no terminal to ask on; name what they signed with --approve \
                 FILE (`firedrill approve` makes it)"
            )));
        }
        let or_yes = if wanted == 1 { "yes, " } else { "" };
        self.recorder.say(&format!(
            "\"{}\" needs {} more within {}: each runs `firedrill approve {folder}`; or type {or_yes}the file that \
             they signed, or no",
            attack.name,
            wanted - agreed,
            approve.expires
        ));
        if !std::mem::replace(&mut self.listening, true) {
            listen(self.tasks.clone());
        }
        let (looking, end) = self.tasks.until_dropped();
        looking.spawn(watch(self.folder.clone(), looking.clone()));
        let until = self.clock.now_us() + signed(approve.expires.as_micros());
        let answer = self
            .pump(until, |run| {
                let (names, no) = run.recorder.approvals(index, before);
                no || names.len() >= wanted
            })
            .await;
        drop(end);
        let answer = answer?;
        let (names, no) = self.recorder.approvals(index, before);
        Ok(match answer {
            Err(stop) => Err(stop.reason()),
            Ok(_) if no => Err("somebody said no".to_owned()),
            Ok(_) if names.len() >= wanted => Ok(()),
            Ok(_) => Err(format!("approval by {wanted} lapsed after {}", approve.expires)),
        })
    }

    /// Accepts an approval if it counts for the attack that waits for one; otherwise reports the reason.
    pub(super) fn take_approval(&mut self, path: &Path) -> Result<(), RunError> {
        let Some(attack) = self.asking else { return Ok(()) };
        let verified = match &self.identity {
            Some(identity) => approval::verify(path, identity, &self.plan, &self.id)
                .map_err(|error| error.to_string())
                .and_then(|approval| self.is_another(attack, approval, path)),
            None => Err("no trusted certificate is known to verify it".to_owned()),
        };
        match verified {
            Err(why) => {
                self.recorder.say(&format!("an approval does not count: {why}"));
                Ok(())
            }
            Ok(Approval { by, serial, .. }) => {
                if self.recorder.approvals(attack, 0).0.contains(&by) {
                    return Ok(());
                }
                self.recorder.write(Event::ApprovalGiven { attack, by, yes: true, certificate: Some(serial) })
            }
        }
    }

    /// Rejects the runner's own approval where another person must approve.
    fn is_another(&self, attack: usize, approval: Approval, path: &Path) -> Result<Approval, String> {
        if self.wants_others(attack) && approval.by == self.operator {
            return Err(format!(
                "{}: {} runs this drill; if several approvals are needed, they must come from other people",
                path.display(),
                approval.by
            ));
        }
        Ok(approval)
    }

    /// Whether an attack needs more than one person.
    pub(super) fn wants_others(&self, attack: usize) -> bool {
        let asked = self.plan.attacks.get(attack).and_then(|attack| attack.approve.as_ref());
        asked.is_some_and(|approve| approve.people > 1)
    }
}
