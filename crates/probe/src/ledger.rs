//! One probe's books: which requests are under way, how each ended, and which seconds are complete.
//!
//! Pure: time is handed in, requests are run elsewhere. Every request that was due is counted exactly once, in the bin
//! in which it was due. Never sends, never waits.

use std::collections::VecDeque;

use crate::{
    bin::{LENGTH_US, Place, Tally},
    outcome::{Cause, Failure, Phases},
    schedule::Schedule,
    stall::Stalls,
};

/// Settings that all requests of a probe share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The time within which the whole answer must be there, from when the request was sent, in microseconds.
    pub(crate) timeout_us: u64,
    /// A request that starts later than this slipped, in microseconds.
    pub(crate) slip_us: u64,
    /// Requests that may be under way at once; those above slip.
    pub(crate) most: usize,
}

/// A request that is to be started now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    id: u64,
    place: Place,
    /// The time at which it was due.
    pub(crate) due_us: u64,
}

/// A request under way. `H` is what it can be cancelled with.
#[derive(Debug)]
struct Entry<H> {
    ticket: Ticket,
    /// The time at which it was sent; `None` before.
    begun_us: Option<u64>,
    ended: bool,
    handle: Option<H>,
}

impl<H> Entry<H> {
    /// The end of its time-out, which is counted from the time at which it was sent or due.
    fn until_us(&self, timeout_us: u64) -> u64 {
        self.begun_us.unwrap_or(self.ticket.due_us).saturating_add(timeout_us)
    }
}

/// The books. All times are microseconds on the one clock.
#[derive(Debug)]
pub(crate) struct Ledger<H> {
    schedule: Schedule,
    limits: Limits,
    /// The start of the oldest bin that is not sealed.
    bin_us: u64,
    open: VecDeque<Tally>,
    /// The requests that were handed out, in the order in which they were due.
    entries: VecDeque<Entry<H>>,
    /// The id of the first of `entries`.
    first: u64,
    under_way: usize,
    /// The time until which all requests that were due were handed out, or slipped.
    seen_us: u64,
}

impl<H> Ledger<H> {
    /// Returns empty books of a probe that begins with its schedule.
    pub(crate) fn new(schedule: Schedule, limits: Limits) -> Self {
        let start = schedule.start_us();
        Self {
            bin_us: start - start % LENGTH_US,
            seen_us: start,
            schedule,
            limits,
            open: VecDeque::new(),
            entries: VecDeque::new(),
            first: 0,
            under_way: 0,
        }
    }

    /// Returns the next request to start. Requests that are too late by now, or too many at once, slip without being handed out.
    pub(crate) fn next_due(&mut self, now_us: u64) -> Option<Ticket> {
        while let Some(due) = self.schedule.peek().filter(|due| *due <= now_us) {
            let too_late = now_us.saturating_sub(self.limits.slip_us);
            if due < too_late {
                let second = due - due % LENGTH_US;
                let number = self.schedule.number();
                let count = self.schedule.take_before(too_late.min(second + LENGTH_US));
                self.tally(due, |tally| tally.missed(number, due - second, count, now_us - due));
                continue;
            }
            let (number, offset) = (self.schedule.number(), due % LENGTH_US);
            self.schedule.take();
            if self.under_way >= self.limits.most {
                self.tally(due, |tally| tally.missed(number, offset, 1, 0));
                continue;
            }
            let Some(place) = self.tally(due, |tally| tally.due(number, offset)) else { continue };
            let ticket = Ticket { id: self.first + self.entries.len() as u64, place, due_us: due };
            self.entries.push_back(Entry { ticket, begun_us: None, ended: false, handle: None });
            self.under_way += 1;
            return Some(ticket);
        }
        self.seen_us = self.seen_us.max(now_us);
        None
    }

    /// Takes the handle that cancels the request.
    pub(crate) fn attach(&mut self, ticket: Ticket, handle: H) {
        if let Some(entry) = self.entry(ticket) {
            entry.handle = Some(handle);
        }
    }

    /// Notes that the request really starts now. Returns false where that is too late, or it was given up. Then it must not be sent.
    pub(crate) fn begin(&mut self, ticket: Ticket, now_us: u64) -> bool {
        let late = now_us.saturating_sub(ticket.due_us);
        let in_time = late <= self.limits.slip_us;
        let Some(entry) = self.entry(ticket) else { return false };
        entry.begun_us = Some(now_us);
        self.tally(ticket.due_us, |tally| tally.started(late));
        if !in_time {
            self.end(ticket, |tally| tally.slipped(ticket.place));
        }
        in_time
    }

    /// Counts a request that ended. An end that is told after the request was given up is ignored.
    pub(crate) fn finish(
        &mut self,
        ticket: Ticket,
        now_us: u64,
        how: Result<Phases, Failure>,
        stalls: &Stalls,
    ) {
        // The delay with which it was sent is this vantage's doing, and no part of the service's latency.
        let sent_us = self.entry(ticket).and_then(|entry| entry.begun_us).unwrap_or(ticket.due_us);
        let latency = now_us.saturating_sub(sent_us);
        let measured = !stalls.within(sent_us, now_us, self.limits.slip_us);
        let (place, offset) = (ticket.place, ticket.due_us % LENGTH_US);
        let late = latency > self.limits.timeout_us;
        self.end(ticket, |tally| match how {
            _ if !measured => tally.slipped(place),
            Err(Failure::Vantage) => tally.slipped(place),
            _ if late => tally.bad(place, Cause::Timeout, offset),
            Err(Failure::Bad(cause)) => tally.bad(place, cause, offset),
            Ok(phases) => tally.good(place, latency, phases),
        });
    }

    /// Counts a request that was dropped without an end. That is the vantage's doing.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        self.end(ticket, |tally| tally.slipped(ticket.place));
    }

    /// Ends the requests that are over their time-out. Returns the handles of those that are to be cancelled.
    pub(crate) fn expire(&mut self, now_us: u64, stalls: &Stalls) -> Vec<H> {
        let mut cancel = Vec::new();
        while let Some(entry) = self.entries.front_mut() {
            if entry.ended {
                self.entries.pop_front();
                self.first += 1;
                continue;
            }
            if entry.until_us(self.limits.timeout_us) > now_us {
                break;
            }
            let (begun, ticket) = (entry.begun_us.is_some(), entry.ticket);
            cancel.extend(entry.handle.take());
            if begun {
                self.finish(ticket, now_us, Err(Cause::Timeout.into()), stalls);
            } else {
                self.abandon(ticket);
            }
        }
        cancel
    }

    /// Hands out the oldest second, with its start, if it is over and every request in it has ended.
    pub(crate) fn complete(&mut self) -> Option<(u64, Tally)> {
        let over = (self.bin_us + LENGTH_US).min(self.schedule.end_us());
        if self.ended() || self.seen_us < over || self.open.front().is_some_and(|tally| !tally.settled()) {
            return None;
        }
        let start = self.bin_us;
        self.bin_us += LENGTH_US;
        let mut tally = self.open.pop_front().unwrap_or_default();
        if over < start + LENGTH_US {
            tally.cut(over - start);
        }
        Some((start, tally))
    }

    /// Ends the schedule: nothing is due from that moment on. Requests under way go on.
    pub(crate) fn close(&mut self, now_us: u64) {
        self.schedule.end_at(now_us + 1);
    }

    /// Whether all seconds were handed out.
    pub(crate) fn ended(&self) -> bool {
        self.bin_us >= self.schedule.end_us()
    }

    /// Whether requests are under way.
    pub(crate) fn busy(&self) -> bool {
        self.under_way > 0
    }

    /// Returns the latest time at which the books must be looked at again.
    pub(crate) fn next_wake(&self) -> u64 {
        let end = self.schedule.end_us();
        let second = if self.seen_us >= end {
            u64::MAX
        } else {
            (self.seen_us - self.seen_us % LENGTH_US + LENGTH_US).min(end)
        };
        let expiry = self
            .entries
            .iter()
            .find(|entry| !entry.ended)
            .map(|entry| entry.until_us(self.limits.timeout_us));
        [self.schedule.peek(), expiry].into_iter().flatten().fold(second, u64::min)
    }

    fn end(&mut self, ticket: Ticket, count: impl FnOnce(&mut Tally)) {
        let Some(entry) = self.entry(ticket) else { return };
        entry.ended = true;
        entry.handle = None;
        self.under_way -= 1;
        self.tally(ticket.due_us, count);
    }

    /// Returns a request that has not ended; `None` if it has ended.
    fn entry(&mut self, ticket: Ticket) -> Option<&mut Entry<H>> {
        let at = usize::try_from(ticket.id.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(at).filter(|entry| !entry.ended)
    }

    /// Counts in the bin of a request. The bin is always open, because bins are sealed only when all their requests have ended.
    fn tally<T>(&mut self, due_us: u64, count: impl FnOnce(&mut Tally) -> T) -> Option<T> {
        let at = usize::try_from(due_us.checked_sub(self.bin_us)? / LENGTH_US).ok()?;
        while self.open.len() <= at {
            self.open.push_back(Tally::default());
        }
        Some(count(&mut self.open[at]))
    }
}

#[cfg(test)]
mod tests;
