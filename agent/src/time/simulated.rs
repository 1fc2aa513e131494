//! Simulated time, for tests: a test moves it, and a move takes no real time.
//!
//! [`Simulated::pass`] lets each thread that sleeps wake at its moment, and waits until it sleeps again before the next
//! moment comes. So threads never fall behind the clock, however busy the machine is.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use firedrill_wire::Span;

use super::{Sleeper, Time, Waker};
use crate::{bell::readable, mutex::lock};

/// Maximum real time for which a test waits until all threads sleep.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that a test moves.
pub struct Simulated(Arc<Shared>);

/// The state that a clock and its sleepers share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signals a change of the time or of a thread.
    changed: Condvar,
}

/// The clocks and the threads. All times are in microseconds.
#[derive(Default)]
struct State {
    boot_us: u64,
    /// The time for which the host was suspended.
    suspended_us: u64,
    /// The wall clock minus the boot clock.
    wall_lead_us: i128,
    /// The threads by number.
    threads: BTreeMap<u64, Thread>,
    /// Number of threads that were made so far.
    made: u64,
}

/// One thread.
#[derive(Clone, Copy, Default)]
struct Thread {
    /// `None` while it is awake. Otherwise the moment until which it sleeps; `Some(None)` is for ever.
    sleeps: Option<Option<u64>>,
    /// Whether it was woken before its moment.
    woken: bool,
}

impl Thread {
    /// Whether it is awake, or wakes at once at that time.
    fn is_busy(&self, now: u64) -> bool {
        self.woken || self.sleeps.is_none_or(|until| until.is_some_and(|until| until <= now))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every thread sleeps. Panics if that takes too long.
    fn settled(&self) -> MutexGuard<'_, State> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while state.threads.values().any(|thread| thread.is_busy(state.boot_us)) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "a thread does not go to sleep");
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Simulated({} µs)", self.boot_us())
    }
}

impl Simulated {
    /// Makes a clock that begins `boot_us` microseconds after the boot. It lives as long as the test program.
    #[must_use]
    pub fn at(boot_us: u64) -> &'static Self {
        let shared = Shared::default();
        {
            let mut state = shared.lock();
            state.boot_us = boot_us;
            // Some time in the year 2026.
            state.wall_lead_us = 1_790_000_000_000_000;
        }
        Box::leak(Box::new(Self(Arc::new(shared))))
    }

    /// Waits until all threads sleep; no time passes.
    pub fn settle(&self) {
        drop(self.0.settled());
    }

    /// Lets time pass. Each thread wakes at its moment.
    pub fn pass(&self, time: Duration) {
        let mut state = self.0.settled();
        let until = state.boot_us.saturating_add(Span::from(time).as_micros());
        loop {
            let next = state.threads.values().filter_map(|thread| thread.sleeps.flatten()).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            state.boot_us = next.max(state.boot_us);
            self.0.changed.notify_all();
            drop(state);
            state = self.0.settled();
        }
        state.boot_us = until.max(state.boot_us);
    }

    /// Suspends the host: no thread wakes before the end. Threads that are awake are not waited for.
    pub fn suspend(&self, time: Duration) {
        let mut state = self.0.lock();
        state.boot_us += Span::from(time).as_micros();
        state.suspended_us += Span::from(time).as_micros();
        self.0.changed.notify_all();
    }

    /// Lets time pass without waking threads at their moments, as if all threads were stopped or their work took that long. Unlike a
    /// suspend, this uses up budgets.
    pub fn stall(&self, time: Duration) {
        self.0.lock().boot_us += Span::from(time).as_micros();
        self.0.changed.notify_all();
    }

    /// Sets the wall clock.
    pub fn set_wall(&self, wall_us: u64) {
        let mut state = self.0.lock();
        state.wall_lead_us = i128::from(wall_us) - i128::from(state.boot_us);
    }
}

impl Time for Simulated {
    fn boot_us(&self) -> u64 {
        self.0.lock().boot_us
    }

    fn awake_us(&self) -> u64 {
        let state = self.0.lock();
        state.boot_us - state.suspended_us
    }

    fn wall_us(&self) -> u64 {
        let state = self.0.lock();
        u64::try_from(i128::from(state.boot_us) + state.wall_lead_us).unwrap_or(0)
    }

    fn sleeper(&self) -> io::Result<(Box<dyn Sleeper>, Arc<dyn Waker>)> {
        let mut state = self.0.lock();
        state.made += 1;
        let number = state.made;
        state.threads.insert(number, Thread::default());
        let waker = Wakes { shared: Arc::downgrade(&self.0), number };
        Ok((Box::new(Sleeps { shared: Arc::clone(&self.0), number }), Arc::new(waker)))
    }

    /// Lets the time pass: only the test's own thread calls this.
    fn sleep(&self, time: Duration) {
        self.pass(time);
    }

    fn wait_any(&self, fds: &[&dyn AsFd], within: Duration) {
        if !readable(fds, Duration::ZERO) {
            self.pass(within);
        }
    }
}

/// The sleeper of the thread with a number.
struct Sleeps {
    shared: Arc<Shared>,
    number: u64,
}

impl Sleeper for Sleeps {
    fn wait(&self, until_boot_us: Option<u64>) {
        let mut state = self.shared.lock();
        loop {
            let now = state.boot_us;
            let Some(thread) = state.threads.get_mut(&self.number) else { return };
            thread.sleeps = Some(until_boot_us);
            if thread.is_busy(now) {
                *thread = Thread::default();
                return;
            }
            self.shared.changed.notify_all();
            state = self.shared.wait(state);
        }
    }
}

/// Removes the thread, so that a test does not wait for a thread that has ended.
impl Drop for Sleeps {
    fn drop(&mut self) {
        self.shared.lock().threads.remove(&self.number);
        self.shared.changed.notify_all();
    }
}

/// The waker of the thread with a number.
struct Wakes {
    shared: Weak<Shared>,
    number: u64,
}

impl Waker for Wakes {
    fn wake(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        if let Some(thread) = shared.lock().threads.get_mut(&self.number) {
            thread.woken = true;
        }
        shared.changed.notify_all();
    }
}
