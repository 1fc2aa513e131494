//! Chooses the user of the outer namespace that is root inside a lab.
//!
//! This is never the machine's root: otherwise a host could write the machine's sysctls. If root starts a lab, an unused user id takes its
//! place.

use std::fs;

/// The user and group outside of a lab that are root inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether the child may drop its supplementary groups. Only a privileged parent can allow that.
    pub(crate) may_drop_groups: bool,
}

/// Ids of users that probably do not exist, the best choice first. The last two are for containers, whose range of ids often ends at 65535.
const LIKELY_UNUSED: [u32; 4] = [2_077_000_000, 1_077_000_000, 60_377, 30_377];

impl Outer {
    /// Chooses the user for the root process of a lab that this process starts.
    pub(crate) fn for_lab_root() -> Self {
        let uid = nix::unistd::geteuid().as_raw();
        let gid = nix::unistd::getegid().as_raw();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let unused = if uid == 0 { unused(&map, &passwd) } else { None };
        match unused {
            Some(id) => Self { uid: id, gid: id, may_drop_groups: true },
            None => Self { uid, gid, may_drop_groups: false },
        }
    }

    /// The choice for a process that is started inside a lab, where only the user 0 exists.
    pub(crate) const INSIDE: Self = Self { uid: 0, gid: 0, may_drop_groups: false };
}

/// Returns the id of a user that this process may map and that is unused. `None` if none of the likely ids is mapped, as in a namespace with
/// a single user: the root of such a namespace is not the machine's root, and may be root inside a lab.
fn unused(uid_map: &str, passwd: &str) -> Option<u32> {
    let ranges: Vec<(u32, u32)> = uid_map
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(|w| w.parse::<u32>().ok());
            let first = words.next()??;
            let count = words.nth(1)??;
            Some((first, count))
        })
        .collect();
    let mapped = |id: u32| ranges.iter().any(|(first, count)| id >= *first && id - first < *count);
    let taken = |id: u32| passwd.lines().any(|l| l.split(':').nth(2).is_some_and(|u| u == id.to_string()));
    LIKELY_UNUSED.into_iter().find(|id| mapped(*id) && !taken(*id))
}

#[cfg(test)]
mod tests {
    use super::unused;

    #[test]
    fn an_unused_user_is_mapped_and_not_in_the_passwd_file() {
        assert_eq!(unused("0 0 4294967295", ""), Some(2_077_000_000));
        assert_eq!(unused("0 0 4294967295", "x:x:2077000000:1::/:/bin/false"), Some(1_077_000_000));
        assert_eq!(unused("0 100000 65536", ""), Some(60_377));
        assert_eq!(unused("0 1000 1", ""), None);
    }
}
