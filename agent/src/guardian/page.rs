//! One page of memory that all three processes share: heartbeats, deadlines, orders. Only atomics, never a lock.

use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant},
};

use firedrill_probe::clock::boot_us;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use crate::{bell::Bell, supervisor::Guard};

pub(super) const STOP_ASKED: u32 = 1;
pub(super) const STOP_HELPER_DIED: u32 = 2;

/// An order to the helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing yet.
    Wait,
    /// The worker is dead: undo everything, then exit.
    Heal,
    /// The agent stops in order: exit.
    Leave,
}

/// The page. Its initial contents are zero, except for the deadline.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Page {
    pub(super) worker_beat: AtomicU64,
    pub(super) guardian_beat: AtomicU64,
    pub(super) helper_beat: AtomicU64,
    /// The earliest deadline of the worker (CLOCK_BOOTTIME, microseconds); 0 if there is none.
    deadline: AtomicU64,
    /// Number of open injections.
    pub(super) open: AtomicU32,
    /// The reason for which the worker is to undo everything and exit.
    pub(super) stop: AtomicU32,
    /// The worker serves.
    pub(super) ready: AtomicU32,
    order: AtomicU32,
    pub(super) worker_pid: AtomicI32,
    bells: std::mem::MaybeUninit<Bells>,
}

/// The processes that can be woken.
#[derive(Debug)]
pub(super) struct Bells {
    pub(super) guardian: Bell,
    pub(super) worker: Bell,
    pub(super) helper: Bell,
}

impl Page {
    /// Makes a page that is shared with children forked later. It is never freed.
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
        // SAFETY: `share`, the only way to make a page, wrote them before anybody could see it.
        unsafe { self.bells.assume_init_ref() }
    }

    /// Tells the helper what to do.
    pub(super) fn order(&self, order: Order) {
        self.order.store(order as u32, SeqCst);
        self.bells().helper.ring();
    }

    pub(super) fn ordered(&self) -> Order {
        match self.order.load(SeqCst) {
            order if order == Order::Heal as u32 => Order::Heal,
            order if order == Order::Leave as u32 => Order::Leave,
            _ => Order::Wait,
        }
    }
}

/// The worker's supervisor reports to the others through the page.
#[derive(Debug)]
pub(super) struct Told(pub(super) &'static Page);

impl Guard for Told {
    fn set(&self, open: u32, deadline_boot_us: Option<u64>) {
        self.0.deadline.store(deadline_boot_us.unwrap_or(0), SeqCst);
        if self.0.open.swap(open, SeqCst) == 0 && open != 0 {
            // From now on watch closely, including this process's own heartbeat.
            self.0.bells().guardian.ring();
            self.0.bells().helper.ring();
            self.0.bells().worker.ring();
        }
    }
}

/// Measures for how long a watcher has watched. Time beyond the intended wait does not count, so that a pause of the
/// whole machine, or of the watcher, is blamed on nobody.
#[derive(Debug)]
struct Looks(Instant);

impl Looks {
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the last check, limited to the intended `interval`.
    fn next(&mut self, interval: Duration) -> Duration {
        std::mem::replace(&mut self.0, Instant::now()).elapsed().min(interval)
    }
}

/// Watches a heartbeat.
#[derive(Debug)]
pub(super) struct Pulse {
    of: fn(&Page) -> &AtomicU64,
    last: u64,
    silent: Duration,
    limit: Duration,
    looks: Looks,
}

impl Pulse {
    pub(super) fn new(of: fn(&Page) -> &AtomicU64, limit: Duration) -> Self {
        Self { of, last: u64::MAX, silent: Duration::ZERO, limit, looks: Looks::new() }
    }

    /// Checks, after a wait of at most `interval`, a heartbeat that comes as often as the checks or every `beat`.
    /// Returns the silence as a multiple of the limit: 0 is alive.
    pub(super) fn silence(&mut self, page: &Page, interval: Duration, beat: Duration) -> u32 {
        let waited = self.looks.next(interval);
        let now = (self.of)(page).load(SeqCst);
        if now == self.last {
            self.silent += waited;
        } else {
            self.last = now;
            self.silent = Duration::ZERO;
        }
        // Heartbeats come as often as checks, so two may fall into one interval: allow for one more.
        let limit = self.limit.max(interval.max(beat) * 2);
        let times = self.silent.as_nanos().saturating_sub(1) / limit.as_nanos().max(1);
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Checks, after a wait of at most `interval`; true if there was no heartbeat for too long.
    pub(super) fn is_stale(&mut self, page: &Page, interval: Duration) -> bool {
        self.silence(page, interval, interval) > 0
    }
}

/// Watches the earliest deadline. After a pause of the whole machine it has passed for every process at once, so the
/// one that has to act gets a grace period.
#[derive(Debug)]
pub(super) struct Overdue {
    deadline: u64,
    watched: Duration,
    grace: Duration,
    looks: Looks,
}

impl Overdue {
    pub(super) fn new(grace: Duration) -> Self {
        Self { deadline: 0, watched: Duration::ZERO, grace, looks: Looks::new() }
    }

    /// Checks, after a wait of at most `interval`; true if the deadline passed more than the grace period ago, as
    /// watched, and nobody acted.
    pub(super) fn is_over(&mut self, page: &Page, interval: Duration) -> bool {
        let waited = self.looks.next(interval);
        let deadline = page.deadline.load(SeqCst);
        let late = Duration::from_micros(boot_us().saturating_sub(deadline));
        if deadline == 0 || late.is_zero() || std::mem::replace(&mut self.deadline, deadline) != deadline {
            self.watched = Duration::ZERO;
            return false;
        }
        self.watched += waited.min(late);
        late > self.grace && self.watched >= self.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_is_stale_only_after_so_much_watched_silence() {
        let page = Page::share().unwrap();
        let mut pulse = Pulse::new(|page| &page.worker_beat, Duration::from_millis(30));
        let step = Duration::from_millis(10);
        for _ in 0..10 {
            page.worker_beat.fetch_add(1, SeqCst);
            std::thread::sleep(step);
            assert!(!pulse.is_stale(page, step));
        }
        // A long pause of the watcher itself counts as one check.
        std::thread::sleep(Duration::from_millis(200));
        assert!(!pulse.is_stale(page, step));
        let mut looks = 0;
        while !pulse.is_stale(page, step) {
            std::thread::sleep(step);
            looks += 1;
        }
        assert!(looks >= 2, "{looks}");
        while pulse.silence(page, step, step) < 2 {
            std::thread::sleep(step);
        }
        page.worker_beat.fetch_add(1, SeqCst);
        assert_eq!(pulse.silence(page, step, step), 0);
    }

    #[test]
    fn one_that_gives_signs_seldom_is_not_stale_between_them() {
        let page = Page::share().unwrap();
        let (step, beat) = (Duration::from_millis(5), Duration::from_secs(60));
        let mut pulse = Pulse::new(|page| &page.guardian_beat, Duration::from_millis(1));
        for _ in 0..10 {
            std::thread::sleep(step);
            assert_eq!(pulse.silence(page, step, beat), 0);
        }
    }

    #[test]
    fn a_deadline_is_over_after_a_grace_that_was_watched() {
        let page = Page::share().unwrap();
        let (step, grace) = (Duration::from_millis(10), Duration::from_millis(30));
        let mut overdue = Overdue::new(grace);
        assert!(!overdue.is_over(page, step), "no deadline");
        // It passed long ago while nobody watched, as after a suspend.
        Told(page).set(1, Some(boot_us() - 60_000_000));
        for _ in 0..3 {
            assert!(!overdue.is_over(page, step), "the grace begins with the first look");
            std::thread::sleep(step);
        }
        while !overdue.is_over(page, step) {
            std::thread::sleep(step);
        }
        Told(page).set(1, Some(boot_us() + 60_000_000));
        assert!(!overdue.is_over(page, step), "it was moved");
        Told(page).set(0, None);
        assert!(!overdue.is_over(page, step));
    }

    #[test]
    fn orders_are_read_as_written() {
        let page = Page::share().unwrap();
        assert_eq!(page.ordered(), Order::Wait);
        page.order(Order::Heal);
        assert_eq!(page.ordered(), Order::Heal);
        assert!(page.bells().helper.hear());
    }
}
