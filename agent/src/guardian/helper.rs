//! The helper: forked in advance, asleep until it is needed. It undoes everything when the guardian orders it, and by itself
//! when the guardian is gone or silent. It first kills the process that it takes over from, so that this one cannot wake up
//! later and act.

use std::sync::atomic::Ordering::SeqCst;

use firedrill_wire::journal::HealReason;
use rustix::process::Pid;

use super::{
    decide::{Found, Helper, HelperNext, HelperSaw, LEAVE_EVERY, Leaving},
    proc::{Child, harden},
    shared::Shared,
};

/// Watches the guardian until it is needed or the agent ends. If it is needed, undoes everything. Returns the exit code.
pub(super) fn run(shared: &Shared) -> i32 {
    harden();
    let page = shared.page;
    let Ok(mut guardian) = Child::other(shared.guardian) else { return 1 };
    if rustix::process::getppid() != Some(shared.guardian) {
        // The guardian died before this process could open it, so nothing has begun yet.
        return 1;
    }
    let mut worker = None;
    let mut watch = Helper::new(shared.now(), shared.limits());
    let found = loop {
        page.helper_beat.fetch_add(1, SeqCst);
        let interval = shared.interval();
        shared.time().wait_any(&[&guardian, &page.bells().helper], interval);
        page.bells().helper.hear();
        // The guardian reports problems with the lock, and writes the holders' names into it.
        let _ = shared.lock.keep();
        // The worker is opened as soon as it exists, because another process may get its pid later.
        if worker.is_none() {
            worker = Pid::from_raw(page.worker_pid.load(SeqCst)).and_then(|pid| Child::other(pid).ok());
        }
        match watch.check(&HelperSaw {
            now: shared.now(),
            interval,
            order: page.ordered(),
            guardian_ended: guardian.ended().is_some(),
            guardian_beats: page.guardian_beat.load(SeqCst),
            deadline: page.deadline.load(SeqCst),
        }) {
            HelperNext::Wait => {}
            HelperNext::Leave => {
                guardian.resume();
                return 0;
            }
            HelperNext::Heal(found) => break found,
        }
    };
    let reason = match found {
        Found::WorkerDead => HealReason::WorkerDied,
        Found::GuardianDead | Found::GuardianSilent => HealReason::GuardianDied,
    };
    match (found, &mut worker) {
        (Found::GuardianDead, Some(worker)) => let_leave(worker, shared),
        (Found::GuardianSilent, Some(worker)) => worker.kill(),
        _ => {}
    }
    if found == Found::GuardianSilent {
        guardian.kill();
    }
    let code = shared.heal(&reason, || {});
    // If the guardian was stopped after it gave the order, it would keep the agent from restarting.
    guardian.resume();
    i32::from(code)
}

/// Waits for the end of a worker whose guardian died. Such a worker undoes everything by itself and exits. Kills it if it
/// hangs.
fn let_leave(worker: &mut Child, shared: &Shared) {
    let page = shared.page;
    let mut leaving = Leaving::new(shared.now(), shared.limits());
    while worker.ended().is_none() {
        shared.time().wait_any(&[&*worker], LEAVE_EVERY);
        let (beats, deadline) = (page.worker_beat.load(SeqCst), page.deadline.load(SeqCst));
        if leaving.hangs(shared.now(), beats, deadline, LEAVE_EVERY) {
            worker.kill();
            return;
        }
    }
}
