//! The lease of a run: the coordinator renews it, and it ends if the coordinator is silent. The decisions themselves are in
//! `crate::decide`.

use firedrill_wire::{
    RunId,
    api::{Problem, Renew, Renewed},
    journal::{HealReason, State, What},
};

use super::{
    core::Core,
    prepare::{lease_over, unknown_run},
    state::{Entry, Run},
};
use crate::{
    control::Caller,
    decide::{self, Lease, Renewal},
    mutex::lock,
};

impl Run {
    /// Returns the facts about its lease on which decisions depend.
    pub(super) const fn lease_now(&self) -> Lease {
        Lease { until: self.lease_until, renewals: self.renewals, ended: self.over }
    }
}

impl Core {
    /// Renews the lease of a run.
    ///
    /// # Errors
    /// The refusal: the lease is over, the run is unknown, or the length is not allowed.
    pub(super) fn renew(&self, caller: &Caller, run: &RunId, renew: &Renew) -> Result<Renewed, Problem> {
        self.check_trusted(run)?;
        // A lease that is not longer was allowed when the injections were armed.
        if lock(&self.state).runs.get(run).is_some_and(|known| renew.lease > known.lease) {
            self.check_lease(renew.lease)?;
        }
        // Asked before the lock is taken: it is never held while a file is read.
        let asked_again = self.ask_again(caller, run);
        let clock = self.clock();
        let mut state = lock(&self.state);
        let in_force = state.open_of(run).any(|entry| entry.state != State::Stuck);
        let Some(known) = state.runs.get_mut(run) else {
            return Err(unknown_run(run));
        };
        match decide::renewal(clock.boot_us, &known.lease_now(), in_force) {
            Renewal::Renewed => {}
            Renewal::Ended => return Err(lease_over(run)),
            Renewal::Ends => {
                drop(state);
                self.expire(run);
                return Err(lease_over(run));
            }
        }
        known.renewals += 1;
        known.lease = renew.lease;
        known.lease_until = clock.boot_us.saturating_add(renew.lease.as_micros());
        known.heard_boot_us = clock.boot_us;
        for (id, answer) in asked_again {
            match (state.live.get_mut(&id), answer) {
                (Some(entry), Ok(rules)) => entry.allowed_by = rules,
                (Some(entry), Err(why)) => entry.disallow(why, clock.boot_us),
                (None, _) => {}
            }
        }
        for entry in state.live.values_mut().filter(|entry| entry.intent.run == *run && entry.state.is_open())
        {
            entry.renew();
        }
        let open = state.open_of(run).map(Entry::show).collect();
        self.tell_guard(&state);
        drop(state);
        Ok(Renewed { clock, last_seq: *self.published.borrow(), open })
    }

    /// Ends a run whose lease has expired: undoes its injections, and refuses later renewals.
    pub(super) fn expire(&self, run: &RunId) {
        let now = self.now();
        let is_new = {
            let mut state = lock(&self.state);
            let is_new = state.runs.get_mut(run).is_some_and(|run| !std::mem::replace(&mut run.over, true));
            for entry in state.live.values_mut().filter(|entry| entry.intent.run == *run) {
                entry.want(&HealReason::LeaseExpired, now);
            }
            self.tell_guard(&state);
            is_new
        };
        if is_new {
            self.event(What::LeaseExpired { run: run.clone() });
        }
    }
}
