//! The register of this process's flapping interfaces, which go down and come up again and again.
//!
//! The thread takes an interface down only while lease and hold last, and only if its state can be restored. It gives up as
//! soon as somebody else has set the interface up or down. It ends with this process.

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
    /// Number of times that it went down.
    pub downs: u64,
    /// The reason why it does not flap any more; `None` while it does.
    pub ended: Option<Ended>,
    /// Changes by others.
    pub changes: Vec<Change>,
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
    /// Changes by others.
    pub changes: Vec<Change>,
}

#[derive(Debug)]
struct One {
    shared: Arc<Shared>,
    worker: Worker,
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
        if let Some(one) = all.get(id).filter(|one| one.worker.runs()) {
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
        let mut one = One { shared, worker: Worker::new(Some(thread)) };
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
        let Some(one) = all.get(id).filter(|one| one.worker.runs()) else { return false };
        one.shared.leased.renew(lease_until_us);
        true
    }

    /// Stops it, and waits until its thread has ended. Leaves the interface as it is. `None` if it never flapped in this
    /// process: then no thread of this process takes it down.
    ///
    /// # Errors
    /// The interface could not be looked at, so nobody knows whether somebody else set it down. It flaps no more.
    pub fn stop(&self, id: &InjectionId) -> Result<Option<Stopped>, String> {
        let mut all = self.all();
        let Some(one) = all.get_mut(id) else { return Ok(None) };
        one.end();
        let record = one.shared.record();
        if record.downs == 0 {
            return Ok(None);
        }
        let link = one.shared.link()?;
        let left_down = record.phase == Phase::Up && link.is_some_and(|link| !link.is_up());
        let (was, changes) = (record.was.clone(), record.changes.clone());
        Ok(Some(Stopped { downs: record.downs, was, left_down, changes }))
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
            // A thread that ends in order has recorded the reason.
            Some(_) if !one.worker.runs() && !one.shared.leased.is_stopped() => {
                Some(Ended::Cannot("its thread has died".to_owned()))
            }
            Some(_) if !one.worker.runs() => Some(Ended::Over),
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
    fn what_did_not_begin_has_no_thread_and_no_record() {
        let (flaps, id) = (Flaps::default(), "a-run-1".parse().unwrap());
        assert_eq!(flaps.begin(&id, flap(u32::MAX, "none")), Err(Ended::Gone));
        assert_eq!((flaps.stop(&id), flaps.flapped(&id)), (Ok(None), Ok(None)));
        assert!(!flaps.renew(&id, u64::MAX));
        flaps.forget(&id);
    }

    #[test]
    fn a_thread_that_has_died_is_not_called_the_end_of_the_lease() {
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
        flaps.all().insert(InjectionId::clone(&id), One { shared, worker: Worker::new(Some(thread)) });
        let ended = |flaps: &Flaps| flaps.flapped(&id).unwrap().unwrap().ended;
        assert_eq!(ended(&flaps), Some(Ended::Cannot("its thread has died".to_owned())));
        assert_eq!(flaps.stop(&id), Ok(None));
        assert_eq!(ended(&flaps), Some(Ended::Over), "it was stopped");
    }
}
