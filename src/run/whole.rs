//! Claims the hosts of a whole game day, from before its first run until after its last run, so that no other run uses them. Without the
//! claim, another run could begin between two scenarios, and each would measure the effects of the other. Starts no run.
//!
//! The claim is a socket like that of a run (`claim.rs`). The runs of the game day know the claim by its name and ignore it. An undo
//! reaches the claim as it reaches a run; after it the game day begins no further scenario.

use std::sync::{Arc, OnceLock};

use super::{
    claim::{Met, others, owner_of},
    clock::RunClock,
    input::Input,
    socket::{self, Owner, SocketFile, Turn},
    tasks::Tasks,
    within::Within,
};
use crate::plan::Plan;

/// The beginning of a claim's name. No run of a scenario has a name with this beginning.
const PREFIX: &str = "gameday-";

/// The claim on the hosts of a game day. Dropping the value ends the claim.
pub struct Whole {
    within: Within,
    _socket: Option<SocketFile>,
    tasks: Tasks,
}

/// A game day and its plans: the input for a claim.
#[derive(Clone, Copy, Debug)]
pub struct OfGameday<'a> {
    /// The game day's name and its slot, for people.
    pub named: &'a str,
    /// The plans, in order.
    pub plans: &'a [Plan],
    /// The person who started the game day.
    pub operator: &'a str,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: &'a str,
}

impl OfGameday<'_> {
    /// Returns the first line of the claim's socket.
    fn owner(&self) -> Owner {
        let run = RunClock::start().run_id(self.named);
        let run = format!("{PREFIX}{run}").parse().unwrap_or(run);
        let mut owner = owner_of(run, self.plans, (self.operator, self.authority));
        self.named.clone_into(&mut owner.claim.gameday);
        owner
    }

    /// Returns a sentence about the run or game day on this machine that uses the same hosts or measures the same addresses; `None` if
    /// there is none. Claims nothing.
    pub async fn busy(&self) -> Option<String> {
        refusal(others(&self.owner(), None).await).err()
    }

    /// Claims the hosts. Also returns warnings, each a sentence: reasons why others may not see the claim, and runs that may use the same
    /// hosts.
    ///
    /// # Errors
    /// Another run or game day on this machine uses the same hosts or measures the same addresses; the error is a sentence about it.
    pub async fn keep(&self) -> Result<(Whole, Vec<String>), String> {
        let own = self.owner();
        let (tasks, mut inbox) = Tasks::new();
        let mut doubts = Vec::new();
        // Runs and game days that begin at the same moment look for others one after the other.
        let turn = Turn::take().await;
        if let Err(error) = &turn {
            doubts.push(format!(
                "runs that begin on this machine at this moment may use the same hosts: {error}"
            ));
        }
        let socket = socket::listen(own.clone(), &tasks).map_err(|error| {
            doubts.push(format!("other runs may use the hosts between two scenarios, because they do not see this game day: {error}"));
        });
        let met = others(&own, None).await;
        drop(turn);
        let undone_by = Arc::new(OnceLock::new());
        let whole = Whole {
            within: Within::new(own.run, Arc::clone(&undone_by)),
            _socket: socket.ok(),
            tasks: tasks.clone(),
        };
        doubts.extend(refusal(met)?);
        tasks.spawn(async move {
            while let Some(input) = inbox.recv().await {
                if let Input::UndoneHere { by } = input {
                    // Only the first undo is kept.
                    let _later = undone_by.set(by);
                }
            }
        });
        Ok((whole, doubts))
    }
}

/// Returns the sentences about others who may use the same hosts.
///
/// # Errors
/// Another run or game day uses the same hosts; the error is the sentence about it.
fn refusal(met: Vec<Met>) -> Result<Vec<String>, String> {
    met.into_iter().map(|Met { text, refuses }| if refuses { Err(text) } else { Ok(text) }).collect()
}

impl Whole {
    /// Returns the claim in the form that the game day's own runs get.
    #[must_use]
    pub const fn within(&self) -> &Within {
        &self.within
    }

    /// Returns the person who asked on this machine for an undo on these hosts since the claim began; `None` if nobody did.
    #[must_use]
    pub fn undone_by(&self) -> Option<&str> {
        self.within.undone_by()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use firedrill_judge::testing::Drill;
    use firedrill_wire::api::UndoScope;

    use super::*;
    use crate::run::{UndoNotice, notify};

    #[tokio::test]
    async fn a_claim_of_a_game_day_refuses_other_runs_until_it_ends_and_ignores_its_own() {
        let plans = [Drill::one().plan()];
        // Sockets of other tests and of real runs have other authorities.
        let authority = format!("whole-{}", std::process::id());
        let named = |named| OfGameday { named, plans: &plans, operator: "bob", authority: &authority };
        let (first, other) = (named("one of 2026-12-04T14:00"), named("other of 2026-12-04T14:05"));
        assert_eq!(first.busy().await, None);
        let (kept, doubts) = first.keep().await.unwrap();
        // Another program on this machine may not answer in time.
        assert!(doubts.iter().all(|doubt| doubt.contains("does not answer")), "{doubts:?}");
        let id = kept.within().id();
        assert!(id.as_str().starts_with(PREFIX), "{id}");
        let why = other.keep().await.err().unwrap();
        assert!(why.starts_with("game day one of 2026-12-04T14:00 by bob is going on"), "{why}");
        assert_eq!(other.busy().await, Some(why));
        let run = owner_of("run-of-one".parse().unwrap(), &plans, ("bob", &authority));
        assert_eq!(others(&run, Some(id)).await.iter().filter(|met| met.refuses).count(), 0, "its own run");
        assert_eq!(
            others(&run, None).await.iter().filter(|met| met.refuses).count(),
            1,
            "a run that is not a part of the game day"
        );
        let elsewhere = OfGameday { authority: "whole-another", ..other };
        assert_eq!(elsewhere.busy().await, None, "hosts of another fleet");
        // An undo on this machine between two scenarios ends the game day.
        assert_eq!(kept.undone_by(), None);
        let notice = UndoNotice {
            scope: UndoScope::All,
            hosts: run.targets.clone(),
            authority: authority.clone(),
            by: "carol".to_owned(),
        };
        assert_eq!(notify(&notice).await.len(), 1);
        let noted = async {
            while kept.undone_by().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), noted).await.expect("the undo is noted");
        assert_eq!(kept.undone_by(), Some("carol"));
        drop(kept);
        assert!(other.keep().await.is_ok(), "the first is over");
    }
}
