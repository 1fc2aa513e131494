//! A host with an agent of three simulated processes. Each check takes no time; an undo takes some.

use std::time::Duration;

use super::super::{
    AWAIT_EVERY, Awaited, Cure, End, Found, Guarded, GuardianSaw, Helper, HelperNext, HelperSaw, LEAVE_EVERY,
    Leaving, Limits, Order, StopFor, Waited, Watched, Worker, WorkerSaw, WorkerWhy, interval,
};
use crate::guardian::watch::Now;

pub(super) const LIMITS: Limits = Limits {
    stale_after: Duration::from_secs(2),
    grace: Duration::from_secs(1),
    undo_budget: Duration::from_secs(10),
};
const TICK: Duration = Duration::from_millis(5);
/// Duration of an undo.
const UNDO: Duration = Duration::from_millis(300);
/// The lease, which the coordinator renews while it lives and the worker runs.
const LEASE: Duration = Duration::from_secs(5);

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
    LoseCoordinator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Runs,
    Stopped,
    /// With its exit code; `None`: killed.
    Ended(Option<i32>),
}

#[derive(Debug)]
enum Role {
    Watching(Watched),
    Awaiting(Awaited),
    Working {
        watch: Worker,
        undoing: Option<Duration>,
    },
    Helping(Helper),
    /// The helper waits for a worker that leaves by itself.
    LetLeave(Leaving),
    /// Guardian or helper puts back, and then exits with this code.
    Healing {
        left: Duration,
        code: i32,
    },
}

#[derive(Debug)]
struct Process {
    life: Life,
    role: Role,
    /// The wait that it is in: how long it was meant to be, and when it ends.
    interval: Duration,
    until_us: u64,
    woken: bool,
}

impl Process {
    fn new(role: Role) -> Self {
        Self { life: Life::Runs, role, interval: Duration::ZERO, until_us: 0, woken: false }
    }

    fn has_ended(&self) -> bool {
        matches!(self.life, Life::Ended(_))
    }

    fn ended(&self) -> Option<Option<i32>> {
        if let Life::Ended(code) = self.life { Some(code) } else { None }
    }
}

/// What the processes share.
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

#[derive(Debug)]
pub(super) struct Host {
    now: Now,
    page: Page,
    guardian: Process,
    worker: Process,
    helper: Process,
    asked: bool,
    coordinator: bool,
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

impl Host {
    /// An agent with one injection in force.
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

    /// Whether the drill may go on: all run, and the lease is renewed.
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
            // Whoever waits for it wakes.
            for other in Who::ALL {
                self.process_mut(other).woken = true;
            }
        }
    }

    /// The worker's supervisor: renewals by the coordinator, and the undo, by threads of its own.
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

    fn guard(&mut self) {
        self.page.guardian_beats += 1;
        let saw = GuardianSaw {
            now: self.now,
            interval: self.guardian.interval,
            worker_ended: self.worker.ended(),
            worker_beats: self.page.worker_beats,
            helper_ended: self.helper.has_ended(),
            helper_beats: self.page.helper_beats,
            deadline: self.page.deadline,
            ready: true,
            signalled: std::mem::take(&mut self.asked),
        };
        match &mut self.guardian.role {
            Role::Watching(watch) => {
                let todo = watch.check(&saw);
                if todo.stop.is_some() {
                    self.page.stop = todo.stop;
                    self.worker.woken = true;
                }
                match todo.helper {
                    Some(Cure::Resume) => self.act(Act::Continue(Who::Helper)),
                    Some(Cure::Kill) => self.kill(Who::Helper),
                    None => {}
                }
                if let Some(end) = todo.end {
                    self.finish(end);
                }
            }
            Role::Awaiting(awaited) => match awaited.check(self.now, self.helper.ended()) {
                Waited::Code(code) => self.end(Who::Guardian, Some(code)),
                Waited::Resume => self.act(Act::Continue(Who::Helper)),
                Waited::Nobody => {
                    self.kill(Who::Helper);
                    self.heal(Who::Guardian, 1);
                }
            },
            other => unreachable!("a guardian that is {other:?}"),
        }
    }

    fn finish(&mut self, end: End) {
        self.kill(Who::Worker);
        self.page.order = Some(end.order());
        self.helper.woken = true;
        self.guardian.role = Role::Awaiting(Awaited::new(self.now, LIMITS));
    }

    fn work(&mut self) {
        self.page.worker_beats += 1;
        let Role::Working { watch, undoing } = &mut self.worker.role else {
            unreachable!("the worker works")
        };
        let todo = watch.check(&WorkerSaw {
            now: self.now,
            interval: self.worker.interval,
            guardian_ended: self.guardian.has_ended(),
            guardian_beats: self.page.guardian_beats,
            guardian_interval: interval(self.page.open),
            serves: true,
            settled: watch.is_stopping() && undoing.is_none() && self.page.open == 0,
            signalled: false,
            stop: self.page.stop,
        });
        if todo.begin.is_some() && self.page.open != 0 && undoing.is_none() {
            *undoing = Some(UNDO);
        }
        self.worker.interval = watch.interval(todo.guarded, self.page.open);
        if todo.resume_helper {
            self.act(Act::Continue(Who::Helper));
        }
        match todo.leave {
            Some(WorkerWhy::Told) => {
                self.act(Act::Continue(Who::Guardian));
                let anew = self.page.stop == Some(StopFor::HelperDied);
                self.end(Who::Worker, Some(i32::from(anew)));
            }
            Some(WorkerWhy::Unguarded(guarded)) => {
                assert_ne!(guarded, Guarded::Yes, "it is guarded");
                self.kill(Who::Guardian);
                self.act(Act::Continue(Who::Helper));
                self.end(Who::Worker, Some(1));
            }
            None => {}
        }
    }

    fn help(&mut self) {
        self.page.helper_beats += 1;
        match &mut self.helper.role {
            Role::Helping(watch) => {
                let next = watch.check(&HelperSaw {
                    now: self.now,
                    interval: self.helper.interval,
                    order: self.page.order.unwrap_or(Order::Wait),
                    guardian_ended: self.guardian.has_ended(),
                    guardian_beats: self.page.guardian_beats,
                    deadline: self.page.deadline,
                });
                match next {
                    HelperNext::Wait => {}
                    HelperNext::Leave => {
                        self.act(Act::Continue(Who::Guardian));
                        self.end(Who::Helper, Some(0));
                    }
                    HelperNext::Heal(Found::WorkerDead) => self.heal(Who::Helper, 0),
                    HelperNext::Heal(Found::GuardianDead) => {
                        self.helper.role = Role::LetLeave(Leaving::new(self.now, LIMITS));
                        self.helper.woken = true;
                    }
                    HelperNext::Heal(Found::GuardianSilent) => {
                        self.kill(Who::Worker);
                        self.kill(Who::Guardian);
                        self.heal(Who::Helper, 0);
                    }
                }
            }
            Role::LetLeave(leaving) => {
                if self.worker.has_ended() {
                    self.heal(Who::Helper, 0);
                } else if leaving.hangs(
                    self.now,
                    self.page.worker_beats,
                    self.page.deadline,
                    self.helper.interval,
                ) {
                    self.kill(Who::Worker);
                    self.heal(Who::Helper, 0);
                }
            }
            other => unreachable!("a helper that is {other:?}"),
        }
    }

    /// Begins an undo. Nobody else may still undo, now or later.
    fn heal(&mut self, who: Who, code: i32) {
        for other in Who::ALL.into_iter().filter(|other| *other != who) {
            let may_undo = match &self.process(other).role {
                Role::Working { .. } | Role::Healing { .. } => true,
                Role::Helping(_) | Role::LetLeave(_) => true,
                // It waits for the helper, and kills it before it undoes.
                Role::Watching(_) | Role::Awaiting(_) => false,
            };
            assert!(
                !may_undo || self.process(other).has_ended(),
                "{who:?} undoes, and {other:?} may too: {self:#?}"
            );
        }
        self.process_mut(who).role = Role::Healing { left: UNDO, code };
    }
}
