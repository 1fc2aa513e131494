//! Interfaces that go down and come up again, over and over: the thread that does it, and what it did.
//!
//! The thread takes an interface down only while lease and hold last, and only if its state can be restored. It gives up as
//! soon as somebody else has set the interface up or down. It ends with this process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use firedrill_probe::clock::boot_us;
use firedrill_wire::InjectionId;

use super::link::{self, Link, link_state::LinkState};

/// The pause before another try to set an interface up.
const AGAIN: Duration = Duration::from_millis(50);
/// Maximum number of changes by others that are kept.
const CHANGES: usize = 16;

/// The request.
#[derive(Clone, Debug)]
pub struct Flap {
    /// The interface's index.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    /// Time down in each period.
    pub down: Duration,
    /// Time up in each period.
    pub up: Duration,
    /// The end of the lease, by [`boot_us`].
    pub lease_until_us: u64,
    /// The end of the hold, by the same clock.
    pub hold_until_us: u64,
}

/// Why an interface does not flap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Lease or hold is over.
    Over,
    /// Somebody removed the interface.
    Gone,
    /// Somebody else set it down in an up phase, or before the first down phase.
    SetDown,
    /// Somebody else set it up in a down phase.
    SetUp,
    /// It could not be taken down, or its state could not be restored.
    Cannot(String),
}

/// What an interface has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flapped {
    /// Number of times that it went down.
    pub downs: u64,
    /// Why it does not flap any more; `None` while it does.
    pub ended: Option<Ended>,
    /// Changes by others, each as a clause.
    pub changes: Vec<String>,
    /// The error of the last time that it came up, for example that entries are missing.
    pub trouble: Option<String>,
    /// Whether it is up with all that it had.
    pub complete: bool,
    /// The interface as it is.
    pub link: Option<Link>,
}

/// A flap that was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Number of times that the interface went down.
    pub downs: u64,
    /// The state to restore.
    pub was: LinkState,
    /// Somebody else set it down in an up phase, so it is not ours to set up.
    pub left_down: bool,
    /// Changes by others, each as a clause.
    pub changes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Up,
    Down,
}

/// What the thread did. It changes the interface under the lock of this, so that whoever has the lock can tell its changes from
/// those of others.
#[derive(Debug)]
struct Record {
    phase: Phase,
    downs: u64,
    was: LinkState,
    ended: Option<Ended>,
    changes: Vec<String>,
    trouble: Option<String>,
    /// Whether all entries have come back since the last time down.
    complete: bool,
}

#[derive(Debug)]
struct Shared {
    flap: Flap,
    until_us: AtomicU64,
    stop: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct One {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The flaps of this process, which end with it.
#[derive(Debug, Default)]
pub struct Flaps(Mutex<HashMap<InjectionId, One>>);

impl Flaps {
    /// Takes the interface down for the first time and lets it flap until lease or hold is over. Returns the state in which it
    /// was. Does nothing if it flaps already for this injection.
    ///
    /// # Errors
    /// It was not taken down, and does not flap.
    pub fn begin(&self, id: &InjectionId, flap: Flap) -> Result<LinkState, Ended> {
        let mut all = self.all();
        if let Some(one) = all.get(id).filter(|one| one.runs()) {
            return Ok(one.shared.record().was.clone());
        }
        let shared = Arc::new(Shared::new(flap));
        let (told, first) = mpsc::channel();
        let working = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("flap".to_owned())
            .stack_size(1 << 20)
            .spawn(move || working.run(&told))
            .map_err(|error| Ended::Cannot(format!("could not start a thread: {error}")))?;
        let mut one = One { shared, thread: Some(thread) };
        match first.recv() {
            Ok(Ok(was)) => {
                all.insert(id.clone(), one);
                Ok(was)
            }
            Ok(Err(ended)) => {
                one.end();
                Err(ended)
            }
            Err(_) => {
                // It may be down, so the undo has to find it.
                one.end();
                all.insert(id.clone(), one);
                Err(Ended::Cannot("its thread had died".to_owned()))
            }
        }
    }

    /// Moves the end of the lease; false if it is over or never began.
    pub fn renew(&self, id: &InjectionId, lease_until_us: u64) -> bool {
        let all = self.all();
        let Some(one) = all.get(id).filter(|one| one.runs()) else { return false };
        one.shared.until_us.store(lease_until_us, SeqCst);
        true
    }

    /// Stops it, and waits until its thread has ended. Leaves the interface as it is. `None` if it never flapped in this
    /// process: then no thread of this process takes it down.
    pub fn stop(&self, id: &InjectionId) -> Option<Stopped> {
        let mut all = self.all();
        let one = all.get_mut(id)?;
        one.end();
        let record = one.shared.record();
        if record.downs == 0 {
            return None;
        }
        let link = one.shared.link().ok().flatten();
        let left_down = record.phase == Phase::Up && link.is_some_and(|link| !link.is_up());
        let (was, changes) = (record.was.clone(), record.changes.clone());
        Some(Stopped { downs: record.downs, was, left_down, changes })
    }

    /// Returns what it did so far; `None` if it never flapped in this process.
    ///
    /// # Errors
    /// The interface could not be looked at.
    pub fn flapped(&self, id: &InjectionId) -> Result<Option<Flapped>, String> {
        let all = self.all();
        let Some(one) = all.get(id) else { return Ok(None) };
        let record = one.shared.record();
        let link = one.shared.link()?;
        let ended = record.ended.clone().or_else(|| match &link {
            None => Some(Ended::Gone),
            Some(link) if link.is_up() && record.phase == Phase::Down => Some(Ended::SetUp),
            Some(link) if !link.is_up() && record.phase == Phase::Up => Some(Ended::SetDown),
            Some(_) if !one.runs() => Some(Ended::Over),
            Some(_) => None,
        });
        let (changes, trouble) = (record.changes.clone(), record.trouble.clone());
        let complete = record.complete && link.as_ref().is_some_and(Link::is_up);
        Ok(Some(Flapped { downs: record.downs, ended, changes, trouble, complete, link }))
    }

    /// Forgets an injection that is over.
    pub fn forget(&self, id: &InjectionId) {
        if let Some(mut one) = self.all().remove(id) {
            one.end();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<InjectionId, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flaps {
    fn drop(&mut self) {
        self.all().values_mut().for_each(One::end);
    }
}

impl One {
    fn runs(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn end(&mut self) {
        self.shared.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::warn!("what let {} flap had died", self.shared.flap.name);
            }
        }
    }
}

impl Shared {
    fn new(flap: Flap) -> Self {
        let record = Record {
            phase: Phase::Up,
            downs: 0,
            was: LinkState { links: Vec::new(), entries: Vec::new() },
            ended: None,
            changes: Vec::new(),
            trouble: None,
            complete: true,
        };
        Self {
            until_us: AtomicU64::new(flap.lease_until_us),
            stop: AtomicBool::new(false),
            record: Mutex::new(record),
            flap,
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    fn ends_us(&self) -> u64 {
        self.until_us.load(SeqCst).min(self.flap.hold_until_us)
    }

    fn is_over(&self) -> bool {
        self.is_stopped() || boot_us() >= self.ends_us()
    }

    fn link(&self) -> Result<Option<Link>, String> {
        let links = link::all().map_err(|error| error.to_string())?;
        Ok(links.into_iter().find(|link| link.index == self.flap.index))
    }

    fn run(&self, told: &mpsc::Sender<Result<LinkState, Ended>>) {
        let mut down = self.go_down();
        // Nobody listens if the caller has died.
        let _ = told.send(down.clone());
        loop {
            if let Err(ended) = down {
                // The kernel said that it failed; it must not be down all the same.
                if self.record().phase == Phase::Down {
                    self.come_up(boot_us());
                }
                self.record().ended = Some(ended);
                return;
            }
            self.wait(boot_us().saturating_add(micros(self.flap.down)));
            if self.is_stopped() {
                return;
            }
            let until = boot_us().saturating_add(micros(self.flap.up));
            if !self.come_up(until) {
                return;
            }
            self.wait(until);
            if self.is_over() {
                self.record().ended = Some(Ended::Over);
                return;
            }
            down = self.go_down();
        }
    }

    /// Waits until then, or until it is over.
    fn wait(&self, until: u64) {
        while !self.is_over() {
            let now = boot_us();
            if now >= until {
                return;
            }
            thread::park_timeout(Duration::from_micros(until.min(self.ends_us()).saturating_sub(now)));
        }
    }

    /// Takes it down, and returns the state in which it was.
    fn go_down(&self) -> Result<LinkState, Ended> {
        let cannot = |error: &dyn std::fmt::Display| Ended::Cannot(error.to_string());
        let mut record = self.record();
        let links = link::all().map_err(|error| cannot(&error))?;
        let link = links.iter().find(|link| link.index == self.flap.index).ok_or(Ended::Gone)?;
        if !link.is_up() {
            return Err(Ended::SetDown);
        }
        let now =
            LinkState::now(&link::with_uppers(&links, link.index), true).map_err(|error| cannot(&error))?;
        let first = record.downs == 0;
        let (was, changes) =
            if first { (now, Vec::new()) } else { record.was.followed_by(now, record.complete) };
        record.was = was.clone();
        record.note(changes);
        // This process may have been stopped meanwhile, until after the end of the lease.
        if self.is_over() {
            return Err(Ended::Over);
        }
        // Before it is: whatever comes of the next call, it is ours to set up.
        record.phase = Phase::Down;
        record.complete = false;
        link::set(link.index, &link.name, false).map_err(|error| cannot(&error))?;
        record.downs += 1;
        Ok(was)
    }

    /// Sets it up and restores its entries until then, or for as long as that takes if lease or hold is over. Returns false if
    /// it is not to go down again.
    fn come_up(&self, until: u64) -> bool {
        let mut tried = false;
        let (was, raised, by_others) = loop {
            let mut record = self.record();
            match record.was.raise() {
                Ok(None) => {
                    record.ended = Some(Ended::Gone);
                    return false;
                }
                Ok(Some(raised)) => {
                    record.phase = Phase::Up;
                    let by_others = !raised.was_down && !tried;
                    if by_others {
                        record.ended = Some(Ended::SetUp);
                    }
                    break (record.was.clone(), raised, by_others);
                }
                Err(error) => record.trouble = Some(error.to_string()),
            }
            drop(record);
            tried = true;
            // It must not stay down, whatever the time.
            thread::park_timeout(AGAIN);
            if self.is_stopped() {
                return false;
            }
        };
        let wanted = || !self.is_stopped() && (by_others || self.is_over() || boot_us() < until);
        let restored = was.put_back(&raised, &wanted);
        let mut record = self.record();
        record.complete = restored.is_ok();
        record.trouble = restored.as_ref().err().cloned();
        let removed = restored.map(|(_, removed)| removed).unwrap_or_default();
        record.note(removed.into_iter().map(|what| format!("{what} was removed")).collect());
        !by_others
    }
}

impl Record {
    fn note(&mut self, changes: Vec<String>) {
        for change in changes {
            if self.changes.len() < CHANGES && !self.changes.contains(&change) {
                self.changes.push(change);
            }
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(lease_until_us: u64, hold_until_us: u64) -> Shared {
        let (down, up) = (Duration::from_secs(1), Duration::from_secs(1));
        let flap = Flap { index: u32::MAX, name: "none".to_owned(), down, up, lease_until_us, hold_until_us };
        Shared::new(flap)
    }

    #[test]
    fn what_is_over_is_over() {
        assert!(!shared(u64::MAX, u64::MAX).is_over());
        assert!(shared(1, u64::MAX).is_over() && shared(u64::MAX, 1).is_over());
        let stopped = shared(u64::MAX, u64::MAX);
        stopped.stop.store(true, SeqCst);
        assert!(stopped.is_over());
        // It does not wait then.
        stopped.wait(u64::MAX);
    }

    #[test]
    fn what_did_not_begin_has_no_thread_and_no_record() {
        let (flaps, id) = (Flaps::default(), "a-run-1".parse().unwrap());
        let flap = shared(u64::MAX, u64::MAX).flap;
        assert_eq!(flaps.begin(&id, flap), Err(Ended::Gone));
        assert_eq!((flaps.stop(&id), flaps.flapped(&id)), (None, Ok(None)));
        assert!(!flaps.renew(&id, u64::MAX));
        flaps.forget(&id);
    }

    #[test]
    fn changes_are_told_once_and_not_without_end() {
        let shared = shared(1, 1);
        let mut record = shared.record();
        for number in (0..2 * CHANGES).chain(0..2) {
            record.note(vec![format!("change {number}")]);
        }
        assert_eq!((record.changes.len(), record.changes[0].as_str()), (CHANGES, "change 0"));
    }
}
