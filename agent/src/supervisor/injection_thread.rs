//! The thread of one injection: waits, starts, holds, undoes.

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
    core::{Core, lock},
    state::{Entry, Run},
};
use crate::{
    crash_point,
    decide::{Armed, Held, Holding, Next, hold, may_start},
    heal::{PutBack, put_back},
    injection::{Inject, Live, forget},
    journal::Record,
    sched,
    time::Sleeper,
    transition::Step,
};

/// Maximum time of the last look at a fault before the guardian takes over, in microseconds.
const LAST_LOOK_US: u64 = 5_000_000;

/// A thread that waits for [`Ready::go`]. If dropped before, the thread ends without having done anything.
pub(super) struct Ready(mpsc::Sender<()>);

impl Ready {
    pub(super) fn go(self) {
        // The thread cannot have ended before.
        let _ = self.0.send(());
    }
}

/// Makes the injection's thread in advance, while nothing can keep it from being made.
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
        let Some((live, state)) = self.read(|entry| (entry.intent.live.clone(), entry.state)) else { return };
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
        while self.read(|entry| entry.state) == Some(State::Stuck) {
            self.sleeper.wait(None);
            if let Some(reason) = self.wanted() {
                self.heal(&reason, "");
            }
        }
    }

    fn start(&self, kind: &dyn Inject, live: &Live) {
        let reversible = live.ask.fault.reversible();
        let ramp = live.ask.fault.ramp(live.ask.hold).as_micros();
        let now = self.core.now();
        self.read(|entry| entry.make(ramp, now));
        // An irreversible effect may take down the whole host, so its start must be on disk before.
        self.core.step(&self.id, Step::Start, None, String::new(), Vec::new(), false);
        let behind = if reversible { lock(&self.core.journal).is_behind() } else { !self.core.sync() };
        if behind {
            self.heal(&HealReason::InjectFailed, "its start could not be journaled, so nothing was made");
            return;
        }
        self.crash_point("before-inject");
        let injected = kind.inject(&self.core.host, live);
        // Journaling may wait for other threads that are to start at this moment.
        sched::set_short_slice(false);
        std::thread::yield_now();
        self.crash_point("injected");
        match injected {
            Err(error) => {
                // The reason for the undo is the reason why the effect was not made.
                let called_off = self.wanted().filter(|_| reversible);
                self.heal(&called_off.unwrap_or(HealReason::InjectFailed), &error.to_string());
            }
            Ok(injected) => {
                self.learn(injected.undo);
                let step = if reversible { Step::Take } else { Step::TakeForGood };
                self.core.step(&self.id, step, None, injected.detail, Vec::new(), true);
                // The end of the hold is known by now.
                let Some(live) = self.read(|entry| entry.intent.live.clone()) else { return };
                let reason = self.hold(kind, &live);
                if reversible {
                    self.act_by(LAST_LOOK_US);
                    // Synced together with the end of the undo, which must not wait for a disk.
                    self.look(kind, &live);
                    self.heal(&reason, "");
                }
            }
        }
    }

    fn read<T>(&self, what: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        lock(&self.core.state).live.get_mut(&self.id).map(what)
    }

    fn crash_point(&self, place: &str) {
        crash_point::at(&self.core.config.paths.run, place);
    }

    fn wanted(&self) -> Option<HealReason> {
        self.read(|entry| entry.wanted.clone()).flatten()
    }

    /// Sets a deadline other than the end of hold or lease.
    fn act_by(&self, within_us: u64) {
        let mut state = lock(&self.core.state);
        if let Some(entry) = state.live.get_mut(&self.id) {
            entry.act_by = Some(self.core.now().saturating_add(within_us));
        }
        self.core.tell_guard(&state);
    }

    /// Waits until it may start; false if it never will.
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
                // Staged objects are undone like the effect itself if one try is not enough.
                Next::Never(reason, why) if staged && !self.unstage() => {
                    self.heal(&reason, &why);
                    return false;
                }
                Next::Never(reason, why) => {
                    self.core.step(&self.id, Step::Disarm, Some(reason), why, Vec::new(), true);
                    return false;
                }
                Next::Expired => {
                    if let Some(run) = self.read(|entry| entry.intent.run.clone()) {
                        self.core.expire(&run);
                    }
                }
            }
        }
    }

    /// Removes staged objects; false if some of them may be left.
    fn unstage(&self) -> bool {
        let Some(intent) = self.read(|entry| entry.intent.clone()) else { return false };
        let mut work = PutBack::of(&intent, State::Armed, &self.core.here);
        work.once(self.core.wiring.apply, &self.core.host);
        work.is_done()
    }

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
        // Under the lock: what is known then decides.
        may_start(self.core.now(), armed.as_ref(), lease.as_ref())
    }

    /// A more exact undo, known once the effect is made, replaces the prepared one.
    fn learn(&self, undo: Option<Vec<crate::undo::Undo>>) {
        let Some(undo) = undo else { return };
        self.read(|entry| entry.intent.live.prepared.undo.clone_from(&undo));
        let record = Record::BetterUndo { injection: self.id.clone(), undo };
        if let Err(error) = lock(&self.core.journal).record(record) {
            tracing::error!("{}; whoever takes over knows the prepared undo only", error.chain());
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
                        // The next check tells whether the fault is still there.
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

    /// Decides what to do while it holds; `None` if it is not known any more. Also returns its run and the length of the
    /// lease.
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

    /// Waits before the next try of an undo. Whoever wakes it meanwhile asks for what it already does.
    fn pause(&self, time: Duration) {
        let until = self.core.now().saturating_add(Span::from(time).as_micros());
        while self.core.now() < until {
            self.sleeper.wait(Some(until));
        }
    }

    fn look(&self, kind: &dyn Inject, live: &Live) {
        let evidence = kind.evidence(&self.core.host, live);
        let Some(run) = self.read(|entry| entry.intent.run.clone()) else { return };
        self.core.event(What::Looked { injection: self.id.clone(), run, evidence });
    }

    fn heal(&self, reason: &HealReason, why: &str) {
        let time = self.core.wiring.time;
        let began = time.awake_us();
        self.act_by(self.core.config.timings.undo_budget.as_micros());
        let Some((intent, state)) = self.read(|entry| (entry.intent.clone(), entry.state)) else { return };
        // Not synced: undoing twice does no harm, but waiting for a disk may.
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
