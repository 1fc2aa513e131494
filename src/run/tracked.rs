//! An armed injection: its state, and the time until which it is waited for.

use firedrill_wire::{Fault, Span, journal::State};

use super::clock::signed;

/// Maximum duration of an undo until it is done or `stuck`, with an agent of the usual configuration: its
/// `undo_budget`, and some seconds for the process that takes over.
pub(super) const UNDO_MOST: Span = Span::secs(130);

/// Time after a planned end for the agents' undo and their report.
pub(super) const GRACE_US: i64 = 5_000_000;

/// Returns the time after a fault's end within which its report must come. It includes the lease, because a fault
/// ends with the lease where the agent does not hear the coordinator. A host that goes down cannot report; then the
/// lease is not waited for on any host of the attack.
pub(super) fn report_us<'a>(mut faults: impl Iterator<Item = &'a Fault>, lease: Span) -> i64 {
    let down = faults.any(Fault::takes_host_down);
    GRACE_US + if down { 0 } else { signed(lease.as_micros()) }
}

/// An injection that was armed.
pub(super) struct Tracked {
    pub(super) host: String,
    pub(super) attack: usize,
    pub(super) state: State,
    hold_us: i64,
    /// End of the hold on the run's clock. Until it is in force, the latest possible end.
    ends_us: i64,
    /// Time at which it entered its state.
    since_us: i64,
}

impl Tracked {
    /// An injection that was armed to start at `start_us` on the run's clock.
    pub(super) fn new(host: String, attack: usize, start_us: i64, hold: Span) -> Self {
        let hold_us = signed(hold.as_micros());
        let ends_us = start_us.saturating_add(hold_us);
        Self { host, attack, state: State::Armed, hold_us, ends_us, since_us: start_us }
    }

    /// Adds the time that the fault may need to come into force. An irreversible fault is over in an instant and is
    /// observed for the planned time only.
    pub(super) fn by(mut self, fault: &Fault, hold: Span) -> Self {
        if fault.reversible() {
            self.ends_us = self.ends_us.saturating_add(signed(fault.ramp(hold).as_micros()));
        }
        self
    }

    /// Records a change of state that the agent journaled.
    pub(super) fn changed(&mut self, to: State, at_us: i64) {
        if to == State::InForce {
            self.ends_us = at_us.saturating_add(self.hold_us);
        }
        (self.state, self.since_us) = (to, at_us);
    }

    /// Returns the latest end of the injection without the time for the undo; `None` if its hold is over or it never
    /// started.
    pub(super) fn ends_us(&self) -> Option<i64> {
        matches!(self.state, State::Armed | State::Injecting | State::InForce).then_some(self.ends_us)
    }

    /// Returns the latest end of the agent's current step, which comes before an answer to an undo: the injection or
    /// the undo.
    pub(super) fn undone_by_us(&self) -> Option<i64> {
        match self.state {
            State::Injecting => Some(self.ends_us),
            State::Undoing => Some(self.since_us.saturating_add(signed(UNDO_MOST.as_micros()))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::fault::{HostPoweroff, ServiceKill, ServiceManager, Signal};

    use super::*;
    use firedrill_judge::testing::{S, isolate, stop};

    fn armed(fault: &Fault) -> Tracked {
        let hold = Span::secs(10);
        Tracked::new("app1".to_owned(), 0, 100 * S, hold).by(fault, hold)
    }

    #[test]
    fn the_hold_is_counted_from_when_it_is_in_force() {
        let mut one = armed(&stop());
        assert_eq!(one.ends_us(), Some(120 * S), "stopping may take as long as the hold");
        one.changed(State::Injecting, 100 * S);
        assert_eq!((one.ends_us(), one.undone_by_us()), (Some(120 * S), Some(120 * S)));
        one.changed(State::InForce, 103 * S);
        assert_eq!((one.ends_us(), one.undone_by_us()), (Some(113 * S), None));
        one.changed(State::Undoing, 113 * S);
        assert_eq!(
            (one.ends_us(), one.undone_by_us()),
            (None, Some(113 * S + signed(UNDO_MOST.as_micros())))
        );
        one.changed(State::Undone, 141 * S);
        assert_eq!((one.ends_us(), one.undone_by_us()), (None, None));
    }

    #[test]
    fn an_undo_has_time_to_begin_also_beside_a_host_that_goes_down() {
        let off = Fault::HostPoweroff(HostPoweroff {});
        assert_eq!(report_us([&stop(), &isolate()].into_iter(), Span::secs(15)), GRACE_US + 15 * S);
        assert_eq!(report_us([&off, &stop()].into_iter(), Span::secs(15)), GRACE_US);
    }

    #[test]
    fn each_of_several_ends_by_its_own_start() {
        let mut all = [armed(&stop()), armed(&isolate())];
        all[0].changed(State::InForce, 107 * S);
        all[1].changed(State::InForce, 100 * S);
        assert_eq!(all.map(|one| one.ends_us()), [Some(117 * S), Some(110 * S)]);
    }

    #[test]
    fn what_is_over_in_an_instant_is_as_planned() {
        let kill = ServiceKill {
            service: "checkout".to_owned(),
            manager: ServiceManager::Auto,
            signal: Signal::Kill,
        };
        assert_eq!(armed(&Fault::ServiceKill(kill)).ends_us(), Some(110 * S));
    }
}
