//! One page of memory that all three processes share: heartbeats, the earliest deadline, orders. It has only atomics and never
//! a lock, because a process may be stopped or killed at any moment.

use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst},
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use super::decide::{Order, StopFor};
use crate::{bell::Bell, supervisor::Guard};

/// The page. All numbers are zero at first.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Page {
    /// Number of the worker's heartbeats.
    pub(super) worker_beat: AtomicU64,
    /// Number of the guardian's heartbeats.
    pub(super) guardian_beat: AtomicU64,
    /// Number of the helper's heartbeats.
    pub(super) helper_beat: AtomicU64,
    /// The earliest deadline of the worker (CLOCK_BOOTTIME, microseconds); 0 if there is none.
    pub(super) deadline: AtomicU64,
    /// Number of open injections.
    pub(super) open: AtomicU32,
    /// The reason for which the worker has to undo everything and exit: 1 plus the number of a [`StopFor`], or 0 for none.
    stop: AtomicU32,
    /// 1 once the worker serves.
    pub(super) ready: AtomicU32,
    /// The number of the [`Order`] to the helper.
    order: AtomicU32,
    /// The worker's pid; 0 until it is known.
    pub(super) worker_pid: AtomicI32,
    bells: std::mem::MaybeUninit<Bells>,
}

/// The bells that wake the processes.
#[derive(Debug)]
pub(super) struct Bells {
    pub(super) guardian: Bell,
    pub(super) worker: Bell,
    pub(super) helper: Bell,
}

impl Page {
    /// Makes a page that is shared with processes that are forked later. It is never freed.
    ///
    /// # Errors
    /// The kernel gives no memory or no file descriptor.
    pub(super) fn share() -> io::Result<&'static Self> {
        let bells = Bells { guardian: Bell::new()?, worker: Bell::new()?, helper: Bell::new()? };
        let size = NonZeroUsize::new(size_of::<Self>()).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh anonymous mapping of the right size, aligned to a page and zeroed, which is valid for
        // atomics.
        let page = unsafe {
            &mut *mmap_anonymous(None, size, access, MapFlags::MAP_SHARED)?.cast::<Self>().as_ptr()
        };
        page.bells.write(bells);
        Ok(page)
    }

    pub(super) const fn bells(&self) -> &Bells {
        // SAFETY: `share`, the only way to make a page, writes the bells before it returns the page.
        unsafe { self.bells.assume_init_ref() }
    }

    /// Gives the helper an order.
    pub(super) fn order(&self, order: Order) {
        self.order.store(order as u32, SeqCst);
        self.bells().helper.ring();
    }

    /// Tells the worker to put everything back and exit.
    pub(super) fn stop(&self, reason: StopFor) {
        self.stop.store(reason as u32 + 1, SeqCst);
        self.bells().worker.ring();
    }

    /// Returns the reason for which the worker has to stop; `None` if it has not.
    pub(super) fn stopped(&self) -> Option<StopFor> {
        let stop = self.stop.load(SeqCst);
        [StopFor::Asked, StopFor::HelperDied].into_iter().find(|reason| *reason as u32 + 1 == stop)
    }

    /// Returns the order to the helper.
    pub(super) fn ordered(&self) -> Order {
        match self.order.load(SeqCst) {
            order if order == Order::Heal as u32 => Order::Heal,
            order if order == Order::Leave as u32 => Order::Leave,
            _ => Order::Wait,
        }
    }
}

/// Writes into the page what the worker's supervisor reports to the other processes.
#[derive(Debug)]
pub(super) struct PageGuard(pub(super) &'static Page);

impl Guard for PageGuard {
    fn set(&self, open: u32, deadline_boot_us: Option<u64>) {
        self.0.deadline.store(deadline_boot_us.unwrap_or(0), SeqCst);
        if self.0.open.swap(open, SeqCst) == 0 && open != 0 {
            // All three wake, because their checks and heartbeats come more often from now on.
            self.0.bells().guardian.ring();
            self.0.bells().helper.ring();
            self.0.bells().worker.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_written() {
        let page = Page::share().unwrap();
        assert_eq!(page.ordered(), Order::Wait);
        page.order(Order::Heal);
        assert_eq!(page.ordered(), Order::Heal);
        assert!(page.bells().helper.hear());
        assert_eq!(page.stopped(), None);
        for reason in [StopFor::HelperDied, StopFor::Asked] {
            page.stop(reason);
            assert_eq!(page.stopped(), Some(reason));
        }
        assert!(page.bells().worker.hear());
    }
}
