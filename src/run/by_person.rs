//! Decides whether an agent's event ends the run because of a person: the person undid the run or one of its faults, halted a target, or is
//! not trusted any more.

use std::collections::BTreeSet;

use firedrill_wire::{
    RunId,
    journal::{HealReason, What},
};

use super::injections::Injections;
use crate::plan::Plan;

/// The state of a run at the time of an agent's report.
pub(super) struct Known<'a> {
    pub(super) run: &'a RunId,
    pub(super) plan: &'a Plan,
    pub(super) targets: &'a BTreeSet<String>,
    pub(super) injections: &'a Injections,
    /// Whether the attacks are over. Then there is nothing left to stop, but the undo of a fault still changes the outcome.
    pub(super) finishing: bool,
}

impl Known<'_> {
    /// Returns the reason to end the run; `None` if the event is none. `happened_us` is the time of the event on the run's clock. An undo that
    /// this run requested is no reason.
    pub(super) fn ended_by(&self, host: &str, happened_us: i64, what: &What) -> Option<String> {
        match what {
            What::Changed { injection, reason: Some(HealReason::Asked { by }), .. } => {
                let attack = self.plan.attacks.get(self.injections.attack_of(injection)?)?;
                let ours = self.injections.undone_by_us_at(injection, happened_us);
                (!ours).then(|| format!("{by} undid \"{}\" on {host}", attack.name))
            }
            _ if self.finishing => None,
            What::RunUndone { run, by } if run == self.run && !self.injections.run_undone() => {
                Some(format!("{by} undid the run on {host}"))
            }
            What::Distrusted { run, name, why, .. } if run == self.run => Some(format!(
                "{host} put the run back, because the certificate of {name} is not trusted any more: {why}"
            )),
            What::Halted { by } if self.targets.contains(host) => Some(format!("{by} halted {host}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S};
    use firedrill_wire::{Span, journal::State};

    use super::*;
    use crate::run::tracked::Tracked;

    fn undone(injection: &str) -> What {
        What::Changed {
            injection: injection.parse().unwrap(),
            run: "friday-7f3a".parse().unwrap(),
            to: State::Undoing,
            reason: Some(HealReason::Asked { by: "bob".to_owned() }),
            detail: String::new(),
            foreign: Vec::new(),
        }
    }

    fn run_undone(run: &str) -> What {
        What::RunUndone { run: run.parse().unwrap(), by: "bob".to_owned() }
    }

    /// Returns the reason to end a run that has armed one injection on app1, for an event on a host at second 110. `change` changes the
    /// injections before.
    fn ended(host: &str, what: &What, change: impl Fn(&mut Injections), finishing: bool) -> Option<String> {
        let plan = Drill::good().plan();
        let (run, targets) =
            ("friday-7f3a".parse().unwrap(), plan.targets().into_iter().map(str::to_owned).collect());
        let mut injections = Injections::default();
        let tracked = Tracked::new("app1".to_owned(), 0, 100 * S, Span::secs(60));
        injections.arm("friday-7f3a-1-1".parse().unwrap(), tracked);
        change(&mut injections);
        let known = Known { run: &run, plan: &plan, targets: &targets, injections: &injections, finishing };
        known.ended_by(host, 110 * S, what)
    }

    #[test]
    fn an_undo_of_a_fault_by_a_person_ends_the_run_also_after_the_attacks() {
        let what = undone("friday-7f3a-1-1");
        let told = Some("bob undid \"stop checkout\" on app1".to_owned());
        assert_eq!(ended("app1", &what, |_| {}, false), told);
        assert_eq!(ended("app1", &what, |_| {}, true), told, "after the attacks, too");
        let ask = |at: i64| {
            move |injections: &mut Injections| {
                injections.ask_undo(&["friday-7f3a-1-1".parse().unwrap()], at * S);
            }
        };
        assert_eq!(ended("app1", &what, ask(110), false), None, "this run asked for it");
        assert_eq!(
            ended("app1", &what, ask(115), false),
            told,
            "the undo came before this run asked for one"
        );
        assert_eq!(ended("app1", &undone("monday-0001-1-1"), |_| {}, false), None, "another run's");
    }

    #[test]
    fn an_undo_of_the_run_ends_it_unless_the_run_requested_the_undo() {
        let told = Some("bob undid the run on canary".to_owned());
        assert_eq!(ended("canary", &run_undone("friday-7f3a"), |_| {}, false), told);
        assert_eq!(ended("canary", &run_undone("monday-0001"), |_| {}, false), None);
        assert_eq!(ended("canary", &run_undone("friday-7f3a"), Injections::ask_undo_of_run, false), None);
        assert_eq!(
            ended("canary", &run_undone("friday-7f3a"), |_| {}, true),
            None,
            "nothing is left to stop"
        );
    }

    #[test]
    fn a_halt_ends_the_run_on_its_targets_only() {
        let halted = What::Halted { by: "bob".to_owned() };
        assert_eq!(ended("app1", &halted, |_| {}, false).as_deref(), Some("bob halted app1"));
        assert_eq!(ended("canary", &halted, |_| {}, false), None, "it is no target");
        assert_eq!(ended("app1", &halted, |_| {}, true), None);
    }

    #[test]
    fn a_person_who_is_not_trusted_any_more_ends_the_run() {
        let what = |run: &str| What::Distrusted {
            run: run.parse().unwrap(),
            name: "alice".to_owned(),
            serial: "01".to_owned(),
            why: "it was revoked".to_owned(),
        };
        let why = ended("db2", &what("friday-7f3a"), |_| {}, false).unwrap();
        assert!(why.contains("certificate of alice is not trusted any more: it was revoked"), "{why}");
        assert_eq!(ended("db2", &what("monday-0001"), |_| {}, false), None);
    }
}
