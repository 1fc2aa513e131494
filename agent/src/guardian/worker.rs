//! The worker: undoes what an earlier agent left, then serves. One of its threads only gives heartbeats and watches for
//! the end: a signal, an order, a dead guardian.

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
    page::{STOP_HELPER_DIED, Told},
    proc::Child,
    shared::{EXIT_CANNOT, EXIT_STUCK, Shared},
    watch::Pulse,
};
use crate::{
    local, metrics,
    supervisor::{Guard, Supervisor, recover},
    wiring::ServerParts,
};

/// Interval between two checks of the files of lock and journal.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// The supervisor, once there is one.
type Slot = Arc<Mutex<Option<Supervisor>>>;

/// Serves until told to stop. Returns the exit code.
pub(super) fn run(shared: &Arc<Shared>, helper: &Child) -> i32 {
    // A panic must end the process and not one thread, because the guardian heals a dead worker but not a half-dead
    // one.
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
    let holders = [shared.guardian, rustix::process::getpid()].map(|pid| pid.as_raw_nonzero().get());
    let holders = [holders[0], holders[1], helper.raw()];
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

fn serve(shared: &Arc<Shared>, holders: [i32; 3], slot: &Slot) -> Result<(), String> {
    let (config, wiring, page) = (&shared.config, shared.wiring, shared.page);
    let host = Arc::new(config.host());
    // First undo what an earlier agent left; the guardian watches this.
    let told = Arc::new(Told(page));
    told.set(1, None);
    let recovered =
        recover(config, &host, &wiring, &HealReason::FoundAtStart, || {}).map_err(|error| error.chain())?;
    told.set(0, None);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(Duration::from_secs(5))
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let entered = runtime.enter();
    let prober = (wiring.prober)(config);
    let supervisor = Supervisor::start(Arc::clone(config), host, wiring, told, prober, recovered)
        .map_err(|error| format!("cannot start the supervisor: {error}"))?;
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(supervisor.clone());
    let (tidier, lock) = (supervisor.clone(), Arc::clone(shared));
    std::thread::Builder::new()
        .name("journal".into())
        .stack_size(1 << 20)
        .spawn(move || {
            let mut said = false;
            loop {
                lock.time().sleep(TIDY_EVERY);
                // First: another agent may use a journal in a directory without a lock.
                lock.keep_lock(&holders, &mut said);
                tidier.tidy();
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

struct Watch {
    shared: Arc<Shared>,
    guardian: Child,
    helper: Child,
    slot: Slot,
}

/// The state of the guardian, as far as the worker sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guarded {
    Yes,
    /// It is silent, and the helper does not act.
    Silent,
    Gone,
}

impl Watch {
    /// Gives heartbeats until everything is undone, then ends the process.
    fn run(mut self) -> ! {
        let page = self.shared.page;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.add(Signal::SIGINT);
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).ok();
        let mut guardian_pulse = self.shared.pulse(|page| &page.guardian_beat);
        let mut stopping: Option<HealReason> = None;
        let mut interval = Duration::ZERO;
        loop {
            let supervisor = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(supervisor) = &supervisor {
                // A supervisor that cannot take its own locks must not seem alive.
                supervisor.pulse();
            }
            page.worker_beat.fetch_add(1, SeqCst);
            let guarded = self.guarded(&mut guardian_pulse, interval);
            // While the worker still undoes what an earlier agent left, that continues; then this is checked.
            if let (None, Some(supervisor)) = (&stopping, &supervisor) {
                let signalled = signals.as_ref().is_some_and(|fd| matches!(fd.read_signal(), Ok(Some(_))));
                stopping = if guarded != Guarded::Yes {
                    let how = if guarded == Guarded::Gone { "died" } else { "gives no sign of life" };
                    tracing::error!("the guardian {how}; putting everything back");
                    Some(HealReason::GuardianDied)
                } else if signalled || page.stop.load(SeqCst) != 0 {
                    Some(HealReason::AgentStopping)
                } else {
                    None
                };
                if let Some(reason) = &stopping {
                    supervisor.stop(reason);
                }
            }
            if let (Some(reason), Some(supervisor)) = (&stopping, &supervisor)
                && supervisor.is_settled()
            {
                supervisor.leave();
                if *reason == HealReason::GuardianDied {
                    self.leave_nobody();
                } else {
                    // A guardian that was stopped after this order would keep the agent from restarting.
                    self.guardian.resume();
                }
                let in_order =
                    *reason == HealReason::AgentStopping && page.stop.load(SeqCst) != STOP_HELPER_DIED;
                std::process::exit(match (supervisor.is_stuck(), in_order) {
                    (true, _) => i32::from(EXIT_STUCK),
                    (false, true) => 0,
                    (false, false) => 1,
                });
            }
            let close = stopping.is_some() || page.open.load(SeqCst) != 0;
            let stale: Duration = self.shared.config.timings.stale_after.into();
            interval = if close { stale / 8 } else { stale / 3 };
            interval = interval.min(Duration::from_millis(if close { 100 } else { 700 }));
            let (bells, time) = (page.bells(), self.shared.time());
            match &signals {
                // An order that was handled already, or a dead guardian, would wake it at once, again and again.
                _ if stopping.is_some() || guarded == Guarded::Gone => {
                    interval = Duration::from_millis(5);
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

    /// Lets the helper take over from a silent guardian. The helper may have been stopped too, so it is continued
    /// first. If that does not help, this process is the last one that can undo.
    fn guarded(&mut self, pulse: &mut Pulse, interval: Duration) -> Guarded {
        if self.guardian.ended().is_some() {
            self.helper.resume();
            return Guarded::Gone;
        }
        match pulse.silence(self.shared.now(), self.shared.page, interval, self.shared.interval()) {
            0 => Guarded::Yes,
            1 => {
                self.helper.resume();
                Guarded::Yes
            }
            _ => Guarded::Silent,
        }
    }

    /// Kills a stopped guardian, so that it can neither wake up and act nor keep the next agent from starting. A helper
    /// that is awake then ends by itself.
    fn leave_nobody(&mut self) {
        self.guardian.kill();
        self.helper.resume();
    }
}
