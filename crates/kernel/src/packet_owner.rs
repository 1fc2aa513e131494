//! Gives numbers to the owners (users, services) whose packets faults choose. A packet that a queue reinjects has the agent as its sender.
//! Therefore it carries the number of its owner, so that other faults recognise it.
//!
//! A number never changes its meaning as long as this process lives; the rules that use it live as long.

use std::sync::{Mutex, PoisonError};

/// Maximum number of owners, because a packet's tag has ten bits for the number.
const MOST: usize = 0x3ff;

/// The id of a user, the cgroup of a service, or both.
type Owner = (Option<u32>, Option<String>);

/// The owners. An owner's number is its position, counted from 1.
#[derive(Debug, Default)]
pub struct PacketOwners(Mutex<Vec<Owner>>);

impl PacketOwners {
    /// Returns the number of an owner, from 1 on. `None` if neither user nor cgroup is given (all packets are meant), or if no number is left.
    pub fn of(&self, user: Option<u32>, cgroup: Option<&str>) -> Option<u16> {
        let owner = (user, cgroup.map(str::to_owned));
        if owner == (None, None) {
            return None;
        }
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = owners.iter().position(|known| *known == owner).or_else(|| {
            (owners.len() < MOST).then(|| {
                owners.push(owner);
                owners.len() - 1
            })
        })?;
        u16::try_from(place + 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_owners_have_the_same_number_up_to_the_maximum() {
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
