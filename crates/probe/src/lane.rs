//! One probe under way: its books, what it asks, and the tasks that ask. Shared by the pacer and those tasks, which all
//! run on the prober's one thread, so that its locks never wait.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::{task::AbortHandle, time::Instant};

use crate::{
    ask::{Ask, Due},
    clock::boot_us,
    ledger::{Ledger, Ticket},
    locked::lock,
    outcome::{Failure, Phases},
    spool::Writer,
    stall::Stalls,
};

/// State that all lanes share.
pub(crate) struct Common {
    /// The prober's own standstills.
    pub(crate) stalls: Mutex<Stalls>,
    /// Delays of the requests' starts, in microseconds.
    pub(crate) starts: Arc<Mutex<Histogram<u64>>>,
}

/// One probe under way.
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) timeout_us: u64,
    pub(crate) kind: Box<dyn Ask>,
    pub(crate) ledger: Mutex<Ledger<AbortHandle>>,
    pub(crate) common: Arc<Common>,
}

impl Lane {
    /// Does all that is to be done by now: gives up requests that are over their time, starts those that are due, and hands out complete seconds.
    pub(crate) fn pump(self: &Arc<Self>, boot_id: &str, spool: &Writer) {
        let now = boot_us();
        let over = lock(&self.ledger).expire(now, &lock(&self.common.stalls));
        // Outside of the lock, because a cancelled request takes the lock to tell the books.
        over.iter().for_each(AbortHandle::abort);
        let mut ledger = lock(&self.ledger);
        while let Some(ticket) = ledger.next_due(now) {
            let task = tokio::spawn(ask(Arc::clone(self), ticket));
            ledger.attach(ticket, task.abort_handle());
        }
        while let Some((start, tally)) = ledger.complete() {
            spool.push(tally.seal(&self.name, start, boot_id));
        }
    }
}

/// One request, from its real start to its end.
async fn ask(lane: Arc<Lane>, ticket: Ticket) {
    let attempt = Attempt { lane, ticket };
    let lane = &attempt.lane;
    let now = boot_us();
    if !lock(&lane.ledger).begin(ticket, now) {
        return;
    }
    // The delay is below the slip limit, so it always fits.
    let _ = lock(&lane.common.starts).record(now.saturating_sub(ticket.due_us));
    let how = lane
        .kind
        .ask(Due { us: ticket.due_us }, Instant::now() + Duration::from_micros(lane.timeout_us))
        .await;
    attempt.finish(how);
}

/// Makes sure that a request is accounted for, whatever becomes of its task.
struct Attempt {
    lane: Arc<Lane>,
    ticket: Ticket,
}

impl Attempt {
    fn finish(&self, how: Result<Phases, Failure>) {
        lock(&self.lane.ledger).finish(self.ticket, boot_us(), how, &lock(&self.lane.common.stalls));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        lock(&self.lane.ledger).abandon(self.ticket);
    }
}
