//! Numbers for whose packets faults choose, by user or service: what a queue sends again is the agent's own, and carries
//! the number so that other faults on the same ones' packets know them.
//!
//! A number means the same for as long as this process lives, and so do the rules that ask for it.

use std::sync::{Mutex, PoisonError};

/// So many there can be; a packet's tag has room for no more.
const MOST: usize = 0x3ff;

/// A user's number, and the cgroup of a service: one of them at least.
type Owner = (Option<u32>, Option<String>);

/// Who has which number.
#[derive(Debug, Default)]
pub struct PacketOwners(Mutex<Vec<Owner>>);

impl PacketOwners {
    /// The number of what these choose, from 1 on; `None` where they choose everybody, or where none is left.
    pub fn of(&self, user: Option<u32>, cgroup: Option<&str>) -> Option<u16> {
        let owner = (user, cgroup.map(str::to_owned));
        if owner == (None, None) {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|one| *one == owner).or_else(|| {
            (all.len() < MOST).then(|| {
                all.push(owner);
                all.len() - 1
            })
        })?;
        u16::try_from(place + 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_has_the_same_number_and_nobody_has_none() {
        let owners = PacketOwners::default();
        assert_eq!(owners.of(None, None), None);
        assert_eq!(owners.of(None, Some("/a")), Some(1));
        assert_eq!(owners.of(Some(7), Some("/a")), Some(2));
        assert_eq!(owners.of(None, Some("/a")), Some(1));
        for user in 2..1023 {
            assert!(owners.of(Some(user + 100), None).is_some_and(|number| number <= 0x3ff), "{user}");
        }
        assert_eq!(owners.of(Some(1), None), None);
    }
}
