//! `arm`: journals injections, all or none, and lets their threads wait for the start. Never makes an effect.

use std::sync::Arc;

use firedrill_wire::{
    RefusalCode, RunId, Span,
    api::{About, Arm, ArmOne, Armed, Problem},
    journal::{State, What},
};

use super::{
    core::Core,
    injection_thread,
    prepare::{check_may_start, fingerprint, lease_over, unknown_run},
    state::{Asked, Entry, SupervisorState, clash, plan_key},
};
use crate::{
    active,
    config::Rules,
    control::Caller,
    decide::{Renewal, is_late, renewal},
    injection::{Ask, CalledOff, Live, refuse},
    journal::{Intent, JournalError},
    mutex::lock,
    policy::Approved,
    time::Waker,
};

/// Time for which the verification of approvals at prepare stays valid, in microseconds. It is limited because approvals lapse and
/// certificates are revoked; a coordinator prepares again before it arms.
const APPROVED_FOR_US: u64 = 10 * 60 * 1_000_000;
/// The shortest lease that is sensible over a network.
const LEASE_LEAST: Span = Span::millis(100);

impl Core {
    /// Arms the injections of a run, all or none.
    ///
    /// # Errors
    /// The refusal. Then nothing is armed.
    pub(super) fn arm(self: &Arc<Self>, caller: &Caller, run: &RunId, arm: &Arm) -> Result<Armed, Problem> {
        check_may_start(&lock(&self.state), run)?;
        self.check_owner(run, caller)?;
        if arm.boot_id != self.here.boot_id {
            return Err(refuse(
                RefusalCode::Rebooted,
                "the host was booted since its clock was measured",
                "measure its clock again and prepare again",
            ));
        }
        if arm.lease < LEASE_LEAST {
            return Err(refuse(
                RefusalCode::BadLease,
                format!("a lease of {} is too short", arm.lease),
                format!("at least {LEASE_LEAST}"),
            ));
        }
        if arm.injections.len() > Arm::MOST {
            return Err(refuse(
                RefusalCode::TooMany,
                format!(
                    "{} faults at once on this host; an agent arms at most {} at once",
                    arm.injections.len(),
                    Arm::MOST
                ),
                "spread them over several attacks",
            ));
        }
        self.check_lease(arm.lease)?;
        let (asked, environment) = self.asked(run, arm)?;
        // Read before the checks below: if the rules change meanwhile, the next renewal sees the difference and asks the new ones.
        let rules = self.live.rules()?;
        let intents = arm
            .injections
            .iter()
            .zip(&asked)
            .map(|(one, asked)| self.intent(caller, run, arm, one, asked, environment.as_deref()))
            .collect::<Result<Vec<_>, _>>()?;

        // Threads and file descriptors are made before anything changes: if none is left, nothing has to be taken back.
        let mut threads = Vec::new();
        let mut entries = Vec::new();
        for (intent, asked) in intents.iter().zip(asked) {
            let made = self.wiring.time.sleeper().and_then(|(sleeper, waker)| {
                Ok((injection_thread::spawn(Arc::clone(self), intent.id().clone(), sleeper)?, waker))
            });
            let (thread, waker) = made.map_err(|error| {
                refuse(
                    RefusalCode::Exhausted,
                    format!("no thread or file descriptor is left: {error}"),
                    "free some on the host",
                )
            })?;
            threads.push(thread);
            entries.push((intent.clone(), waker, asked.approved));
        }
        let unwritten = |error: &JournalError| {
            refuse(
                RefusalCode::Journal,
                format!("the intents could not be journaled, so nothing will be injected: {}", error.chain()),
                "free space on the journal's disk; undo works all the same",
            )
        };
        // This comes before the injections are entered into the state: a journal that is made anew is filled from the state.
        self.remake_journal_if_lost().map_err(|error| unwritten(&error))?;
        self.enter(caller, run, arm, entries, &rules)?;
        let armed: Vec<_> = intents.iter().map(|intent| intent.id().clone()).collect();

        if let Err(error) = self.journal_intents(&intents) {
            // Removes what `enter` has entered. The lease stays: without open injections it ends nothing.
            let mut state = lock(&self.state);
            for id in &armed {
                state.live.remove(id);
            }
            if let Some(known) = state.runs.get_mut(run) {
                known.armed.retain(|id| !armed.contains(id));
            }
            self.tell_guard(&state);
            drop(state);
            self.settled.notify_all();
            return Err(unwritten(&error));
        }
        for id in &armed {
            self.event(What::changed(id, run, State::Armed, None));
        }
        self.write_status_files();
        for thread in threads {
            thread.go();
        }
        active::syslog(&format!(
            "drill {} (run {run}, by {}): {} faults are armed; {} halts it",
            arm.about.drill,
            caller.name,
            armed.len(),
            active::HALT
        ));
        Ok(Armed { injections: armed })
    }

    /// Journals the intents, and marks them as journaled while the journal is still locked, so that no other thread sees the two differ.
    fn journal_intents(&self, intents: &[Intent]) -> Result<(), JournalError> {
        let mut journal = lock(&self.journal);
        journal.intents(intents)?;
        let mut state = lock(&self.state);
        for intent in intents {
            if let Some(entry) = state.live.get_mut(intent.id()) {
                entry.journaled = true;
            }
        }
        Ok(())
    }

    /// Returns the questions that prepare kept for these ids, and the run's environment. Refuses ids that are not prepared, were armed
    /// before, or have changed.
    fn asked(&self, run: &RunId, arm: &Arm) -> Result<(Vec<Asked>, Option<Arc<str>>), Problem> {
        let state = lock(&self.state);
        let again = "prepare again, then arm";
        let Some(known) = state.runs.get(run) else {
            return Err(unknown_run(run));
        };
        if known.plan != plan_key(&arm.plan_digest) {
            return Err(refuse(
                RefusalCode::OtherPlan,
                format!("run {run} was prepared for another plan"),
                again,
            ));
        }
        let mut asked = Vec::new();
        for (at, one) in arm.injections.iter().enumerate() {
            let twice = arm.injections[..at].iter().any(|before| before.id == one.id);
            if twice || state.has(&one.id) {
                return Err(refuse(
                    RefusalCode::ArmedAlready,
                    format!("{} was armed before", one.id),
                    "every injection needs an id of its own",
                ));
            }
            if known.armed.contains(&one.id) {
                return Err(refuse(
                    RefusalCode::ArmedAlready,
                    format!("{} was armed before, and what people approved is armed once in a run", one.id),
                    "start another run",
                ));
            }
            match known.asks.get(&one.id) {
                Some(ask) if !ask.approved.is_empty() && self.now() > ask.asked_boot_us + APPROVED_FOR_US => {
                    return Err(refuse(
                        RefusalCode::NotPrepared,
                        format!("the approvals of {} were verified more than 10 minutes ago", one.id),
                        again,
                    ));
                }
                Some(ask) if !ask.approved.is_empty() && ask.hold != one.hold => {
                    return Err(refuse(
                        RefusalCode::Changed,
                        format!("{} was approved for {}, and is to hold for {}", one.id, ask.hold, one.hold),
                        again,
                    ));
                }
                Some(ask) if ask.fingerprint == one.fingerprint => asked.push(ask.clone()),
                Some(_) => return Err(changed(one)),
                None => {
                    return Err(refuse(
                        RefusalCode::NotPrepared,
                        format!("{} was not prepared here", one.id),
                        again,
                    ));
                }
            }
        }
        Ok((asked, known.environment.clone()))
    }

    /// Makes the intent of one injection: prepares it again, and refuses if that differs from the first prepare or is no longer allowed.
    fn intent(
        &self,
        caller: &Caller,
        run: &RunId,
        arm: &Arm,
        one: &ArmOne,
        asked: &Asked,
        environment: Option<&str>,
    ) -> Result<Intent, Problem> {
        let now = self.now();
        let tolerance = self.config.timings.start_tolerance;
        if is_late(now, one.start_boot_us, tolerance) {
            return Err(refuse(
                RefusalCode::TooLate,
                format!("{} was to start {} ms ago", one.id, (now - one.start_boot_us) / 1000),
                "arm with a start that is further ahead",
            ));
        }
        let ahead = Span::micros(one.start_boot_us.saturating_sub(now));
        for rules in self.live.rules()? {
            rules.policy.check_ahead(&one.id, ahead, self.policy_file())?;
            rules.policy.check_approved(asked.fault.kind(), &asked.approved, self.policy_file())?;
        }
        let ask = Ask { id: one.id.clone(), fault: asked.fault.clone(), hold: one.hold };
        let starts_wall_us = self.wall_us().saturating_add(one.start_boot_us.saturating_sub(now));
        self.allowed(caller, environment, &ask, starts_wall_us)?;
        let prepared = self.kind(&ask)?.prepare(&self.host, &ask)?;
        if fingerprint(&prepared) != one.fingerprint {
            return Err(changed(one));
        }
        self.allowed_claims(caller, environment, &ask, &prepared.claims)?;
        let ends_boot_us = one.start_boot_us.saturating_add(one.hold.as_micros());
        Ok(Intent {
            identity: self.here.clone(),
            run: run.clone(),
            plan_digest: arm.plan_digest.clone(),
            // The name in the request is not verified; the certificate's name is.
            about: About { operator: caller.name.clone(), ..arm.about.clone() },
            start_boot_us: one.start_boot_us,
            live: Live { ask, prepared, ends_boot_us, lease: arm.lease },
        })
    }

    /// Enters the injections and begins the run's lease, if no undo or halt came, ids and claims are still free, and the number is still
    /// allowed. Once it returns, an undo finds the injections.
    fn enter(
        &self,
        caller: &Caller,
        run: &RunId,
        arm: &Arm,
        entries: Vec<(Intent, Arc<dyn Waker>, Approved)>,
        allowed_by: &[Arc<Rules>],
    ) -> Result<(), Problem> {
        // Read before the lock is taken: it is never held while a file is read.
        let rules_now = self.live.rules()?;
        let measured = self.measured();
        let mut guard = lock(&self.state);
        let state: &mut SupervisorState = &mut guard;
        // Checked again, under the lock under which the injections are entered: an undo may have come since the first check.
        check_may_start(state, run)?;
        for (at, (intent, ..)) in entries.iter().enumerate() {
            if state.tombstones.bars(run, intent.id()) {
                return Err(refuse(
                    RefusalCode::Tombstone,
                    format!("{} was undone before it was armed", intent.id()),
                    "use another id to start it all the same",
                ));
            }
            if state.has(intent.id()) {
                return Err(refuse(
                    RefusalCode::ArmedAlready,
                    format!("{} was armed before", intent.id()),
                    "",
                ));
            }
            let claims = &intent.live.prepared.claims;
            if let Some((claim, holder)) = state.conflict(claims) {
                return Err(claimed(intent, &claim.what, holder.as_str()));
            }
            for (other, ..) in &entries[..at] {
                let theirs = &other.live.prepared.claims;
                if let Some(claim) = theirs.iter().find(|their| claims.iter().any(|our| clash(our, their))) {
                    return Err(claimed(intent, &claim.what, other.id().as_str()));
                }
            }
        }
        let open = state.live.values().filter(|entry| entry.state.is_open()).count();
        for rules in rules_now {
            rules.policy.check_count(open + entries.len(), self.policy_file())?;
        }

        let now = self.now();
        let in_force = state.open_of(run).any(|entry| entry.state != State::Stuck);
        let Some(known) = state.runs.get_mut(run) else { return Err(unknown_run(run)) };
        // A lease that was lost cannot begin again. This is no renewal, so `renewals` stays: a start needs one after arming.
        match renewal(now, &known.lease_now(), in_force) {
            Renewal::Renewed => {}
            Renewal::Ended => return Err(lease_over(run)),
            Renewal::Ends => {
                drop(guard);
                self.expire(run);
                return Err(lease_over(run));
            }
        }
        known.add_participant(caller);
        known.lease = arm.lease;
        known.lease_until = now.saturating_add(arm.lease.as_micros());
        known.heard_boot_us = now;
        let renewals = known.renewals;
        let approved = entries.iter().filter(|(.., approved)| !approved.is_empty());
        known.armed.extend(approved.map(|(intent, ..)| intent.id().clone()));
        for (intent, waker, approved) in entries {
            let mut entry = Entry::new(intent, renewals, waker, self.host.kept.of::<CalledOff>());
            entry.allowed_by = allowed_by.to_vec();
            entry.approved = approved;
            state.live.insert(entry.intent.id().clone(), entry);
        }
        state.prune(&measured, self.now());
        self.tell_guard(state);
        Ok(())
    }
}

/// Returns the refusal of an injection whose preparation differs now.
fn changed(one: &ArmOne) -> Problem {
    refuse(
        RefusalCode::Changed,
        format!("{}: the host is not as it was at prepare", one.id),
        "prepare again, look at what it would do now, then arm",
    )
}

/// Returns the refusal of an injection that claims an object (`what`) which another injection (`holder`) has claimed.
fn claimed(intent: &Intent, what: &str, holder: &str) -> Problem {
    refuse(
        RefusalCode::Claimed,
        format!("{} touches {what}, which {holder} has", intent.id()),
        "wait for that one to end, or undo it",
    )
}
