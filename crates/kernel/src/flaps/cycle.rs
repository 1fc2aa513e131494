//! The thread that takes one interface down and up again and again, and the record of it. It never leaves the interface down when it ends,
//! except after a stop, when the undo takes over.

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use firedrill_probe::clock::boot_us;
use firedrill_wire::Span;

use crate::{
    leased::Leased,
    link::{
        self, Link,
        link_state::{Change, LinkState},
    },
};

/// Time between two tries to set an interface up.
const AGAIN: Duration = Duration::from_millis(50);
/// Maximum number of recorded changes by other programs.
const CHANGES: usize = 16;

/// The settings of a flapping interface.
#[derive(Clone, Debug)]
pub struct Flap {
    /// The interface's index.
    pub index: u32,
    /// The interface's name.
    pub name: String,
    /// Time down in each period.
    pub down: Span,
    /// Time up in each period.
    pub up: Span,
    /// The end of the lease, by [`boot_us`].
    pub lease_until_us: u64,
    /// The end of the hold, by [`boot_us`].
    pub hold_until_us: u64,
}

/// The reason why an interface does not flap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The lease or the hold is over, or the flapping was stopped.
    Over,
    /// The interface was removed.
    Gone,
    /// Another program set the interface down in an up phase, or it was down before the first down phase.
    SetDown,
    /// Another program set the interface up in a down phase.
    SetUp,
    /// The interface could not be taken down or set up, or its state could not be restored.
    Cannot(String),
}

/// The state into which the thread has put the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Up,
    Down,
}

/// The record of the thread's changes. The thread changes the interface only while it holds the lock of this record, so that its changes can
/// be distinguished from the changes of other programs.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) phase: Phase,
    /// Number of times that the interface went down.
    pub(super) downs: u64,
    /// The state to restore.
    pub(super) was: LinkState,
    /// The reason why the interface does not flap any more.
    pub(super) ended: Option<Ended>,
    /// Changes by other programs.
    pub(super) changes: Vec<Change>,
    /// The error of the last restoration.
    pub(super) trouble: Option<String>,
    /// Whether all entries were restored after the last time down.
    pub(super) complete: bool,
}

/// The data that the thread shares with its owner.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) flap: Flap,
    pub(super) leased: Leased,
    record: Mutex<Record>,
}

impl Shared {
    pub(super) fn new(flap: Flap) -> Self {
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
            leased: Leased::new(flap.lease_until_us, flap.hold_until_us),
            record: Mutex::new(record),
            flap,
        }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state of the interface; `None` if it was removed.
    pub(super) fn link(&self) -> Result<Option<Link>, String> {
        let links = link::all().map_err(|error| error.to_string())?;
        Ok(links.into_iter().find(|link| link.index == self.flap.index))
    }

    /// Lets the interface flap until there is a reason to end. Sends the result of the first time down to `report`.
    pub(super) fn run(&self, report: &mpsc::Sender<Result<LinkState, Ended>>) {
        let mut down = self.go_down();
        // A failure is ignored: it means that the caller has ended.
        let _ = report.send(down.clone());
        loop {
            if let Err(ended) = down {
                // The kernel has reported an error, but the interface may be down all the same, so it must come up.
                if self.record().phase == Phase::Down {
                    self.come_up(boot_us());
                }
                self.record().ended = Some(ended);
                return;
            }
            self.wait(boot_us().saturating_add(self.flap.down.as_micros()));
            if self.leased.is_stopped() {
                return;
            }
            let until = boot_us().saturating_add(self.flap.up.as_micros());
            if !self.come_up(until) {
                return;
            }
            self.wait(until);
            if self.leased.is_over() {
                self.record().ended = Some(Ended::Over);
                return;
            }
            down = self.go_down();
        }
    }

    /// Waits until a time by [`boot_us`], or until the lease or the hold is over or the flapping is stopped.
    fn wait(&self, until: u64) {
        while !self.leased.is_over() {
            let now = boot_us();
            if now >= until {
                return;
            }
            thread::park_timeout(Duration::from_micros(until.min(self.leased.ends_us()).saturating_sub(now)));
        }
    }

    /// Takes the interface down. Returns its state before.
    fn go_down(&self) -> Result<LinkState, Ended> {
        let cannot = |error: &dyn Display| Ended::Cannot(error.to_string());
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
        // The lease may be over by now, if this process was stopped for a while.
        if self.leased.is_over() {
            return Err(Ended::Over);
        }
        // The phase is set before the call: even if the call fails, this thread must set the interface up.
        record.phase = Phase::Down;
        record.complete = false;
        link::set(link.index, &link.name, false).map_err(|error| cannot(&error))?;
        record.downs += 1;
        Ok(was)
    }

    /// Sets the interface up and restores its entries. The restoration ends at `until`, but takes as long as it needs if the lease or the hold
    /// is over. Returns false if the interface must not go down again.
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
                    record.ended = by_others.then_some(Ended::SetUp);
                    break (record.was.clone(), raised, by_others);
                }
                // While the interface cannot be set up, it stays down and does not flap.
                Err(error) => record.ended = Some(Ended::Cannot(error.to_string())),
            }
            drop(record);
            tried = true;
            // The interface must not stay down, so this is tried again even if the lease and the hold are over.
            thread::park_timeout(AGAIN);
            if self.leased.is_stopped() {
                return false;
            }
        };
        let wanted =
            || !self.leased.is_stopped() && (by_others || self.leased.is_over() || boot_us() < until);
        let restored = was.put_back(&raised, &wanted);
        let mut record = self.record();
        record.complete = restored.is_ok();
        record.trouble = restored.as_ref().err().cloned();
        record.note(restored.map(|(_, removed)| removed).unwrap_or_default());
        !by_others
    }
}

impl Record {
    /// Adds changes that are not recorded yet.
    fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            if self.changes.len() < CHANGES && !self.changes.contains(&change) {
                self.changes.push(change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(lease_until_us: u64, hold_until_us: u64) -> Shared {
        let (down, up) = (Span::secs(1), Span::secs(1));
        Shared::new(Flap {
            index: u32::MAX,
            name: "none".to_owned(),
            down,
            up,
            lease_until_us,
            hold_until_us,
        })
    }

    #[test]
    fn waiting_ends_when_the_lease_or_the_hold_is_over_or_after_a_stop() {
        shared(1, u64::MAX).wait(u64::MAX);
        shared(u64::MAX, 1).wait(u64::MAX);
        let stopped = shared(u64::MAX, u64::MAX);
        stopped.leased.stop();
        stopped.wait(u64::MAX);
    }

    #[test]
    fn changes_are_recorded_once_and_up_to_a_maximum() {
        let shared = shared(1, 1);
        let mut record = shared.record();
        let change = |number| Change { what: format!("route {number}"), how: "added" };
        for number in (0..2).chain(0..2 * CHANGES) {
            record.note(vec![change(number)]);
        }
        assert_eq!((record.changes.len(), record.changes.last()), (CHANGES, Some(&change(CHANGES - 1))));
    }
}
