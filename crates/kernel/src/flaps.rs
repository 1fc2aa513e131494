//! The flapping interfaces of this process, which go down and come up again and again. Each has a thread.
//!
//! The thread takes its interface down only while the lease and the hold last, and only if the interface's state can be restored. It gives
//! up as soon as another program has set the interface up or down. It never outlives this process.

mod cycle;

pub use cycle::{Ended, Flap};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

use firedrill_wire::InjectionId;

use crate::{
    leased::Worker,
    link::{
        Link,
        link_state::{Change, LinkState},
    },
};
use cycle::{Phase, Shared};

/// The record of a flapping interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flapped {
    /// Number of times that the interface went down.
    pub downs: u64,
    /// The reason why the interface does not flap any more; `None` while it does.
    pub ended: Option<Ended>,
    /// Changes of the interface's state by other programs.
    pub changes: Vec<Change>,
    /// The error of the last time that the interface came up, for example that entries are missing. `None` if there was none.
    pub trouble: Option<String>,
    /// Whether the interface is up with all entries that it had before.
    pub complete: bool,
    /// The interface as it is now; `None` if it was removed.
    pub link: Option<Link>,
}

/// The record of a flapping interface that was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Number of times that the interface went down.
    pub downs: u64,
    /// The state to restore.
    pub was: LinkState,
    /// Whether another program set the interface down in an up phase. Then the undo must not set it up.
    pub left_down: bool,
    /// Changes of the interface's state by other programs.
    pub changes: Vec<Change>,
}

/// A flapping interface: its record and its thread.
#[derive(Debug)]
struct Flapping {
    shared: Arc<Shared>,
    worker: Worker,
}

/// The flapping interfaces of this process, by injection. Dropping the value stops them.
#[derive(Debug, Default)]
pub struct Flaps(Mutex<HashMap<InjectionId, Flapping>>);

impl Flaps {
    /// Takes the interface down for the first time, and lets it flap until the lease or the hold is over. Returns the state of the interface
    /// before. If it flaps already for this injection, only returns that state.
    ///
    /// # Errors
    /// The interface does not flap; the error is the reason.
    pub fn begin(&self, id: &InjectionId, flap: Flap) -> Result<LinkState, Ended> {
        let mut flaps = self.locked();
        if let Some(flapping) = flaps.get(id).filter(|flapping| flapping.worker.runs()) {
            return Ok(flapping.shared.record().was.clone());
        }
        let shared = Arc::new(Shared::new(flap));
        let (report, first_down) = mpsc::channel();
        let working = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("flap".to_owned())
            .stack_size(1 << 20)
            .spawn(move || working.run(&report))
            .map_err(|error| Ended::Cannot(format!("could not start a thread: {error}")))?;
        let mut flapping = Flapping { shared, worker: Worker::new(Some(thread)) };
        match first_down.recv() {
            Ok(Ok(was)) => {
                flaps.insert(id.clone(), flapping);
                Ok(was)
            }
            Ok(Err(ended)) => {
                flapping.end();
                Err(ended)
            }
            Err(_) => {
                // The interface may be down, so the undo must find the entry.
                flapping.end();
                flaps.insert(id.clone(), flapping);
                Err(Ended::Cannot("its thread had died".to_owned()))
            }
        }
    }

    /// Moves the end of the lease. Returns false if the interface does not flap.
    pub fn renew(&self, id: &InjectionId, lease_until_us: u64) -> bool {
        let flaps = self.locked();
        let Some(flapping) = flaps.get(id).filter(|flapping| flapping.worker.runs()) else { return false };
        flapping.shared.leased.renew(lease_until_us);
        true
    }

    /// Stops the flapping, and waits until the thread has ended. Leaves the interface as it is. `None` if the interface never went down for
    /// this injection in this process.
    ///
    /// # Errors
    /// The state of the interface could not be read, so it is unknown whether another program set it down. It does not flap any more.
    pub fn stop(&self, id: &InjectionId) -> Result<Option<Stopped>, String> {
        let mut flaps = self.locked();
        let Some(flapping) = flaps.get_mut(id) else { return Ok(None) };
        flapping.end();
        let record = flapping.shared.record();
        if record.downs == 0 {
            return Ok(None);
        }
        let link = flapping.shared.link()?;
        let left_down = record.phase == Phase::Up && link.is_some_and(|link| !link.is_up());
        let (was, changes) = (record.was.clone(), record.changes.clone());
        Ok(Some(Stopped { downs: record.downs, was, left_down, changes }))
    }

    /// Returns the record of a flapping interface; `None` if it never flapped for this injection in this process.
    ///
    /// # Errors
    /// The state of the interface could not be read.
    pub fn flapped(&self, id: &InjectionId) -> Result<Option<Flapped>, String> {
        let flaps = self.locked();
        let Some(flapping) = flaps.get(id) else { return Ok(None) };
        let record = flapping.shared.record();
        let link = flapping.shared.link()?;
        let ended = record.ended.clone().or_else(|| match &link {
            None => Some(Ended::Gone),
            Some(link) if link.is_up() && record.phase == Phase::Down => Some(Ended::SetUp),
            Some(link) if !link.is_up() && record.phase == Phase::Up => Some(Ended::SetDown),
            // A thread that ends normally has recorded the reason, so this thread has panicked.
            Some(_) if !flapping.worker.runs() && !flapping.shared.leased.is_stopped() => {
                Some(Ended::Cannot("its thread has died".to_owned()))
            }
            Some(_) if !flapping.worker.runs() => Some(Ended::Over),
            Some(_) => None,
        });
        let (changes, trouble) = (record.changes.clone(), record.trouble.clone());
        let complete = record.complete && link.as_ref().is_some_and(Link::is_up);
        Ok(Some(Flapped { downs: record.downs, ended, changes, trouble, complete, link }))
    }

    /// Removes the record of an injection that is over.
    pub fn forget(&self, id: &InjectionId) {
        if let Some(mut flapping) = self.locked().remove(id) {
            flapping.end();
        }
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<InjectionId, Flapping>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flaps {
    fn drop(&mut self) {
        self.locked().values_mut().for_each(Flapping::end);
    }
}

impl Flapping {
    /// Stops the thread, and waits for its end.
    fn end(&mut self) {
        self.worker.end(&self.shared.leased, &format!("the thread that let {} flap", self.shared.flap.name));
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::Span;

    use super::*;
    use crate::link;

    fn flap(index: u32, name: &str) -> Flap {
        let (down, up) = (Span::secs(1), Span::secs(1));
        Flap { index, name: name.to_owned(), down, up, lease_until_us: u64::MAX, hold_until_us: u64::MAX }
    }

    #[test]
    fn a_flap_that_did_not_begin_has_no_thread_and_no_record() {
        let (flaps, id) = (Flaps::default(), "a-run-1".parse().unwrap());
        assert_eq!(flaps.begin(&id, flap(u32::MAX, "none")), Err(Ended::Gone));
        assert_eq!((flaps.stop(&id), flaps.flapped(&id)), (Ok(None), Ok(None)));
        assert!(!flaps.renew(&id, u64::MAX));
        flaps.forget(&id);
    }

    #[test]
    fn a_thread_that_panicked_is_not_reported_as_the_end_of_the_lease() {
        let Some(up) = link::all().unwrap().into_iter().find(Link::is_up) else {
            eprintln!("skipped: no interface is up");
            return;
        };
        let (flaps, id) = (Flaps::default(), "a-run-1".parse().unwrap());
        let shared = Arc::new(Shared::new(flap(up.index, &up.name)));
        let thread = thread::spawn(|| std::panic::resume_unwind(Box::new("dies")));
        while !thread.is_finished() {
            thread::yield_now();
        }
        let flapping = Flapping { shared, worker: Worker::new(Some(thread)) };
        flaps.locked().insert(InjectionId::clone(&id), flapping);
        let ended = |flaps: &Flaps| flaps.flapped(&id).unwrap().unwrap().ended;
        assert_eq!(ended(&flaps), Some(Ended::Cannot("its thread has died".to_owned())));
        assert_eq!(flaps.stop(&id), Ok(None));
        assert_eq!(ended(&flaps), Some(Ended::Over), "it was stopped");
    }
}
