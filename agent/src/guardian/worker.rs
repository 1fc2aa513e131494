//! The worker: undoes what an earlier agent left, then serves. One of its threads only gives heartbeats, and watches for a
//! reason to end: a signal, an order, a dead guardian.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::SeqCst},
    time::Duration,
};

use firedrill_wire::journal::HealReason;
use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use tokio_util::sync::CancellationToken;

use super::{
    decide::{Guarded, StopFor, Worker, WorkerSaw, WorkerWhy},
    page::PageGuard,
    proc::Child,
    shared::{EXIT_CANNOT, EXIT_STUCK, Shared},
};
use crate::{
    local, metrics,
    supervisor::{Guard, Supervisor, recover},
    wiring::ServerParts,
};

/// Interval between two checks whether the files of lock and journal are still there.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// The supervisor, once there is one.
type Slot = Arc<Mutex<Option<Supervisor>>>;

/// Serves until the watching thread ends the process. Returns the exit code if it cannot serve.
pub(super) fn run(shared: &Arc<Shared>, helper: &Child) -> i32 {
    // A panic must end the whole process and not only one thread, because the guardian notices a dead worker, but not a dead
    // thread of it.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        std::process::abort();
    }));
    let page = shared.page;
    page.worker_pid.store(rustix::process::getpid().as_raw_nonzero().get(), SeqCst);
    let Ok(guardian) = Child::other(shared.guardian) else { return 1 };
    if rustix::process::getppid() != Some(shared.guardian) {
        return 1;
    }
    page.bells().helper.ring();
    let slot = Slot::default();
    let Ok(helper) = helper.as_other() else { return 1 };
    let raw = |pid: rustix::process::Pid| pid.as_raw_nonzero().get();
    let holders = [raw(shared.guardian), raw(rustix::process::getpid()), helper.raw()];
    let watch = Watch { shared: Arc::clone(shared), guardian, helper, slot: Arc::clone(&slot) };
    if let Err(error) = std::thread::Builder::new().name("watch".into()).spawn(move || watch.run()) {
        tracing::error!("cannot start a thread: {error}");
        return i32::from(EXIT_CANNOT);
    }
    match serve(shared, holders, &slot) {
        // The watching thread ends the process once everything is undone.
        Ok(()) => loop {
            std::thread::park();
        },
        Err(error) => {
            tracing::error!("cannot serve: {error}");
            i32::from(EXIT_CANNOT)
        }
    }
}

/// Undoes what an earlier agent left, then serves until the server ends. `holders` are the pids that the lock's file names.
fn serve(shared: &Arc<Shared>, holders: [i32; 3], slot: &Slot) -> Result<(), String> {
    let (config, wiring, page) = (&shared.config, shared.wiring, shared.page);
    let host = Arc::new(config.host());
    // First it undoes what an earlier agent left. Guardian and helper watch this as closely as an open injection.
    let guard = Arc::new(PageGuard(page));
    guard.set(1, None);
    let recovered =
        recover(config, &host, &wiring, &HealReason::FoundAtStart, || {}).map_err(|error| error.chain())?;
    guard.set(0, None);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(Duration::from_secs(5))
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let entered = runtime.enter();
    let prober = (wiring.prober)(config, wiring.stores);
    let supervisor = Supervisor::start(Arc::clone(config), host, wiring, guard, prober, recovered)
        .map_err(|error| format!("cannot start the supervisor: {error}"))?;
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(supervisor.clone());
    let (tidied, lock) = (supervisor.clone(), Arc::clone(shared));
    std::thread::Builder::new()
        .name("journal".into())
        .stack_size(1 << 20)
        .spawn(move || {
            let mut reported = false;
            loop {
                lock.time().sleep(TIDY_EVERY);
                // The lock comes first, because without it another agent may begin to use the journal.
                lock.keep_lock(&holders, &mut reported);
                tidied.tidy();
            }
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    drop(entered);
    local::listen(&config.paths(), supervisor.clone())
        .map_err(|error| format!("cannot listen in {}: {error}", config.paths.run.display()))?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(config.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        let stop = CancellationToken::new();
        if let Some(at) = config.metrics.clone() {
            let source = supervisor.clone();
            let serve = metrics::serve(at, Arc::new(move || source.metrics()), stop.clone());
            tokio::spawn(async move {
                if let Err(error) = serve.await {
                    tracing::error!("metrics are not served: {error}");
                }
            });
        }
        tokio::spawn(supervisor.clone().record_events());
        tokio::spawn(supervisor.clone().rests());
        page.ready.store(1, SeqCst);
        page.bells().guardian.ring();
        tracing::info!("{} serves on {}", config.host, config.listen);
        let parts = ServerParts { config: Arc::clone(config), listener, control: Arc::new(supervisor), stop };
        (wiring.server)(parts).await
    })
}

/// The watching thread's view of the other processes and of the supervisor.
struct Watch {
    shared: Arc<Shared>,
    guardian: Child,
    helper: Child,
    slot: Slot,
}

impl Watch {
    /// Gives heartbeats until everything is undone, then ends the process.
    fn run(mut self) -> ! {
        let page = self.shared.page;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGINT);
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok();
        let mut watch = Worker::new(self.shared.now(), self.shared.limits());
        let mut interval = Duration::ZERO;
        loop {
            let supervisor = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(supervisor) = &supervisor {
                // This takes the supervisor's locks, so that there is no heartbeat if one of its threads keeps them.
                supervisor.pulse();
            }
            page.worker_beat.fetch_add(1, SeqCst);
            // A signal stays unread until the worker can act on it.
            let can_stop = supervisor.is_some() && !watch.is_stopping();
            let signalled =
                can_stop && signals.as_ref().is_some_and(|fd| matches!(fd.read_signal(), Ok(Some(_))));
            let todo = watch.check(&WorkerSaw {
                now: self.shared.now(),
                interval,
                guardian_ended: self.guardian.ended().is_some(),
                guardian_beats: page.guardian_beat.load(SeqCst),
                guardian_interval: self.shared.interval(),
                serves: supervisor.is_some(),
                settled: watch.is_stopping() && supervisor.as_ref().is_some_and(Supervisor::is_settled),
                signalled,
                stop: page.stopped(),
            });
            if todo.resume_helper {
                self.helper.resume();
            }
            if let Some(supervisor) = &supervisor {
                if let Some(why) = todo.begin {
                    begin(supervisor, why, self.shared.page.stopped());
                }
                if let Some(why) = todo.leave {
                    self.leave(supervisor, why);
                }
            }
            interval = watch.interval(todo.guarded, page.open.load(SeqCst));
            let (bells, time) = (page.bells(), self.shared.time());
            match &signals {
                _ if watch.hears_bell_only(todo.guarded) => {
                    time.wait_any(&[&bells.worker], interval);
                }
                Some(signals) if supervisor.is_some() => {
                    time.wait_any(&[&self.guardian, &bells.worker, signals], interval);
                }
                _ => time.wait_any(&[&self.guardian, &bells.worker], interval),
            }
            bells.worker.hear();
        }
    }

    /// Ends the process, now that everything is put back or stuck.
    fn leave(&mut self, supervisor: &Supervisor, why: WorkerWhy) -> ! {
        supervisor.leave();
        let stop = self.shared.page.stopped();
        if why.keeps_guardian(stop, supervisor.is_stuck()) {
            // If the guardian was stopped after its order, it would keep the agent from restarting.
            self.guardian.resume();
        } else {
            self.kill_guardian();
        }
        let as_asked = why == WorkerWhy::Told && stop != Some(StopFor::HelperDied);
        std::process::exit(match (supervisor.is_stuck(), as_asked) {
            (true, _) => i32::from(EXIT_STUCK),
            (false, true) => 0,
            (false, false) => 1,
        });
    }

    /// Kills the guardian, so that it can neither wake up and act nor keep the next agent from starting. A helper that is
    /// awake then ends by itself.
    fn kill_guardian(&mut self) {
        self.guardian.kill();
        self.helper.resume();
    }
}

/// Begins to put everything back.
fn begin(supervisor: &Supervisor, why: WorkerWhy, stop: Option<StopFor>) {
    supervisor.stop(&match why {
        WorkerWhy::Told => {
            if stop == Some(StopFor::HelperDied) {
                tracing::error!("the helper died; putting everything back, then exiting to be started again");
            }
            HealReason::AgentStopping
        }
        WorkerWhy::Unguarded(guarded) => {
            let how = if guarded == Guarded::Gone { "died" } else { "gives no sign of life" };
            tracing::error!("the guardian {how}; putting everything back");
            HealReason::GuardianDied
        }
    });
}
