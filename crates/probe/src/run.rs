//! The prober's thread: one pacer for all its probes, on a runtime of their own that no other work disturbs.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
    time::Duration,
};

use firedrill_wire::probe::{Arrivals, ProbeSpec};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    ProbeError, Spool,
    ask::{Ask, Means},
    bin,
    check::{check, connections, most_under_way},
    clock::{boot_id, boot_us},
    files, kind,
    kind::stores::{NoStores, Stores},
    lane::{Common, Lane},
    ledger::{Ledger, Limits},
    locked::lock,
    pacer::Timer,
    reads::{Anything, Reads},
    schedule::{Schedule, slip_limit_us},
    spool::Writer,
    stall::{FLOOR_US, Stalls},
    writes::Reader,
};

/// The number of tasks that run before the sockets and the timer are looked at again. It is small, so that requests start on time.
const TASKS_A_LOOK: u32 = 8;

/// Probes that run. Dropping it stops them, without waiting.
#[derive(Debug)]
pub struct Running {
    /// Their measurements; they stay after the probes have stopped.
    pub spool: Arc<Spool>,
    stop: CancellationToken,
    starts: Arc<Mutex<Histogram<u64>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    readers: Vec<Reader>,
}

impl Running {
    /// Stops the probes: nothing more is due from now on. Returns at once. Requests under way have their time; after it the spool's feeds end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether all was measured and handed to the spool.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Stops, and waits for the requests under way: for as long as the longest time-out. Blocks.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A prober that panicked has closed its spool; what it did not count is missing there.
            let _ = thread.join();
        }
    }

    /// Returns the readers that compare what the probes wrote with what is in their stores; none without such probes. The readers stay after the
    /// probes have stopped.
    #[must_use]
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Returns the delays of the requests' starts against the schedule so far, in microseconds. Requests that slipped are not among them.
    #[must_use]
    pub fn start_errors(&self) -> Histogram<u64> {
        lock(&self.starts).clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts probes of kinds that need no clients of stores into a new spool. They end by themselves after `at_most`. Blocks for as long as it
/// takes to read their secrets and authorities; may be called inside a runtime.
///
/// # Errors
/// A probe is not valid, a secret or a file of authorities cannot be read, or there is no thread. Nothing runs then.
pub fn start(specs: Vec<ProbeSpec>, at_most: Duration) -> Result<Running, ProbeError> {
    start_on(Spool::new(), specs, at_most, &Anything, &NoStores)
}

/// Starts probes that write on into a spool: its numbers go on, and its feeds too if they have not ended. Secrets and
/// authorities are read by `reads`, and stores are asked by `stores`.
///
/// # Errors
/// The same as those of [`start`].
pub fn start_on(
    spool: Arc<Spool>,
    specs: Vec<ProbeSpec>,
    at_most: Duration,
    reads: &dyn Reads,
    stores: &dyn Stores,
) -> Result<Running, ProbeError> {
    let kinds = all_checked(&specs, reads, stores)?;
    let histogram = bin::empty().map_err(|why| ProbeError::Thread(std::io::Error::other(why)))?;
    let starts = Arc::new(Mutex::new(histogram));
    let readers = kinds.iter().filter_map(|kind| kind.reader()).collect();
    let stop = CancellationToken::new();
    let writer = spool.writer();
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let thread = {
        let (stop, starts) = (stop.clone(), Arc::clone(&starts));
        std::thread::Builder::new()
            .name("firedrill-probe".to_owned())
            .spawn(move || {
                // The runtime is made here, because it may not be dropped inside another one, and the caller may be inside one.
                let (runtime, timer) = match runtime() {
                    Ok(made) => made,
                    // The caller waits for this, so it hears it.
                    Err(why) => return drop(tell.send(Err(why))),
                };
                drop(tell.send(Ok(())));
                let lanes = lanes(specs, kinds, &starts, at_most);
                runtime.block_on(pace(&lanes, &timer, &stop, &writer));
                // The timer goes before its runtime; a resolver that hangs is not waited for.
                drop(timer);
                runtime.shutdown_background();
            })
            .map_err(ProbeError::Thread)?
    };
    told.recv().map_err(|why| ProbeError::Thread(std::io::Error::other(why)))?.map_err(ProbeError::Thread)?;
    Ok(Running { spool, stop, starts, thread: Some(thread), readers })
}

fn runtime() -> std::io::Result<(Runtime, Timer)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_A_LOOK)
        .thread_name("firedrill-names")
        .build()?;
    let timer = {
        let _inside = runtime.enter();
        Timer::new()?
    };
    Ok((runtime, timer))
}

/// Makes the probes. All of them are checked before one is made.
fn all_checked(
    specs: &[ProbeSpec],
    reads: &dyn Reads,
    stores: &dyn Stores,
) -> Result<Vec<Box<dyn Ask>>, ProbeError> {
    let mut names = BTreeSet::new();
    for spec in specs {
        check(spec)?;
        if !names.insert(&spec.name) {
            return Err(ProbeError::Twice(spec.name.clone()));
        }
    }
    files::allow(connections(specs))?;
    let refused = |spec: &ProbeSpec, wrong| ProbeError::Refused { probe: spec.name.clone(), wrong };
    specs
        .iter()
        .map(|spec| {
            kind::of(&spec.kind).make(spec, Means { reads, stores }).map_err(|wrong| refused(spec, wrong))
        })
        .collect()
}

fn lanes(
    specs: Vec<ProbeSpec>,
    kinds: Vec<Box<dyn Ask>>,
    starts: &Arc<Mutex<Histogram<u64>>>,
    at_most: Duration,
) -> Vec<Arc<Lane>> {
    let now = boot_us();
    let end = now.saturating_add(u64::try_from(at_most.as_micros()).unwrap_or(u64::MAX));
    let longest = specs.iter().map(|spec| spec.timeout.as_micros()).max().unwrap_or(0);
    let common =
        Arc::new(Common { stalls: Mutex::new(Stalls::new(now, longest)), starts: Arc::clone(starts) });
    specs
        .into_iter()
        .zip(kinds)
        .filter_map(|(spec, kind)| {
            let timeout_us = spec.timeout.as_micros();
            let start = match spec.arrivals {
                Arrivals::Poisson => now,
                Arrivals::Even => now.saturating_add(phase(spec.rate)),
            };
            let schedule = Schedule::new(start, end, spec.rate, spec.arrivals, spec.key)?;
            let limits = Limits {
                timeout_us,
                slip_us: slip_limit_us(timeout_us),
                most: usize::try_from(most_under_way(&spec)).unwrap_or(usize::MAX),
            };
            let ledger = Mutex::new(Ledger::new(schedule, limits));
            Some(Arc::new(Lane { name: spec.name, timeout_us, kind, ledger, common: Arc::clone(&common) }))
        })
        .collect()
}

/// Returns the time at which an even probe begins, in microseconds: somewhere in its first period, so that the vantages do not all ask at the same
/// moment.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn phase(rate: f64) -> u64 {
    let period = (1e6 / rate).clamp(1.0, 1e6) as u64;
    RandomState::new().hash_one("phase") % period
}

async fn pace(lanes: &[Arc<Lane>], timer: &Timer, stop: &CancellationToken, spool: &Writer) {
    let boot_id = boot_id();
    let Some(common) = lanes.first().map(|lane| Arc::clone(&lane.common)) else { return };
    let mut stopped = false;
    loop {
        lock(&common.stalls).beat(boot_us());
        if !stopped && stop.is_cancelled() {
            stopped = true;
            let now = boot_us();
            lanes.iter().for_each(|lane| lock(&lane.ledger).close(now));
        }
        let mut wake = u64::MAX;
        let mut busy = false;
        for lane in lanes {
            lane.pump(&boot_id, spool);
            let ledger = lock(&lane.ledger);
            if !ledger.ended() {
                wake = wake.min(ledger.next_wake());
                busy |= ledger.busy();
            }
        }
        if lanes.iter().all(|lane| lock(&lane.ledger).ended()) {
            return;
        }
        if busy {
            // A prober can only tell that it stood still if it looks often.
            wake = wake.min(boot_us() + FLOOR_US);
        }
        lock(&common.stalls).expect(wake.max(boot_us()));
        let woken = async {
            if let Err(why) = timer.until(wake).await {
                tracing::error!(error = %why, "the prober's timer failed; it paces coarsely");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if stopped {
            woken.await;
        } else {
            tokio::select! {
                () = woken => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
