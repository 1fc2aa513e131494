//! A host in virtual time, with an agent of three simulated processes. A check takes no time; an undo takes some.

mod processes;

use std::time::Duration;

use super::super::{
    AWAIT_EVERY, Awaited, Helper, LEAVE_EVERY, Leaving, Limits, Order, StopFor, Watched, Worker, interval,
};
use crate::guardian::watch::Now;

pub(super) const LIMITS: Limits = Limits {
    stale_after: Duration::from_secs(2),
    grace: Duration::from_secs(1),
    undo_budget: Duration::from_secs(10),
};
/// The step of virtual time.
const TICK: Duration = Duration::from_millis(5);
/// Duration of an undo.
const UNDO: Duration = Duration::from_millis(300);
/// The lease, which the coordinator renews while it lives and the worker runs.
const LEASE: Duration = Duration::from_secs(5);

/// A process of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Guardian,
    Worker,
    Helper,
}

impl Who {
    pub(super) const ALL: [Self; 3] = [Self::Guardian, Self::Worker, Self::Helper];
}

/// An act of the adversary.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Stop(Who),
    Continue(Who),
    Kill(Who),
    /// Asks the guardian to end the agent (SIGTERM).
    Ask,
    Suspend(Duration),
    /// The coordinator renews no lease from now on.
    LoseCoordinator,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Runs,
    /// By SIGSTOP.
    Stopped,
    /// It has ended, with its exit code; `None` if it was killed.
    Ended(Option<i32>),
}

/// The present work of a process.
#[derive(Debug)]
enum Role {
    /// The guardian watches.
    Watching(Watched),
    /// The guardian waits for the helper.
    Awaiting(Awaited),
    /// The worker serves, and may undo at the same time.
    Working {
        watch: Worker,
        /// The time that the undo still takes; `None` if there is no undo.
        undoing: Option<Duration>,
    },
    /// The helper waits until it is needed.
    Helping(Helper),
    /// The helper waits for a worker that leaves by itself.
    LetLeave(Leaving),
    /// Guardian or helper puts back, and then exits with this code.
    Healing { left: Duration, code: i32 },
}

/// A simulated process.
#[derive(Debug)]
struct Process {
    life: Life,
    role: Role,
    /// The intended length of its present wait.
    interval: Duration,
    /// The end of its present wait, by the clock of the awake host.
    until_us: u64,
    /// Whether something wakes it before the end of its wait.
    woken: bool,
}

impl Process {
    fn new(role: Role) -> Self {
        Self { life: Life::Runs, role, interval: Duration::ZERO, until_us: 0, woken: false }
    }

    fn has_ended(&self) -> bool {
        matches!(self.life, Life::Ended(_))
    }

    /// Whether it has ended; if so, its exit code, or `None` if it was killed.
    fn ended(&self) -> Option<Option<i32>> {
        if let Life::Ended(code) = self.life { Some(code) } else { None }
    }
}

/// The memory that the processes share.
#[derive(Debug, Default)]
struct Page {
    worker_beats: u64,
    guardian_beats: u64,
    helper_beats: u64,
    deadline: u64,
    open: u32,
    stop: Option<StopFor>,
    order: Option<Order>,
}

/// The host with its three processes.
#[derive(Debug)]
pub(super) struct Host {
    now: Now,
    page: Page,
    guardian: Process,
    worker: Process,
    helper: Process,
    /// Whether the guardian has an unread request to end the agent.
    asked: bool,
    /// Whether the coordinator renews the lease.
    coordinator: bool,
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

impl Host {
    /// Returns a host whose agent has one injection in force.
    pub(super) fn new() -> Self {
        let now = Now { boot_us: 1_000_000, awake_us: 1_000_000 };
        let working = Role::Working { watch: Worker::new(now, LIMITS), undoing: None };
        Self {
            now,
            page: Page { open: 1, deadline: now.boot_us + us(LEASE), ..Page::default() },
            guardian: Process::new(Role::Watching(Watched::new(now, LIMITS))),
            worker: Process::new(working),
            helper: Process::new(Role::Helping(Helper::new(now, LIMITS))),
            asked: false,
            coordinator: true,
        }
    }

    pub(super) fn in_force(&self) -> bool {
        self.page.open != 0
    }

    pub(super) fn anybody_runs(&self) -> bool {
        Who::ALL.into_iter().any(|who| self.process(who).life == Life::Runs)
    }

    pub(super) fn all_run(&self) -> bool {
        Who::ALL.into_iter().all(|who| self.process(who).life == Life::Runs)
    }

    pub(super) fn nobody_is_left(&self) -> bool {
        Who::ALL.into_iter().all(|who| self.process(who).has_ended())
    }

    /// Whether the drill may go on: all processes run, the lease is not over, and the worker has no order to stop.
    pub(super) fn is_whole(&self) -> bool {
        self.all_run() && self.page.deadline > self.now.boot_us && self.page.stop.is_none()
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Stop(who) => self.change(who, Life::Runs, Life::Stopped),
            Act::Continue(who) => self.change(who, Life::Stopped, Life::Runs),
            Act::Kill(who) => self.kill(who),
            Act::Ask => self.asked = true,
            Act::Suspend(time) => self.now.boot_us += us(time),
            Act::LoseCoordinator => self.coordinator = false,
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now.awake_us + us(time);
        while self.now.awake_us < until {
            self.now.awake_us += us(TICK);
            self.now.boot_us += us(TICK);
            self.supervise();
            for who in Who::ALL {
                self.turn(who);
            }
        }
    }

    fn process(&self, who: Who) -> &Process {
        match who {
            Who::Guardian => &self.guardian,
            Who::Worker => &self.worker,
            Who::Helper => &self.helper,
        }
    }

    fn process_mut(&mut self, who: Who) -> &mut Process {
        match who {
            Who::Guardian => &mut self.guardian,
            Who::Worker => &mut self.worker,
            Who::Helper => &mut self.helper,
        }
    }

    fn change(&mut self, who: Who, from: Life, to: Life) {
        let process = self.process_mut(who);
        if process.life == from {
            process.life = to;
        }
    }

    fn kill(&mut self, who: Who) {
        self.end(who, None);
    }

    fn end(&mut self, who: Who, code: Option<i32>) {
        if !self.process(who).has_ended() {
            self.process_mut(who).life = Life::Ended(code);
            // Its end wakes the processes that watch it.
            for other in Who::ALL {
                self.process_mut(other).woken = true;
            }
        }
    }

    /// Acts as the worker's supervisor, whose threads renew the lease and undo without the worker's checks.
    fn supervise(&mut self) {
        if self.worker.life != Life::Runs {
            return;
        }
        let Role::Working { watch, undoing } = &mut self.worker.role else {
            unreachable!("the worker works")
        };
        if let Some(left) = undoing {
            *left = left.saturating_sub(TICK);
            if left.is_zero() {
                *undoing = None;
                (self.page.open, self.page.deadline) = (0, 0);
            }
        } else if self.page.open != 0 && self.page.deadline <= self.now.boot_us {
            *undoing = Some(UNDO);
        } else if self.page.open != 0 && self.coordinator && !watch.is_stopping() {
            self.page.deadline = self.now.boot_us + us(LEASE);
        }
    }

    /// Lets a process make its check, if its wait is over.
    fn turn(&mut self, who: Who) {
        let now = self.now;
        let process = self.process_mut(who);
        if process.life != Life::Runs {
            return;
        }
        if let Role::Healing { left, code } = &mut process.role {
            *left = left.saturating_sub(TICK);
            let (healed, code) = (left.is_zero(), *code);
            if healed {
                (self.page.open, self.page.deadline) = (0, 0);
                self.end(who, Some(code));
            }
            return;
        }
        if !process.woken && now.awake_us < process.until_us {
            return;
        }
        process.woken = false;
        match who {
            Who::Guardian => self.guard(),
            Who::Worker => self.work(),
            Who::Helper => self.help(),
        }
        let open = self.page.open;
        let process = self.process_mut(who);
        process.interval = match &process.role {
            Role::Working { .. } => process.interval,
            Role::Awaiting(_) => AWAIT_EVERY,
            Role::LetLeave(_) => LEAVE_EVERY,
            _ => interval(open),
        };
        process.until_us = now.awake_us + us(process.interval);
    }
}
