//! The reasons that end a run. The first reason to stop counts. After the attacks nothing is stopped any more, but the outcome may change.

use firedrill_wire::Span;

use super::{clock::signed, stop::Stop};
use crate::log::RunOutcome;

/// The reason why a run ends, and whether its attacks are over.
#[derive(Default)]
pub(super) struct Ending {
    /// The first reason to stop.
    stop: Option<Stop>,
    /// Whether the attacks are over.
    finishing: bool,
    /// The undo or halt by a person that became known after the attacks.
    undone_by: Option<String>,
}

impl Ending {
    /// Returns the reason to stop, if there is one.
    pub(super) const fn why(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Whether the attacks are over.
    pub(super) const fn is_finishing(&self) -> bool {
        self.finishing
    }

    /// Stops the run, unless it stops for another reason already.
    pub(super) fn stop(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
    }

    /// Takes an agent's report that a person undid or halted something. After the attacks it changes only the outcome.
    pub(super) fn by_person(&mut self, why: String) {
        if self.finishing {
            self.undone_by.get_or_insert(why);
        } else {
            self.stop(Stop::Person(why));
        }
    }

    /// Takes an undo of the run by a person on this machine. After the attacks it is ignored here: agents report it if they undid something.
    pub(super) fn undone_here(&mut self, by: &str) {
        if !self.finishing {
            self.stop(Stop::Person(format!("{by} undid the run on this machine")));
        }
    }

    /// Takes a halt by a person or a signal. Returns whether the run stops because of it; `false` if it stops or ends already.
    pub(super) fn halt(&mut self, by: &str) -> bool {
        let stops = self.stop.is_none() && !self.finishing;
        if stops {
            self.stop(Stop::Person(format!("stopped by {by}")));
        }
        stops
    }

    /// Notes that the attacks are over. `undone_by` is an undo or halt by a person that became known only now.
    pub(super) fn finish(&mut self, undone_by: Option<String>) {
        self.finishing = true;
        self.undone_by = undone_by;
    }

    /// Returns the outcome of the run, given the outcome of its attacks. A person's undo or halt after the attacks replaces `Completed` and
    /// `Failed`; if a guard or a person had stopped the attacks, that stays.
    pub(super) fn outcome(&self, attacks: RunOutcome) -> RunOutcome {
        match (attacks, &self.undone_by) {
            (RunOutcome::Completed | RunOutcome::Failed(_), Some(why)) => RunOutcome::Stopped(why.clone()),
            (outcome, _) => outcome,
        }
    }
}

/// Returns the reason to stop after a gap of `gap_us` microseconds in which the coordinator did not run; `None` if the gap was not longer
/// than the lease. After a longer gap agents have healed by themselves.
pub(super) fn slept(gap_us: i64, lease: Span) -> Option<Stop> {
    (gap_us > signed(lease.as_micros())).then(|| {
        let seconds = gap_us / 1_000_000;
        Stop::Slept(format!(
            "the coordinator was not running for {seconds} s, longer than the lease of {lease}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_judge::testing::S;

    fn reason(ending: &Ending) -> Option<String> {
        ending.why().map(Stop::reason)
    }

    #[test]
    fn the_first_reason_counts() {
        let mut ending = Ending::default();
        ending.stop(Stop::Guard("too many errors".to_owned()));
        ending.by_person("bob undid it".to_owned());
        ending.undone_here("carol");
        assert!(!ending.halt("Ctrl-C"), "it stops already");
        assert_eq!(reason(&ending).as_deref(), Some("too many errors"));
    }

    #[test]
    fn a_signal_stops_a_run_once_and_never_interrupts_its_end() {
        let mut ending = Ending::default();
        assert!(ending.halt("SIGTERM"));
        assert!(!ending.halt("SIGTERM"), "the run stops already");
        assert_eq!(reason(&ending).as_deref(), Some("stopped by SIGTERM"));
        let mut over = Ending::default();
        over.finish(None);
        assert!(!over.halt("Ctrl-C"));
        over.undone_here("bob");
        assert_eq!(reason(&over), None);
    }

    #[test]
    fn an_undo_after_the_attacks_changes_the_outcome_and_stops_nothing() {
        let undone = || {
            let mut ending = Ending::default();
            ending.finish(None);
            ending.by_person("bob undid it".to_owned());
            ending.by_person("carol halted app1".to_owned());
            ending
        };
        assert_eq!(reason(&undone()), None);
        let failed = RunOutcome::Failed("not healthy".to_owned());
        for attacks in [RunOutcome::Completed, failed] {
            assert_eq!(undone().outcome(attacks), RunOutcome::Stopped("bob undid it".to_owned()));
        }
        let guarded = RunOutcome::Guarded("too many errors".to_owned());
        assert_eq!(undone().outcome(guarded.clone()), guarded, "the guard had stopped it before");
        let mut quiet = Ending::default();
        quiet.finish(None);
        assert_eq!(quiet.outcome(RunOutcome::Completed), RunOutcome::Completed);
    }

    #[test]
    fn only_a_sleep_beyond_the_lease_ends_a_run() {
        let lease = Span::secs(15);
        assert!(slept(15 * S, lease).is_none());
        let Some(Stop::Slept(why)) = slept(16 * S, lease) else { panic!("agents have healed") };
        assert_eq!(why, "the coordinator was not running for 16 s, longer than the lease of 15s");
    }
}
