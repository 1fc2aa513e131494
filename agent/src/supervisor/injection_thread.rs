//! The thread of one injection: it waits for the start, makes the effect, holds it, and undoes it. Never touches another injection.

use std::{
    io,
    sync::{Arc, mpsc},
    time::Duration,
};

use firedrill_wire::{
    InjectionId, RunId, Span,
    journal::{HealReason, State, What},
};

use super::{
    core::Core,
    state::{Entry, Run},
};
use crate::{
    crash_point,
    decide::{Armed, Held, Holding, Next, hold, may_start},
    heal::{PutBack, put_back},
    injection::{Inject, Live, forget},
    journal::Record,
    mutex::lock,
    sched,
    time::Sleeper,
    transition::Step,
};

/// Maximum time of the last look at a fault before the guardian takes over, in microseconds.
const LAST_LOOK_US: u64 = 5_000_000;

/// A thread that waits for [`Ready::go`]. If this value is dropped without it, the thread ends without having done anything.
pub(super) struct Ready(mpsc::Sender<()>);

impl Ready {
    /// Lets the thread begin.
    pub(super) fn go(self) {
        // The thread cannot have ended before.
        let _ = self.0.send(());
    }
}

/// Starts an injection's thread, which waits for [`Ready::go`].
///
/// # Errors
/// No thread is left.
pub(super) fn spawn(core: Arc<Core>, id: InjectionId, sleeper: Box<dyn Sleeper>) -> io::Result<Ready> {
    let (ready, gate) = mpsc::channel();
    std::thread::Builder::new().name(format!("fd {id}")).stack_size(2 << 20).spawn(move || {
        if gate.recv().is_ok() {
            let thread = InjectionThread { core: Arc::clone(&core), id, sleeper };
            thread.run();
            forget(&core.host, &thread.id);
            core.rest();
        }
    })?;
    Ok(Ready(ready))
}

struct InjectionThread {
    core: Arc<Core>,
    id: InjectionId,
    sleeper: Box<dyn Sleeper>,
}

impl InjectionThread {
    fn run(&self) {
        let Some((live, state)) = self.with_entry(|entry| (entry.intent.live.clone(), entry.state)) else {
            return;
        };
        let fault = live.ask.fault.clone();
        let kind = (self.core.wiring.kinds)(&fault);
        if state == State::Armed {
            let Some(kind) = kind else { return };
            if !self.wait_for_start(kind, &live) {
                return;
            }
            self.start(kind, &live);
        }
        // A stuck injection stays until somebody asks again; each request is one more try.
        while self.with_entry(|entry| entry.state) == Some(State::Stuck) {
            self.sleeper.wait(None);
            if let Some(reason) = self.wanted() {
                self.heal(&reason, "");
            }
        }
    }

    /// Makes the effect, holds it, and undoes it.
    fn start(&self, kind: &dyn Inject, live: &Live) {
        let reversible = live.ask.fault.reversible();
        let ramp = live.ask.fault.ramp(live.ask.hold).as_micros();
        let now = self.core.now();
        self.with_entry(|entry| entry.make(ramp, now));
        // An irreversible effect may take down the whole host, so its start must be on disk before.
        self.core.step(&self.id, Step::Start, None, String::new(), Vec::new(), false);
        let behind = if reversible { lock(&self.core.journal).is_behind() } else { !self.core.sync() };
        if behind {
            self.heal(&HealReason::InjectFailed, "its start could not be journaled, so nothing was made");
            return;
        }
        self.crash_point("before-inject");
        let injected = kind.inject(&self.core.host, live);
        // The effect is made. Other threads that start at this moment go first, and journaling waits for them.
        sched::set_short_slice(false);
        std::thread::yield_now();
        self.crash_point("injected");
        match injected {
            Err(error) => {
                // If the start was called off because an undo was asked for, that is the reason of the undo, too.
                let called_off = self.wanted().filter(|_| reversible);
                self.heal(&called_off.unwrap_or(HealReason::InjectFailed), &error.to_string());
            }
            Ok(injected) => {
                self.learn(injected.undo);
                let step = if reversible { Step::Take } else { Step::TakeForGood };
                self.core.step(&self.id, step, None, injected.detail, Vec::new(), true);
                // The end of the hold is known by now.
                let Some(live) = self.with_entry(|entry| entry.intent.live.clone()) else { return };
                let reason = self.hold(kind, &live);
                if reversible {
                    self.act_by(LAST_LOOK_US);
                    // This event is not synced before the undo, which must not wait for a disk.
                    self.look(kind, &live);
                    self.heal(&reason, "");
                }
            }
        }
    }

    /// Calls a function with the injection's entry, under the lock; `None` if the entry is gone.
    fn with_entry<T>(&self, call: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        lock(&self.core.state).live.get_mut(&self.id).map(call)
    }

    fn crash_point(&self, place: &str) {
        crash_point::at(&self.core.config.paths.run, place);
    }

    /// Returns the reason for which an undo was asked for; `None` if none was.
    fn wanted(&self) -> Option<HealReason> {
        self.with_entry(|entry| entry.wanted.clone()).flatten()
    }

    /// Sets another deadline for the guardian, in addition to the ends of hold and lease: now plus `within_us` microseconds.
    fn act_by(&self, within_us: u64) {
        let mut state = lock(&self.core.state);
        if let Some(entry) = state.live.get_mut(&self.id) {
            entry.act_by = Some(self.core.now().saturating_add(within_us));
        }
        self.core.tell_guard(&state);
    }

    /// Waits until the injection may start, and stages it before. Returns false if it never starts.
    fn wait_for_start(&self, kind: &dyn Inject, live: &Live) -> bool {
        let mut staged = false;
        sched::set_short_slice(true);
        loop {
            match self.may_start(staged) {
                Next::Start => return true,
                Next::Stage => {
                    staged = true;
                    if let Err(error) = kind.stage(&self.core.host, live) {
                        tracing::warn!("{}: could not be staged: {error}; the start does it all", self.id);
                    }
                    self.crash_point("staged");
                }
                Next::Wait(until) => self.sleeper.wait(Some(until)),
                // The condition removes staged objects. If one try is not enough, they are undone like the effect itself.
                Next::Never(reason, why) if staged && !self.unstage() => {
                    self.heal(&reason, &why);
                    return false;
                }
                Next::Never(reason, why) => {
                    self.core.step(&self.id, Step::Disarm, Some(reason), why, Vec::new(), true);
                    return false;
                }
                Next::Expired => {
                    if let Some(run) = self.with_entry(|entry| entry.intent.run.clone()) {
                        self.core.expire(&run);
                    }
                }
            }
        }
    }

    /// Removes staged objects; false if some of them may be left.
    fn unstage(&self) -> bool {
        let Some(intent) = self.with_entry(|entry| entry.intent.clone()) else { return false };
        let mut work = PutBack::of(&intent, State::Armed, &self.core.here);
        work.once(self.core.wiring.apply, &self.core.host);
        work.is_done()
    }

    /// Decides what to do before the start.
    fn may_start(&self, staged: bool) -> Next {
        let state = lock(&self.core.state);
        let entry = state.live.get(&self.id);
        let lease = entry.and_then(|entry| state.runs.get(&entry.intent.run)).map(Run::lease_now);
        let armed = entry.map(|entry| Armed {
            start: entry.intent.start_boot_us,
            tolerance: self.core.config.timings.start_tolerance,
            renewals_before: entry.renewals_before,
            staged,
            wanted: entry.wanted.as_ref(),
            refusal: &entry.refusal,
        });
        // Decided under the lock, so that all facts are of one moment.
        may_start(self.core.now(), armed.as_ref(), lease.as_ref())
    }

    /// Replaces the prepared undo by a more exact one, which is known once the effect is made. `None` changes nothing.
    fn learn(&self, undo: Option<Vec<crate::undo::Undo>>) {
        let Some(undo) = undo else { return };
        self.with_entry(|entry| entry.intent.live.prepared.undo.clone_from(&undo));
        let record = Record::BetterUndo { injection: self.id.clone(), undo };
        if let Err(error) = lock(&self.core.journal).record(record) {
            tracing::error!("{}; a process that takes over knows only the prepared undo", error.chain());
        }
        self.core.write_status_files();
    }

    /// Holds the fault until it is to be undone, and returns the reason. Checks the fault, and renews the kernel's own
    /// switch.
    fn hold(&self, kind: &dyn Inject, live: &Live) -> HealReason {
        let every = self.core.config.timings.look_every.as_micros();
        let mut look_at = self.core.now();
        loop {
            let Some((next, run, lease)) = self.holding(live, look_at) else { return HealReason::HoldOver };
            match next {
                Holding::Undo(reason) => return reason,
                Holding::Expired => {
                    // An irreversible effect is only watched; this may end without a record.
                    if live.ask.fault.reversible() {
                        self.core.expire(&run);
                    }
                    return HealReason::LeaseExpired;
                }
                Holding::Renew => {
                    if let Err(error) = kind.renew(&self.core.host, live, lease) {
                        // A check now tells whether the fault is still there.
                        tracing::warn!("{}: the kernel's own switch could not be renewed: {error}", self.id);
                        look_at = self.core.now();
                    }
                }
                Holding::Look => {
                    self.look(kind, live);
                    self.core.sync();
                    look_at = self.core.now().saturating_add(every);
                }
                Holding::Wait(until) => self.sleeper.wait(Some(until)),
            }
        }
    }

    /// Decides what to do while the fault holds; `None` if the injection is not known any more. Also returns its run and the length of
    /// the lease. `look_at` is the time of the next check.
    fn holding(&self, live: &Live, look_at: u64) -> Option<(Holding, RunId, Span)> {
        let mut guard = lock(&self.core.state);
        let state = &mut *guard;
        let entry = state.live.get_mut(&self.id)?;
        let run = state.runs.get(&entry.intent.run);
        let held = Held {
            ends: live.ends_boot_us,
            wanted: entry.wanted.as_ref(),
            renewed: std::mem::take(&mut entry.renewed),
            look_at,
        };
        let next = hold(self.core.now(), &held, run.map(Run::lease_now).as_ref());
        Some((next, entry.intent.run.clone(), run.map_or(live.lease, |run| run.lease)))
    }

    /// Waits before the next try of an undo. Continues to wait when it is woken: the undo that is asked for is under way already.
    fn pause(&self, time: Duration) {
        let until = self.core.now().saturating_add(Span::from(time).as_micros());
        while self.core.now() < until {
            self.sleeper.wait(Some(until));
        }
    }

    /// Checks the fault, and journals the evidence.
    fn look(&self, kind: &dyn Inject, live: &Live) {
        let evidence = kind.evidence(&self.core.host, live);
        let Some(run) = self.with_entry(|entry| entry.intent.run.clone()) else { return };
        self.core.event(What::Looked { injection: self.id.clone(), run, evidence });
    }

    /// Undoes the effect, with several tries, and journals the end. `why` is more about the reason, for people.
    fn heal(&self, reason: &HealReason, why: &str) {
        let time = self.core.wiring.time;
        let began = time.awake_us();
        self.act_by(self.core.config.timings.undo_budget.as_micros());
        let Some((intent, state)) = self.with_entry(|entry| (entry.intent.clone(), entry.state)) else {
            return;
        };
        // Not synced: to undo twice does no harm, but to wait for a disk may.
        self.core.step(&self.id, Step::Heal, Some(reason.clone()), why.to_owned(), Vec::new(), false);
        let retry = self.core.config.timings.retry();
        let work = PutBack::of(&intent, state, &self.core.here);
        self.crash_point("before-undo");
        let done =
            put_back(work, self.core.wiring.apply, &self.core.host, &retry, time, |attempt, error, pause| {
                self.core.event(What::UndoRetry {
                    injection: self.id.clone(),
                    run: intent.run.clone(),
                    attempt,
                    error: error.to_owned(),
                });
                self.core.sync();
                self.pause(pause);
            });
        self.crash_point("put-back");
        let (state, detail, foreign) = done.end();
        let step = if state == State::Undone { Step::PutBack } else { Step::GiveUp };
        self.core.metrics.undo_took(Duration::from_micros(time.awake_us().saturating_sub(began)));
        self.core.step(&self.id, step, Some(reason.clone()), detail, foreign, true);
    }
}
