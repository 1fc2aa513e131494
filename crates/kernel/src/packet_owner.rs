//! Numbers the owners (users, services) whose packets faults choose. A packet that a queue reinjects has the agent as
//! its sender, so it carries the number of its owner, by which other faults recognise it.
//!
//! A number keeps its meaning for as long as this process lives, like the rules that use it.

use std::sync::{Mutex, PoisonError};

/// Maximum number of owners; a packet's tag has no room for more.
const MOST: usize = 0x3ff;

/// A user's number or the cgroup of a service; at least one of them.
type Owner = (Option<u32>, Option<String>);

/// The owners; an owner's number is its position, counted from 1.
#[derive(Debug, Default)]
pub struct PacketOwners(Mutex<Vec<Owner>>);

impl PacketOwners {
    /// Returns the number of an owner, from 1 on; `None` for everybody, or if no number is left.
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
