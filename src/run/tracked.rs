//! An armed injection: its state, and the times by which its end and its undo are expected. Sends nothing to agents.

use firedrill_wire::{Fault, Span, journal::State};

use super::clock::signed;

/// Maximum duration of an undo until it is done or `stuck`, for an agent with the default configuration: its `undo_budget`, and some
/// seconds for the process that takes over after a crash.
pub(super) const UNDO_MOST: Span = Span::secs(130);

/// Time after a fault's planned end for the agents' undo and their report, in microseconds.
pub(super) const GRACE_US: i64 = 5_000_000;

/// Returns the time, in microseconds, after the end of an attack's faults within which their reports must come. It includes the lease,
/// because an agent that cannot hear the coordinator ends a fault when the lease expires. If a fault takes its host down, the lease is
/// left out for all hosts of the attack: a host that is down cannot report anyway.
pub(super) fn report_us<'a>(mut faults: impl Iterator<Item = &'a Fault>, lease: Span) -> i64 {
    let down = faults.any(Fault::takes_host_down);
    GRACE_US + if down { 0 } else { signed(lease.as_micros()) }
}

/// An injection that was armed.
pub(super) struct Tracked {
    pub(super) host: String,
    /// The attack's index in the plan.
    pub(super) attack: usize,
    pub(super) state: State,
    /// The planned time in force.
    hold_us: i64,
    /// End of the hold, on the run's clock. Until the fault is in force, the latest possible end.
    ends_us: i64,
    /// Time at which the injection entered its state, on the run's clock.
    since_us: i64,
}

impl Tracked {
    /// Returns an injection that was armed to start at `start_us` on the run's clock.
    pub(super) fn new(host: String, attack: usize, start_us: i64, hold: Span) -> Self {
        let hold_us = signed(hold.as_micros());
        let ends_us = start_us.saturating_add(hold_us);
        Self { host, attack, state: State::Armed, hold_us, ends_us, since_us: start_us }
    }

    /// Adds the time that the fault may need to come into force. An irreversible fault needs none: it happens in an instant, and its
    /// hold is only the time of observation.
    pub(super) fn with_ramp_of(mut self, fault: &Fault, hold: Span) -> Self {
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

    /// Returns the latest end of the hold, on the run's clock and without the time for the undo. `None` if the hold is over or will
    /// never start.
    pub(super) fn ends_us(&self) -> Option<i64> {
        matches!(self.state, State::Armed | State::Injecting | State::InForce).then_some(self.ends_us)
    }

    /// Returns the latest end, on the run's clock, of the injecting or undoing that the agent is busy with; it answers an undo only after
    /// that. `None` if the agent is not busy with the injection.
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
        Tracked::new("app1".to_owned(), 0, 100 * S, hold).with_ramp_of(fault, hold)
    }

    #[test]
    fn the_hold_is_counted_from_the_moment_when_the_fault_is_in_force() {
        let mut tracked = armed(&stop());
        assert_eq!(tracked.ends_us(), Some(120 * S), "stopping the service may take as long as the hold");
        tracked.changed(State::Injecting, 100 * S);
        assert_eq!((tracked.ends_us(), tracked.undone_by_us()), (Some(120 * S), Some(120 * S)));
        tracked.changed(State::InForce, 103 * S);
        assert_eq!((tracked.ends_us(), tracked.undone_by_us()), (Some(113 * S), None));
        tracked.changed(State::Undoing, 113 * S);
        assert_eq!(
            (tracked.ends_us(), tracked.undone_by_us()),
            (None, Some(113 * S + signed(UNDO_MOST.as_micros())))
        );
        tracked.changed(State::Undone, 141 * S);
        assert_eq!((tracked.ends_us(), tracked.undone_by_us()), (None, None));
    }

    #[test]
    fn the_lease_is_left_out_if_a_host_goes_down_but_the_grace_stays() {
        let off = Fault::HostPoweroff(HostPoweroff {});
        assert_eq!(report_us([&stop(), &isolate()].into_iter(), Span::secs(15)), GRACE_US + 15 * S);
        assert_eq!(report_us([&off, &stop()].into_iter(), Span::secs(15)), GRACE_US);
    }

    #[test]
    fn each_injection_ends_according_to_its_own_start() {
        let mut tracked = [armed(&stop()), armed(&isolate())];
        tracked[0].changed(State::InForce, 107 * S);
        tracked[1].changed(State::InForce, 100 * S);
        assert_eq!(tracked.map(|injection| injection.ends_us()), [Some(117 * S), Some(110 * S)]);
    }

    #[test]
    fn an_irreversible_fault_ends_as_planned() {
        let kill = ServiceKill {
            service: "checkout".to_owned(),
            manager: ServiceManager::Auto,
            signal: Signal::Kill,
        };
        assert_eq!(armed(&Fault::ServiceKill(kill)).ends_us(), Some(110 * S));
    }
}
