//! People who must agree before an attack: asked on the terminal, or named beforehand.

use std::collections::BTreeSet;

use tokio::sync::mpsc::UnboundedSender;

use super::{Run, RunError, clock::signed, input::Input};
use crate::{
    log::Event,
    plan::model::{Approve, Attack},
};

/// Where approvals come from.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// People named beforehand (`--approve NAME`).
    pub given: Vec<String>,
    /// Whether somebody sits at the terminal.
    pub terminal: bool,
}

/// Reads lines for as long as the program runs. A thread of its own, because a read from a terminal cannot be called
/// off: one that is left behind must neither keep the program from ending nor swallow the next answer.
fn listen(mail: UnboundedSender<Input>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if mail.send(Input::Line(line)).is_err() {
                return;
            }
        }
        let _ = mail.send(Input::TerminalClosed);
    });
}

impl Run {
    /// Asks people; the inner error says why the attack is not run.
    pub(super) async fn approved(
        &mut self,
        index: usize,
        attack: &Attack,
        approve: &Approve,
    ) -> Result<Result<(), String>, RunError> {
        let wanted = usize::try_from(approve.people).unwrap_or(usize::MAX);
        self.book.write(Event::ApprovalAsked { attack: index, people: approve.people })?;
        let mut agreed: BTreeSet<String> = BTreeSet::new();
        for by in self.approvals.given.clone() {
            if agreed.insert(by.clone()) {
                self.book.write(Event::ApprovalGiven { attack: index, by, yes: true })?;
            }
        }
        if agreed.len() >= wanted {
            return Ok(Ok(()));
        }
        if !self.approvals.terminal {
            return Ok(Err(format!(
                "needs {wanted} to approve and there is no terminal to ask on; name people with --approve NAME"
            )));
        }
        self.book.say(&format!(
            "\"{}\" needs {} more within {}: type a name for each (or yes), or no",
            attack.name,
            wanted - agreed.len(),
            approve.expires
        ));
        let before = self.book.len();
        self.asking = Some(index);
        if !std::mem::replace(&mut self.listening, true) {
            listen(self.mail.clone());
        }
        let until = self.clock.now_us() + signed(approve.expires.as_micros());
        let answer = self
            .pump(until, |run| {
                let (names, no) = run.book.approvals(index, before);
                no || names.union(&agreed).count() >= wanted
            })
            .await;
        self.asking = None;
        let answer = answer?;
        let (names, no) = self.book.approvals(index, before);
        Ok(match answer {
            Err(stop) => Err(stop.reason()),
            Ok(_) if no => Err("somebody said no".to_owned()),
            Ok(_) if names.union(&agreed).count() >= wanted => Ok(()),
            Ok(_) => Err(format!("approval by {wanted} lapsed after {}", approve.expires)),
        })
    }
}
