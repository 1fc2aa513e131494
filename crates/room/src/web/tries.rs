//! Limits the number of failed logins per address. Only failures are limited: a valid link, passkey or token always works.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Maximum number of failures of an address that are not forgotten yet.
const MOST: u32 = 10;
/// One failure of an address is forgotten after each such time.
const FORGET: Duration = Duration::from_secs(6);
/// Maximum number of addresses whose failures are remembered. If more addresses fail at once, all failures are forgotten, to bound the memory.
const ADDRESSES: usize = 4_096;

/// The failures of each address.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<IpAddr, Failures>>);

/// The failures of an address.
#[derive(Clone, Copy, Debug)]
struct Failures {
    /// The number of failures that were not forgotten at the time `last`.
    count: u32,
    /// The time of the last failure.
    last: Instant,
}

impl Failures {
    /// Returns the number of failures that are not forgotten.
    fn left(self, now: Instant) -> u32 {
        let forgotten = now.saturating_duration_since(self.last).as_secs() / FORGET.as_secs();
        self.count.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

impl Tries {
    /// Returns true if an address may fail once more.
    pub(crate) fn may(&self, from: IpAddr, now: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&from).is_none_or(|failures| failures.left(now) < MOST)
    }

    /// Remembers a failure of an address.
    pub(crate) fn failed(&self, from: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES {
            all.retain(|_, failures| failures.left(now) > 0);
        }
        if all.len() >= ADDRESSES {
            all.clear();
        }
        let failures = all.entry(from).or_insert(Failures { count: 0, last: now });
        *failures = Failures { count: failures.left(now) + 1, last: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_stop_an_address_for_a_while_and_no_other() {
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let (tries, now) = (Tries::default(), Instant::now());
        for _ in 0..MOST {
            assert!(tries.may(one, now));
            tries.failed(one, now);
        }
        assert!(!tries.may(one, now) && tries.may(other, now));
        let later = now + FORGET;
        assert!(tries.may(one, later));
        tries.failed(one, later);
        assert!(!tries.may(one, later), "one failure was forgotten, and one came");
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let (tries, now) = (Tries::default(), Instant::now());
        for n in 0..20_000_u32 {
            tries.failed(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(tries.0.lock().unwrap().len() <= ADDRESSES);
    }
}
