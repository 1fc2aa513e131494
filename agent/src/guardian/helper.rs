//! The helper: forked in advance, asleep until it is needed. It undoes everything when told to, and by itself when the
//! guardian is gone or silent. It first kills the process that it takes over from, so that this one cannot wake up
//! later and act.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use firedrill_wire::journal::HealReason;
use rustix::process::Pid;

use super::{
    page::Order,
    proc::{Child, harden},
    shared::Shared,
    watch::Overdue,
};

/// Watches, then undoes everything. Returns the exit code.
pub(super) fn run(shared: &Shared) -> i32 {
    harden();
    let page = shared.page;
    let Ok(mut guardian) = Child::other(shared.guardian) else { return 1 };
    if rustix::process::getppid() != Some(shared.guardian) {
        // It died before it could be opened; nothing was begun yet.
        return 1;
    }
    let mut worker = None;
    let mut pulse = shared.pulse(|page| &page.guardian_beat);
    // The guardian acts first; the helper acts only if the guardian does not.
    let mut overdue = Overdue::new(shared.now(), shared.grace() * 2);
    let reason = loop {
        page.helper_beat.fetch_add(1, SeqCst);
        let interval = shared.interval();
        shared.time().wait_any(&[&guardian, &page.bells().helper], interval);
        page.bells().helper.hear();
        // The guardian reports what is wrong with it, and names the holders.
        let _ = shared.lock.keep();
        // Opened as soon as it exists: later another process may have its pid.
        if worker.is_none() {
            worker = Pid::from_raw(page.worker_pid.load(SeqCst)).and_then(|pid| Child::other(pid).ok());
        }
        match page.ordered() {
            Order::Heal => break HealReason::WorkerDied,
            // The worker has undone everything and said so.
            Order::Leave => {
                guardian.resume();
                return 0;
            }
            Order::Wait => {}
        }
        if guardian.ended().is_some() {
            if let Some(worker) = &mut worker {
                let_leave(worker, shared);
            }
            break HealReason::GuardianDied;
        }
        let now = shared.now();
        if overdue.is_over(now, page, interval) || pulse.is_stale(now, page, interval) {
            if let Some(worker) = &mut worker {
                worker.kill();
            }
            guardian.kill();
            break HealReason::GuardianDied;
        }
    };
    let code = shared.heal(&reason, || {});
    // A guardian that was stopped after it gave the order would keep the agent from restarting.
    guardian.resume();
    i32::from(code)
}

/// A worker whose guardian died undoes everything by itself and exits. It is given the time for that, and killed if it
/// hangs.
fn let_leave(worker: &mut Child, shared: &Shared) {
    let page = shared.page;
    let mut pulse = shared.pulse(|page| &page.worker_beat);
    let mut overdue = Overdue::new(shared.now(), shared.grace());
    let until = shared.now().awake_after(shared.config.timings.undo_budget.into());
    while worker.ended().is_none() {
        let interval = Duration::from_millis(100);
        shared.time().wait_any(&[&*worker], interval);
        let now = shared.now();
        if overdue.is_over(now, page, interval) || pulse.is_stale(now, page, interval) || now.awake_us > until
        {
            worker.kill();
            return;
        }
    }
}
