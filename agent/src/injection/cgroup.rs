//! The service whose packets an injection is about, and the cgroups by which they are recognised.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use serde::Serialize;

use crate::host::cgroup;

/// A service and its cgroup, as they were found at `prepare`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// The service's name, for people.
    pub name: String,
    /// The path of the service's cgroup from the root of the hierarchy.
    pub path: String,
    /// The cgroup's folder in the file system.
    pub folder: PathBuf,
    /// The number (inode) that the cgroup had at `prepare`.
    pub number: u64,
}

/// The cgroup of a service, in the form that rules need. If the service is restarted, the new cgroup has the same path and
/// another number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// The path from the root of the hierarchy.
    pub path: String,
    /// The numbers (inodes) of all cgroups with this path that are known.
    pub numbers: BTreeSet<u64>,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of service {} (cgroup {})", self.name, self.path)
    }
}

impl Cgroup {
    /// Returns the number of levels below the root.
    #[must_use]
    pub fn level(&self) -> u32 {
        cgroup::level(&self.path)
    }
}

impl Service {
    /// Returns the cgroup with the number that it had at `prepare`, and the number that it has now.
    #[must_use]
    pub fn cgroup(&self) -> Cgroup {
        // An error is ignored here, because the followers of the service report it.
        let now = cgroup::id(&self.folder).ok().flatten();
        Cgroup { path: self.path.clone(), numbers: now.into_iter().chain([self.number]).collect() }
    }
}
