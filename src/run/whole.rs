//! Keeps the hosts of a game day from other runs, from before its first run until after its last one. Otherwise another one could
//! begin between two scenarios, and each would measure what the other has left.
//!
//! The claim is a socket like that of a run (`claim.rs`). The runs of the game day know it by its name and ignore it. An undo reaches it as it
//! reaches a run: the game day begins no further scenario then.

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

/// The beginning of a claim's name. No run of a scenario has a name that begins so.
const PREFIX: &str = "gameday-";

/// The hosts of a game day, which are kept as long as this exists.
pub struct Whole {
    within: Within,
    _socket: Option<SocketFile>,
    tasks: Tasks,
}

/// A game day and its plans.
#[derive(Clone, Copy, Debug)]
pub struct OfGameday<'a> {
    /// Its name and its slot, for people.
    pub named: &'a str,
    /// The plans, in order.
    pub plans: &'a [Plan],
    /// The person who runs it.
    pub operator: &'a str,
    /// The fleet's authority: [`crate::link::Identity::authority`].
    pub authority: &'a str,
}

impl OfGameday<'_> {
    fn owner(&self) -> Owner {
        let run = RunClock::start().run_id(self.named);
        let run = format!("{PREFIX}{run}").parse().unwrap_or(run);
        let mut owner = owner_of(run, self.plans, (self.operator, self.authority));
        self.named.clone_into(&mut owner.claim.gameday);
        owner
    }

    /// Returns the run or the game day on this machine that uses the same hosts, or measures the same addresses; `None` if there is none. Claims
    /// nothing.
    pub async fn busy(&self) -> Option<String> {
        refusal(others(&self.owner(), None).await).err()
    }

    /// Keeps the hosts. Also returns warnings, each a sentence: why others may not see the claim, and who may use the same hosts.
    ///
    /// # Errors
    /// Another run or game day on this machine uses the same hosts, or measures the same addresses: a sentence about it.
    pub async fn keep(&self) -> Result<(Whole, Vec<String>), String> {
        let own = self.owner();
        let (tasks, mut inbox) = Tasks::new();
        let mut doubts = Vec::new();
        // As for runs, those who begin at once look one after the other.
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
                    let _later = undone_by.set(by);
                }
            }
        });
        Ok((whole, doubts))
    }
}

/// Returns the sentences about those who may use the same hosts. The error is that about one who does.
fn refusal(met: Vec<Met>) -> Result<Vec<String>, String> {
    met.into_iter().map(|Met { text, refuses }| if refuses { Err(text) } else { Ok(text) }).collect()
}

impl Whole {
    /// Returns the claim, by which the game day's own runs know it.
    #[must_use]
    pub const fn within(&self) -> &Within {
        &self.within
    }

    /// Returns the person who undid something on these hosts since, on this machine.
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
    async fn a_game_day_keeps_its_hosts_until_it_is_over_and_its_own_runs_pass() {
        let plans = [Drill::one().plan()];
        // Sockets of other tests and of real runs have other authorities.
        let authority = format!("whole-{}", std::process::id());
        let named = |named| OfGameday { named, plans: &plans, operator: "bob", authority: &authority };
        let (one, other) = (named("one of 2026-12-04T14:00"), named("other of 2026-12-04T14:05"));
        assert_eq!(one.busy().await, None);
        let (kept, doubts) = one.keep().await.unwrap();
        // Of other programs on this machine, one may not answer in time.
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
            "a run of somebody else"
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
