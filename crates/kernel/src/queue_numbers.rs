//! Assigns queue numbers to injections. Done at prepare, because the number is part of the journaled undo.
//!
//! An injection gets the same number again, and no two that are prepared at the same time share one. A number whose
//! injection was prepared and never armed is reused once no other is left.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;

use firedrill_packets::queue::{FIRST, MOST};

/// The bound queues of this network namespace, whichever process serves them; the file does not exist before the first.
const BOUND: &str = "/proc/thread-self/net/netfilter/nfnetlink_queue";

/// The injections and their numbers, the longest unused first.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<VecDeque<(InjectionId, u16)>>);

impl Numbers {
    /// Returns the number of an injection's queue; `None` if all are in use.
    pub fn of(&self, id: &InjectionId) -> Option<u16> {
        self.choose(id, &bound())
    }

    fn choose(&self, id: &InjectionId, busy: &BTreeSet<u16>) -> Option<u16> {
        let mut given = self.given();
        let known = given.iter().position(|(other, _)| other == id).and_then(|at| given.remove(at));
        let number = known.map(|(_, number)| number).or_else(|| {
            let mut all = FIRST..FIRST + MOST;
            let free =
                all.find(|number| !busy.contains(number) && given.iter().all(|(_, other)| other != number));
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

/// Reads the bound queues; if they cannot be read, binding will find out.
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
        // Once its queue is bound, it keeps the number.
        assert_eq!(numbers.choose(&id(1), &BTreeSet::from([FIRST, FIRST + 1])), Some(FIRST + 1));
        numbers.release(FIRST);
        assert_eq!(numbers.choose(&id(3), &free), Some(FIRST));
    }

    #[test]
    fn what_was_only_prepared_makes_room_and_what_runs_does_not() {
        let numbers = Numbers::default();
        let none = BTreeSet::new();
        let all: Vec<_> = (0..MOST).map(|n| numbers.choose(&id(n), &none).expect("room")).collect();
        assert_eq!(all, (FIRST..FIRST + MOST).collect::<Vec<_>>());
        // The first runs, so the second is the oldest that does not.
        assert_eq!(numbers.choose(&id(900), &BTreeSet::from([FIRST])), Some(FIRST + 1));
        assert_eq!(numbers.choose(&id(901), &(FIRST..FIRST + MOST).collect()), None);
    }
}
