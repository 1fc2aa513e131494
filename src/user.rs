//! Finds the id of this process's user as it is outside of a lab. Changes no user.
//!
//! Without root, a process that enters a lab's network also enters the lab's user namespace. That namespace has one user, who is root there.

use std::fs;

/// Returns the id of this process's user outside of a lab. It is a part of the names of files that processes inside and outside share.
pub(crate) fn outside() -> u32 {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outside_of(rustix::process::geteuid().as_raw(), &map)
}

/// Returns the id that a user has outside of a namespace with a single user; in any other namespace, the id there. `map` is the content
/// of `uid_map`.
fn outside_of(user: u32, map: &str) -> u32 {
    let numbers: Vec<u32> = map.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [inside, outside, 1] if inside == user => outside,
        _ => user,
    }
}

#[cfg(test)]
mod tests {
    use super::outside_of;

    #[test]
    fn only_the_single_user_of_a_namespace_has_another_id_outside() {
        assert_eq!(outside_of(0, "         0       1000          1\n"), 1_000);
        assert_eq!(outside_of(1_000, "0 0 4294967295"), 1_000);
        assert_eq!(outside_of(0, "0 100000 65536"), 0);
        assert_eq!(outside_of(65_534, "0 1000 1"), 65_534, "a user that is not mapped");
        assert_eq!(outside_of(7, ""), 7);
    }
}
