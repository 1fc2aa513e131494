//! Items that wait for a time, the soonest first; items of the same time leave in the order of arrival.
//!
//! Most packets become due in the order of arrival: they wait in a FIFO, which is cheap. Only those that are due before
//! earlier ones are sorted.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// Items that wait, each for its time.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Items that were not due before any item that had arrived.
    fifo: VecDeque<Item<T>>,
    /// The other items.
    sorted: BinaryHeap<Reverse<Item<T>>>,
    /// The number of the item that arrives next.
    next: u64,
}

/// An item, with its time and its number in the order of arrival.
#[derive(Debug)]
struct Item<T> {
    due: u64,
    order: u64,
    what: T,
}

impl<T> Item<T> {
    /// Returns the key of the order: the due time, then the order of arrival.
    fn key(&self) -> (u64, u64) {
        (self.due, self.order)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self { fifo: VecDeque::new(), sorted: BinaryHeap::new(), next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.fifo.len() + self.sorted.len()
    }

    /// Whether all items that wait are due in the order of arrival.
    pub(super) fn in_order(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn push(&mut self, due: u64, what: T) {
        let item = Item { due, order: self.next, what };
        self.next += 1;
        if self.fifo.back().is_none_or(|last| last.due <= due) {
            self.fifo.push_back(item);
        } else {
            self.sorted.push(Reverse(item));
        }
    }

    /// Returns the time at which the next item is due; `None` if there is none.
    pub(super) fn due(&self) -> Option<u64> {
        let fifo = self.fifo.front().map(|item| item.due);
        let sorted = self.sorted.peek().map(|item| item.0.due);
        fifo.into_iter().chain(sorted).min()
    }

    /// Takes the next item, if it is due.
    pub(super) fn pop(&mut self, now: u64) -> Option<T> {
        let sorted = self.sorted.peek().map(|item| item.0.key());
        let fifo = self.fifo.front().map(Item::key);
        let take_fifo = match (fifo, sorted) {
            (Some(fifo), Some(sorted)) => fifo < sorted,
            (fifo, _) => fifo.is_some(),
        };
        if fifo.into_iter().chain(sorted).min()?.0 > now {
            return None;
        }
        if take_fifo {
            self.fifo.pop_front().map(|item| item.what)
        } else {
            self.sorted.pop().map(|item| item.0.what)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn due_items_leave_by_time_and_then_by_arrival(dues in proptest::collection::vec(0_u64..20, 0..200), now in 0_u64..25) {
            let mut waiting = Waiting::new();
            for (number, due) in dues.iter().enumerate() {
                waiting.push(*due, (*due, number));
            }
            prop_assert_eq!(waiting.len(), dues.len());
            prop_assert_eq!(waiting.in_order(), dues.is_sorted());
            let mut wanted: Vec<_> = dues.iter().enumerate().map(|(number, due)| (*due, number)).collect();
            wanted.sort_unstable();
            prop_assert_eq!(waiting.due(), wanted.first().map(|(due, _)| *due));
            let later = wanted.iter().filter(|(due, _)| *due > now).count();
            wanted.truncate(wanted.len() - later);
            let popped: Vec<_> = std::iter::from_fn(|| waiting.pop(now)).collect();
            prop_assert_eq!(popped, wanted);
            prop_assert_eq!(waiting.len(), later);
            prop_assert!(waiting.due().is_none_or(|due| due > now));
        }
    }
}
