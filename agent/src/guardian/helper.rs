//! The helper: made beforehand, asleep until it is needed. Heals when told to, and by itself when the guardian is gone
//! or gives no sign of life.

use std::time::{Duration, Instant};

use firedrill_wire::journal::HealReason;
use rustix::process::Pid;
use std::sync::atomic::Ordering::SeqCst;

use super::{
    Shared,
    page::Order,
    proc::{Child, harden, wait_any},
};

/// Watches, then heals; the exit code.
pub(super) fn run(shared: &Shared) -> i32 {
    harden();
    let page = shared.page;
    let Ok(mut guardian) = Child::other(shared.guardian) else { return 1 };
    if rustix::process::getppid() != Some(shared.guardian) {
        // It died before it could be held; nothing was begun yet.
        return 1;
    }
    let mut pulse = shared.pulse(|page| &page.guardian_beat);
    let grace = shared.config.timings.grace.as_micros();
    let reason = loop {
        let interval = shared.interval();
        wait_any(&[&guardian, &page.bells().helper], interval);
        page.bells().helper.hear();
        match page.ordered() {
            Order::Heal => break HealReason::WorkerDied,
            // The worker has put everything back and said so.
            Order::Leave => return 0,
            Order::Wait => {}
        }
        if guardian.ended().is_some() {
            let_worker_leave(shared);
            break HealReason::GuardianDied;
        }
        // The guardian acts first; this one only where the guardian does not.
        if page.deadline_passed(grace.saturating_mul(2)) || pulse.is_stale(page, interval) {
            kill_worker(shared);
            guardian.kill();
            break HealReason::GuardianDied;
        }
    };
    i32::from(shared.heal(&reason, || {}))
}

fn worker(shared: &Shared) -> Option<Child> {
    Child::other(Pid::from_raw(shared.page.worker_pid.load(SeqCst))?).ok()
}

fn kill_worker(shared: &Shared) {
    if let Some(mut worker) = worker(shared) {
        worker.kill();
    }
}

/// A worker whose guardian died heals by itself and leaves. It is given the time for it, and killed when it hangs.
fn let_worker_leave(shared: &Shared) {
    let page = shared.page;
    let Some(mut worker) = worker(shared) else { return };
    let mut pulse = shared.pulse(|page| &page.worker_beat);
    let grace = shared.config.timings.grace.as_micros();
    let until = Instant::now() + Duration::from(shared.config.timings.undo_budget);
    while worker.ended().is_none() {
        let interval = Duration::from_millis(100);
        wait_any(&[&worker], interval);
        if page.deadline_passed(grace) || pulse.is_stale(page, interval) || Instant::now() > until {
            worker.kill();
            return;
        }
    }
}
