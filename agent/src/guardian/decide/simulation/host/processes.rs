//! The checks of each simulated process. A process reads the state of the simulated host, decides with the code of the real
//! process, and acts on the host.

use super::{
    super::super::{
        Awaited, Cure, End, Found, Guarded, GuardianSaw, HelperNext, HelperSaw, Leaving, Order, Waited,
        WorkerSaw, WorkerWhy, interval,
    },
    Act, Host, LIMITS, Role, UNDO, Who,
};

impl Host {
    /// The guardian's check.
    pub(super) fn guard(&mut self) {
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

    /// Ends the guardian's watch: kills the worker and gives the helper its order.
    fn finish(&mut self, end: End) {
        self.kill(Who::Worker);
        self.page.order = Some(end.order());
        self.helper.woken = true;
        self.guardian.role = Role::Awaiting(Awaited::new(self.now, LIMITS));
    }

    /// The worker's check.
    pub(super) fn work(&mut self) {
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
        let Some(why) = todo.leave else { return };
        assert_ne!(why, WorkerWhy::Unguarded(Guarded::Yes), "it is guarded");
        let keeps = why.keeps_guardian(self.page.stop, false);
        if keeps {
            self.act(Act::Continue(Who::Guardian));
        } else {
            self.kill(Who::Guardian);
            self.act(Act::Continue(Who::Helper));
        }
        self.end(Who::Worker, Some(i32::from(!keeps)));
    }

    /// The helper's check.
    pub(super) fn help(&mut self) {
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

    /// Begins an undo by this process. Panics if another process undoes, too, or may still do so later.
    fn heal(&mut self, who: Who, code: i32) {
        for other in Who::ALL.into_iter().filter(|other| *other != who) {
            let may_undo = match &self.process(other).role {
                Role::Working { .. } | Role::Healing { .. } => true,
                Role::Helping(_) | Role::LetLeave(_) => true,
                // A guardian waits for the helper, and kills it before it undoes.
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
