//! Processes that watch each other: if one of them dies or hangs, another undoes what is in force.
//!
//! - The **guardian** is the main process: one thread, little memory, no sockets. It forks the other two first.
//! - The **worker** serves coordinators and injects. It undoes everything and exits when the guardian dies, and when
//!   guardian and helper are both stopped.
//! - The **helper** sleeps. It is forked in advance because faults may prevent new processes. It undoes everything when
//!   the guardian orders it, or by itself when the guardian is gone or stopped. It first kills a worker that hangs.
//!
//! They share one page of memory with heartbeats and the earliest deadline. None of them is ever killed by name. A
//! process that takes over first kills the one that it replaces, so that a process that is continued later does
//! nothing. The next agent that starts continues processes that are left stopped: see [`lock`].

mod decide;
mod helper;
mod lock;
mod page;
mod proc;
mod shared;
mod watch;
mod worker;

use std::{
    io,
    os::fd::AsFd,
    process::ExitCode,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use firedrill_wire::journal::HealReason;
use nix::{
    sys::signal::{SigSet, Signal},
    sys::signalfd::{SfdFlags, SignalFd},
    unistd::{ForkResult, fork},
};

pub use self::{
    lock::Lock,
    shared::{EXIT_LOST, EXIT_STUCK, EXIT_WORKER_DIED},
};

use self::{
    decide::{AWAIT_EVERY, Awaited, Cure, End, GuardianSaw, Order, StopFor, Waited, Watched},
    page::Page,
    proc::Child,
    shared::{EXIT_CANNOT, Shared, exit_code},
    watch::Now,
};
use crate::{
    code_pages,
    config::{Config, LastGood},
    local,
    supervisor::heal,
    wiring::Wiring,
};

/// Maximum time from the release of an ending agent's lock to the end of its socket.
const SOCKET_LINGERS: Duration = Duration::from_secs(1);

/// Runs the agent until it is asked to stop (SIGTERM, SIGINT) or one of its processes dies. Returns its exit code. Call it
/// from the main thread of a process that has no other thread.
///
/// # Errors
/// The agent could not begin: another agent runs, or the kernel gives no memory or no process.
pub fn serve(config: Config, wiring: Wiring) -> io::Result<ExitCode> {
    crate::heap::one_heap();
    let paths = config.paths();
    let lock = match Lock::take_over(&paths, Duration::from_secs(120)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock || local::listens(&paths) => {
            return Err(error);
        }
        // The state directory is unusable. The agent cannot serve, but what an earlier agent left is undone.
        Err(error) => {
            let healing = heal(&config, &config.host(), &wiring, None, || {});
            healing.keep(&config);
            tracing::error!("{error}; what an earlier agent left was put back as far as it could be read");
            let code = exit_code(&healing);
            return Ok(ExitCode::from(if code == 0 { EXIT_CANNOT } else { code }));
        }
    };
    // If somebody deleted the lock of an agent that still runs, this process has got the lock, too. The socket of that agent
    // shows it.
    let time = wiring.time;
    let until = Now::of(time).awake_after(SOCKET_LINGERS);
    while local::listens(&paths) {
        if time.awake_us() >= until {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!(
                    "an agent listens in {} already, although nobody holds the lock in {}; stop that one first",
                    paths.run.display(),
                    paths.state.display()
                ),
            ));
        }
        time.sleep(Duration::from_millis(100));
    }
    LastGood::of(&config).write();
    let shared = Arc::new(Shared {
        config: Arc::new(config),
        wiring,
        page: Page::share()?,
        guardian: rustix::process::getpid(),
        lock,
    });
    // These signals are blocked in all three processes, because each reads its own from a descriptor.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block()?;

    // SAFETY: this process has one thread, so the child is a complete process.
    let helper = match unsafe { fork() }? {
        ForkResult::Child => {
            let code = helper::run(&shared);
            std::process::exit(code);
        }
        ForkResult::Parent { child } => Child::of(child)?,
    };
    // SAFETY: as above.
    let worker = match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let code = worker::run(&shared, &helper);
            std::process::exit(code);
        }
        Ok(ForkResult::Parent { child }) => Child::of(child)?,
        Err(error) => {
            shared.page.order(Order::Leave);
            return Err(error.into());
        }
    };
    shared.page.worker_pid.store(worker.raw(), SeqCst);
    shared.page.bells().helper.ring();
    shared.lock.name_holders(&[shared.guardian.as_raw_nonzero().get(), worker.raw(), helper.raw()]);
    code_pages::release();
    proc::harden();
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    Ok(Guardian { shared, helper, worker, signals }.watch())
}

/// The guardian, once it has forked the other two.
struct Guardian {
    shared: Arc<Shared>,
    helper: Child,
    worker: Child,
    signals: SignalFd,
}

impl Guardian {
    /// Watches until the agent ends, then makes sure that everything is put back. Returns the agent's exit code.
    fn watch(&mut self) -> ExitCode {
        let end = self.wait_for_end();
        let page = self.shared.page;
        let code = match end {
            End::Left(code) => u8::try_from(code).unwrap_or(EXIT_WORKER_DIED),
            End::HelperDied => {
                tracing::error!("the helper died; putting everything back, then exiting to be started again");
                EXIT_WORKER_DIED
            }
            End::Died(why) => {
                tracing::error!("{why}; putting everything back");
                EXIT_WORKER_DIED
            }
        };
        // The dead worker's sockets are closed, and the kernel removes the objects that belong to them.
        self.worker.kill();
        page.order(end.order());
        let healed = self.wait_for_helper();
        let healed = healed.unwrap_or_else(|| {
            tracing::error!("the helper did not put everything back; the guardian does it");
            self.shared.heal(&HealReason::WorkerDied, || {})
        });
        ExitCode::from(if healed == 0 { code } else { healed })
    }

    /// Checks worker and helper again and again. Returns when the worker has ended or has to be killed.
    fn wait_for_end(&mut self) -> End {
        let page = self.shared.page;
        let mut watch = Watched::new(self.shared.now(), self.shared.limits());
        let holders = [self.shared.guardian.as_raw_nonzero().get(), self.worker.raw(), self.helper.raw()];
        let mut reported = false;
        loop {
            page.guardian_beat.fetch_add(1, SeqCst);
            self.shared.keep_lock(&holders, &mut reported);
            let interval = self.shared.interval();
            let fds: [&dyn AsFd; 4] = [&self.worker, &self.helper, &self.signals, &page.bells().guardian];
            self.shared.time().wait_any(&fds, interval);
            page.bells().guardian.hear();
            let todo = watch.check(&GuardianSaw {
                now: self.shared.now(),
                interval,
                worker_ended: self.worker.ended(),
                worker_beats: page.worker_beat.load(SeqCst),
                helper_ended: self.helper.ended().is_some(),
                helper_beats: page.helper_beat.load(SeqCst),
                deadline: page.deadline.load(SeqCst),
                ready: page.ready.load(SeqCst) != 0,
                signalled: matches!(self.signals.read_signal(), Ok(Some(_))),
            });
            if let Some(reason) = todo.stop {
                if reason == StopFor::Asked {
                    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
                }
                page.stop(reason);
            }
            if todo.tell_ready {
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
            }
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            match todo.helper {
                Some(Cure::Resume) => self.helper.resume(),
                Some(Cure::Kill) => self.helper.kill(),
                None => {}
            }
            if let Some(end) = todo.end {
                return end;
            }
        }
    }

    /// Waits until the helper has put everything back. Returns its exit code, or `None` if it died or hangs.
    fn wait_for_helper(&mut self) -> Option<u8> {
        let awaited = Awaited::new(self.shared.now(), self.shared.limits());
        loop {
            self.shared.page.guardian_beat.fetch_add(1, SeqCst);
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            match awaited.check(self.shared.now(), self.helper.ended()) {
                Waited::Code(code) => {
                    return [0, EXIT_STUCK, EXIT_LOST].into_iter().find(|known| code == i32::from(*known));
                }
                Waited::Nobody => {
                    self.helper.kill();
                    return None;
                }
                Waited::Resume => self.helper.resume(),
            }
            self.shared.time().wait_any(&[&self.helper], AWAIT_EVERY);
        }
    }
}
