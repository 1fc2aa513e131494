//! Assigns queue numbers to injections. This happens at prepare, because the number is a part of the undo in the journal.
//!
//! An injection always gets the same number again, and two prepared injections never share a number. If no number is left, the number of an
//! injection that was prepared but never armed is reused.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;

use firedrill_packets::queue::{FIRST, MOST};

/// The file with the bound queues of this network namespace, of all processes. It does not exist before the first queue is bound.
const BOUND: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";

/// The injections and their numbers. The injection that asked for its number least recently is the first.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<VecDeque<(InjectionId, u16)>>);

impl Numbers {
    /// Returns the number of an injection's queue; `None` if all numbers are in use.
    pub fn of(&self, id: &InjectionId) -> Option<u16> {
        self.choose(id, &bound())
    }

    fn choose(&self, id: &InjectionId, busy: &BTreeSet<u16>) -> Option<u16> {
        let mut given = self.given();
        let known = given.iter().position(|(other, _)| other == id).and_then(|at| given.remove(at));
        let number = known.map(|(_, number)| number).or_else(|| {
            let mut numbers = FIRST..FIRST + MOST;
            let free = numbers
                .find(|number| !busy.contains(number) && given.iter().all(|(_, other)| other != number));
            free.or_else(|| {
                let oldest = given.iter().position(|(_, number)| !busy.contains(number))?;
                given.remove(oldest).map(|(_, number)| number)
            })
        })?;
        given.push_back((id.clone(), number));
        Some(number)
    }

    /// Frees the number of an injection that is over.
    pub fn release(&self, number: u16) {
        self.given().retain(|(_, other)| *other != number);
    }

    fn given(&self) -> MutexGuard<'_, VecDeque<(InjectionId, u16)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the numbers of the bound queues. Empty if they cannot be read; if a number is in use, binding the queue fails later.
fn bound() -> BTreeSet<u16> {
    let text = fs::read_to_string(BOUND).unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> InjectionId {
        format!("run-slow-{number}").parse().expect("an id")
    }

    #[test]
    fn an_injection_keeps_its_number_and_no_two_share_one() {
        let (numbers, free) = (Numbers::default(), BTreeSet::new());
        assert_eq!(numbers.choose(&id(1), &BTreeSet::from([FIRST])), Some(FIRST + 1));
        assert_eq!(numbers.choose(&id(2), &free), Some(FIRST));
        // The injection keeps its number when its queue is bound.
        assert_eq!(numbers.choose(&id(1), &BTreeSet::from([FIRST, FIRST + 1])), Some(FIRST + 1));
        numbers.release(FIRST);
        assert_eq!(numbers.choose(&id(3), &free), Some(FIRST));
    }

    #[test]
    fn numbers_of_prepared_injections_are_reused_and_numbers_in_use_are_not() {
        let numbers = Numbers::default();
        let none = BTreeSet::new();
        let all: Vec<_> = (0..MOST).map(|n| numbers.choose(&id(n), &none).expect("room")).collect();
        assert_eq!(all, (FIRST..FIRST + MOST).collect::<Vec<_>>());
        // The queue of the first injection is bound, so the second is the oldest without a bound queue.
        assert_eq!(numbers.choose(&id(900), &BTreeSet::from([FIRST])), Some(FIRST + 1));
        assert_eq!(numbers.choose(&id(901), &(FIRST..FIRST + MOST).collect()), None);
    }
}
