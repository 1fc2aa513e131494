//! The prober under made-up time: its own schedule, books and bins; only sockets and the clock are replaced. For benches of
//! what is judged from its bins; never measures anything.

use std::{cmp::Reverse, collections::BinaryHeap};

use firedrill_wire::probe::{Bin, ProbeSpec};

use crate::{
    ledger::{Ledger, Limits, Ticket},
    outcome::{Cause, Phases},
    schedule::{Schedule, most_at_once, slip_limit_us},
    stall::{FLOOR_US, Stalls},
};

/// The answer of a made-up system to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A good answer after so many microseconds.
    Good(u64),
    /// A bad answer at once.
    Bad,
    /// No answer.
    Silent,
}

/// Measures a made-up system from one moment to another, in microseconds. `answer` is called with the moment of each request, in their order.
/// `None` for a probe that is not valid.
#[must_use]
pub fn simulate(
    spec: &ProbeSpec,
    start_us: u64,
    end_us: u64,
    mut answer: impl FnMut(u64) -> Answer,
) -> Option<Vec<Bin>> {
    let schedule = Schedule::new(start_us, end_us, spec.rate, spec.arrivals, spec.key)?;
    let timeout_us = spec.timeout.as_micros();
    let limits = Limits {
        timeout_us,
        slip_us: slip_limit_us(timeout_us),
        most: usize::try_from(most_at_once(spec.rate, spec.timeout.0, spec.arrivals)?).ok()?,
    };
    let mut books = Ledger::<()>::new(schedule, limits);
    let mut stalls = Stalls::new(start_us, timeout_us);
    // When each request ends, its number, and whether its answer is good.
    let mut under_way: BinaryHeap<Reverse<(u64, u64, bool)>> = BinaryHeap::new();
    let mut tickets: std::collections::HashMap<u64, Ticket> = std::collections::HashMap::new();
    let (mut now, mut number, mut bins) = (start_us, 0, Vec::new());
    while !books.ended() {
        stalls.beat(now);
        while let Some(Reverse((_, id, good))) =
            under_way.peek().filter(|Reverse((at, ..))| *at <= now).copied()
        {
            under_way.pop();
            let how = if good { Ok(Phases::default()) } else { Err(Cause::Refused.into()) };
            if let Some(ticket) = tickets.remove(&id) {
                books.finish(ticket, now, how, &stalls);
            }
        }
        books.expire(now, &stalls);
        while let Some(ticket) = books.next_due(now) {
            if !books.begin(ticket, now) {
                continue;
            }
            let (after, good) = match answer(ticket.due_us) {
                Answer::Good(after) => (after.max(1), true),
                Answer::Bad => (1, false),
                Answer::Silent => continue,
            };
            tickets.insert(number, ticket);
            under_way.push(Reverse((now.saturating_add(after), number, good)));
            number += 1;
        }
        while let Some((start, tally)) = books.complete() {
            bins.push(tally.seal(&spec.name, start, "made-up"));
        }
        let answered = under_way.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        let mut wake = books.next_wake().min(answered);
        if books.busy() {
            wake = wake.min(now + FLOOR_US);
        }
        stalls.expect(wake);
        now = wake.max(now + 1);
    }
    Some(bins)
}
