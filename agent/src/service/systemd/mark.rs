//! Distinguishes an administrator's stop of a unit from the agent's.
//!
//! systemd forgets most of these values when it unloads the unit; a forgotten value proves nothing.

use crate::service::manager::State;

/// The values that systemd keeps for a stopped unit and that change when somebody acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The invocation id of its last run.
    pub(super) run: String,
    /// The time at which it last went down, in microseconds by CLOCK_MONOTONIC.
    pub(super) down_since: String,
    /// `enabled`, `disabled`, `masked`, …
    pub(super) file: String,
}

impl Mark {
    /// Returns it as one text, which [`Mark::read`] reads.
    pub(super) fn text(&self) -> String {
        format!("{}:{}:{}", self.run, self.down_since, self.file)
    }

    pub(super) fn read(text: &str) -> Self {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { run: next(), down_since: next(), file: next() }
    }

    /// Returns the mark without the values that a start changes.
    pub(super) fn of_any_run(self) -> Self {
        Self { run: String::new(), down_since: String::new(), ..self }
    }
}

/// Returns, for people, the act of somebody else on a stopped unit since it had that mark; `None` if there was none.
pub(super) fn acted_since(mark: &str, now: &State) -> Option<String> {
    if now.wanted_up {
        return None;
    }
    let (before, seen) = (Mark::read(mark), Mark::read(&now.mark));
    if before.file != seen.file && matches!(seen.file.as_str(), "disabled" | "masked" | "masked-runtime") {
        Some(format!("its unit file was made `{}` since", seen.file))
    } else if before.run.is_empty() || seen.run.is_empty() {
        // systemd had forgotten the last run when one of the two marks was made.
        None
    } else if before.run != seen.run || before.down_since != seen.down_since {
        Some("it was started by somebody else since, and went down again".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::{BTreeMap, VecDeque},
        time::Duration,
    };

    use firedrill_wire::fault::{ServiceManager, Signal};

    use super::*;
    use crate::{
        host::process::Name,
        service::{
            manager::{About, Manager, Phase, ServiceError, Unit},
            systemd::Systemd,
        },
        undo::service::{Starts, start_again},
    };

    fn state(phase: Phase, wanted_up: bool, mark: &Mark) -> State {
        State { phase, wanted_up, main: None, run: None, settled: true, mark: mark.text() }
    }

    #[test]
    fn a_mark_tells_who_acted() {
        let mark = Mark { run: "aa".into(), down_since: "17".into(), file: "enabled".into() };
        let now = |mark: Mark, wanted_up| state(Phase::Down, wanted_up, &mark);
        assert_eq!(acted_since(&mark.text(), &now(mark.clone(), false)), None);
        let again = Mark { down_since: "18".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(again.clone(), false)).is_some());
        assert_eq!(acted_since(&mark.text(), &now(again, true)), None, "it is on its way up");
        let forgotten = Mark { run: String::new(), down_since: "0".into(), ..mark.clone() };
        assert_eq!(acted_since(&mark.text(), &now(forgotten.clone(), false)), None, "nothing can be told");
        assert_eq!(acted_since(&forgotten.text(), &now(mark.clone(), false)), None, "nothing can be told");
        let masked = Mark { file: "masked".into(), ..mark.clone() };
        assert!(acted_since(&mark.text(), &now(masked, false)).is_some_and(|what| what.contains("masked")));
        let odd = Mark { run: "aa".into(), down_since: "17".into(), file: "a:b".into() };
        assert_eq!(Mark::read(&odd.text()), odd);
    }

    #[test]
    fn a_start_that_is_under_way_is_not_taken_for_an_act_of_somebody_else() {
        let mark = Mark { run: "aa".into(), down_since: "17".into(), file: "enabled".into() };
        let pending = Systemd::default().mark_while_starting(&mark.text());
        let failed = Mark { run: "bb".into(), down_since: "29".into(), ..mark };
        assert_eq!(acted_since(&pending, &state(Phase::Failed, false, &failed)), None);
        let masked = Mark { file: "masked".into(), ..failed };
        assert!(acted_since(&pending, &state(Phase::Failed, false, &masked)).is_some());
    }

    /// A fake unit with predefined results of starts.
    struct Fake {
        now: RefCell<State>,
        starts: RefCell<VecDeque<(Option<ServiceError>, State)>>,
        /// Names of the units that it requires.
        needs: RefCell<BTreeMap<String, State>>,
    }

    impl Manager for Fake {
        fn state(&self, unit: &Unit) -> Result<State, ServiceError> {
            Ok(self.needs.borrow().get(&unit.id).unwrap_or(&self.now.borrow()).clone())
        }
        fn needs(&self, _: &Unit) -> Result<Vec<Unit>, ServiceError> {
            let ids = self.needs.borrow().keys().cloned().collect::<Vec<_>>();
            Ok(ids.into_iter().map(|id| Unit { manager: ServiceManager::Systemd, id }).collect())
        }
        fn start(&self, _: &Unit, _: Duration, _: Option<&str>) -> Result<State, ServiceError> {
            let (error, state) = self.starts.borrow_mut().pop_front().expect("one start too many");
            self.now.replace(state.clone());
            error.map_or(Ok(state), Err)
        }
        fn acted_since(&self, mark: &str, now: &State) -> Option<String> {
            Systemd::default().acted_since(mark, now)
        }
        fn mark_while_starting(&self, mark: &str) -> String {
            Systemd::default().mark_while_starting(mark)
        }
        fn find(&self, _: &str) -> Result<Option<Unit>, ServiceError> {
            unreachable!()
        }
        fn about(&self, _: &Unit) -> Result<About, ServiceError> {
            unreachable!()
        }
        fn comeback(&self, _: &Unit, _: Signal) -> Result<String, ServiceError> {
            unreachable!()
        }
        fn processes(&self, _: &Unit) -> Result<Vec<Name>, ServiceError> {
            unreachable!()
        }
        fn stop(&self, _: &Unit, _: Duration, _: &dyn Fn() -> bool) -> Result<State, ServiceError> {
            unreachable!()
        }
        fn restart(&self, _: &Unit, _: Duration) -> Result<State, ServiceError> {
            unreachable!()
        }
        fn list(&self) -> Result<Vec<(Unit, Phase, bool)>, ServiceError> {
            unreachable!()
        }
        fn looked(&self) -> String {
            unreachable!()
        }
    }

    #[test]
    fn a_start_of_the_agent_that_timed_out_and_then_failed_is_tried_again() {
        let mark = |run: &str, down_since: &str| Mark {
            run: run.into(),
            down_since: down_since.into(),
            file: "enabled".into(),
        };
        let stopped = mark("aa", "17");
        let late = ServiceError::Late {
            what: "starting".into(),
            after: Duration::from_secs(6),
            seen: "starting".into(),
        };
        let failed = ServiceError::Failed { what: "start".into(), why: "it did not stay up".into() };
        let up = State { run: Some("dd".into()), ..state(Phase::Up, true, &mark("dd", "37")) };
        let fake = Fake {
            now: RefCell::new(state(Phase::Down, false, &stopped)),
            starts: RefCell::new(VecDeque::from([
                // The job is queued, or the unit is starting: its last run is still the one that the agent stopped.
                (Some(late), state(Phase::Starting, true, &stopped)),
                (Some(failed), state(Phase::Failed, false, &mark("cc", "31"))),
                (None, up),
            ])),
            needs: RefCell::default(),
        };
        let unit = Unit { manager: ServiceManager::Systemd, id: "fd-late-start.service".into() };
        let starts = Starts::default();
        let undo = || start_again(&starts, &fake, &unit, Some(&stopped.text()));
        assert!(undo().expect_err("late").passing);
        // The start that timed out happens after all, and fails.
        fake.now.replace(state(Phase::Failed, false, &mark("bb", "29")));
        assert!(undo().expect_err("fails again").passing);
        assert_eq!(undo().expect("it is back").foreign, Vec::<String>::new());

        fake.now.replace(state(Phase::Failed, false, &mark("ee", "41")));
        let undone = undo().expect("somebody else started it");
        assert_eq!(undone.foreign.len(), 1, "our own starts are over: {undone:?}");
    }

    #[test]
    fn the_note_that_a_service_was_left_down_counts_only_while_it_is_down() {
        let mark = |down_since: &str| Mark {
            run: "aa".into(),
            down_since: down_since.into(),
            file: "enabled".into(),
        };
        let unit = |id: &str| Unit { manager: ServiceManager::Systemd, id: id.into() };
        let down = |since: &str| state(Phase::Down, false, &mark(since));
        let up = State { run: Some("bb".into()), ..state(Phase::Up, true, &mark("0")) };
        let (db, app) = (unit("fd-left-db.service"), unit("fd-left-app.service"));
        let fake = |now: State| Fake {
            now: RefCell::new(now),
            starts: RefCell::new(VecDeque::from([(None, up.clone())])),
            needs: RefCell::default(),
        };
        let starts = Starts::default();
        let leave_db = || {
            let undone =
                start_again(&starts, &fake(down("18")), &db, Some(&mark("17").text())).expect("left");
            assert_eq!(undone.foreign.len(), 1, "{undone:?}");
        };
        // The undo of the app while the database is in the same state.
        let undo_app = |db_is: State| {
            let fake = fake(down("27"));
            fake.needs.borrow_mut().insert(db.id.clone(), db_is);
            start_again(&starts, &fake, &app, Some(&mark("27").text())).expect("an answer").foreign
        };
        leave_db();
        assert_eq!(undo_app(down("18")).len(), 1, "it would start the database");
        for started in [up.clone(), state(Phase::Starting, true, &mark("18"))] {
            leave_db();
            assert_eq!(undo_app(started.clone()), Vec::<String>::new(), "{started:?}");
            assert_eq!(undo_app(down("25")), Vec::<String>::new(), "the note is gone: {started:?}");
        }
        // A start by the agent removes the note, too.
        leave_db();
        start_again(&starts, &fake(down("21")), &db, Some(&mark("21").text())).expect("it is started");
        assert_eq!(undo_app(down("25")), Vec::<String>::new());
    }
}
