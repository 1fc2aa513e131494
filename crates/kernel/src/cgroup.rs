//! Control groups of version 2, by which the kernel's rules identify a packet's service. Reads only.
//!
//! A path is as in `/proc/PID/cgroup`: from the root of the hierarchy, which is `/`.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The inode of the first cgroup namespace, which is the same in every kernel.
const FIRST_NAMESPACE: u64 = 0xefff_fffb;

/// The mounted hierarchy of version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    mount: PathBuf,
    /// The cgroup that is mounted there; mostly the root.
    root: PathBuf,
}

impl Hierarchy {
    /// Finds the mount; `None` if it is not mounted.
    ///
    /// # Errors
    /// The mounts could not be read.
    pub fn here() -> io::Result<Option<Self>> {
        Ok(Self::among(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// Finds the mount in the text of `/proc/self/mountinfo`; of several, the one that shows most.
    fn among(mounts: &str) -> Option<Self> {
        let all = mounts.lines().filter_map(|line| {
            let (about, kind) = line.split_once(" - ")?;
            let mut words = about.split(' ').skip(3);
            let (root, mount) = (words.next()?, words.next()?);
            kind.starts_with("cgroup2 ").then(|| Self { mount: mount.into(), root: root.into() })
        });
        all.min_by_key(|one| one.root.components().count())
    }

    /// Returns the folder of a cgroup; `None` if the mount does not show it.
    #[must_use]
    pub fn folder(&self, path: &str) -> Option<PathBuf> {
        Some(self.mount.join(Path::new(path).strip_prefix(&self.root).ok()?))
    }

    /// Returns the processes in a cgroup and in those below it.
    ///
    /// # Errors
    /// One of them could not be read.
    pub fn members(&self, path: &str) -> io::Result<BTreeSet<i32>> {
        let mut members = BTreeSet::new();
        let Some(folder) = self.folder(path) else { return Ok(members) };
        walk(folder, |folder| {
            let list = fs::read_to_string(folder.join("cgroup.procs"))?;
            members.extend(list.lines().filter_map(|line| line.parse::<i32>().ok()));
            Ok(())
        })?;
        Ok(members)
    }
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// Returns the kernel's number of the cgroup that has a folder now; `None` if there is no such folder.
///
/// # Errors
/// The folder could not be read.
pub fn id(folder: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(folder) {
        Ok(about) => Ok(Some(about.ino())),
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the numbers of the cgroup that has a folder now and of those below it; none if there is no such folder.
///
/// # Errors
/// One of them could not be read.
pub fn ids(folder: &Path) -> io::Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    walk(folder.to_owned(), |folder| {
        ids.extend(id(folder)?);
        Ok(())
    })?;
    Ok(ids)
}

/// Visits a folder and those below it; folders that disappear meanwhile are left out.
fn walk(top: PathBuf, mut visit: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut folders = vec![top];
    while let Some(folder) = folders.pop() {
        let mut read = || -> io::Result<()> {
            visit(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
            }
            Ok(())
        };
        match read() {
            Err(error) if gone(&error) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Returns the cgroup of a process; `None` if it has ended, or its cgroup is being removed.
///
/// # Errors
/// It could not be read.
pub fn of(pid: i32) -> io::Result<Option<String>> {
    match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
        Ok(text) => Ok(among(&text)),
        Err(error) if gone(&error) || error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

fn among(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.ends_with(" (deleted)")).then(|| path.to_owned())
}

/// Returns the depth of a cgroup below the root: `/system.slice/checkout.service` is 2.
#[must_use]
pub fn level(path: &str) -> u32 {
    u32::try_from(path.split('/').filter(|part| !part.is_empty()).count()).unwrap_or(u32::MAX)
}

/// Returns the deepest cgroup that contains all of these, directly or indirectly.
#[must_use]
pub fn common(paths: &BTreeSet<String>) -> Option<String> {
    let mut paths = paths.iter().map(Path::new);
    let mut common = paths.next()?;
    for path in paths {
        while !path.starts_with(common) {
            common = common.parent()?;
        }
    }
    common.to_str().map(str::to_owned)
}

/// Whether this process is in a cgroup namespace whose root is not the kernel's. Kernels differ in how they count
/// levels then.
///
/// # Errors
/// It could not be read.
pub fn is_namespaced() -> io::Result<bool> {
    match fs::metadata("/proc/self/ns/cgroup") {
        Ok(about) => Ok(about.ino() != FIRST_NAMESPACE),
        // The kernel has no such namespaces.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_on_hosts_of_one_hierarchy_and_of_both() {
        let both = "30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
                    32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        let found = Hierarchy::among(both).expect("one of version 2");
        assert_eq!(found.folder("/a/b").expect("below"), Path::new("/sys/fs/cgroup/unified/a/b"));
        assert_eq!(found.folder("/").expect("itself"), Path::new("/sys/fs/cgroup/unified"));
        let part = "31 30 0:27 /machine /mnt rw - cgroup2 cgroup2 rw";
        let part = Hierarchy::among(part).expect("a part");
        assert_eq!(part.folder("/machine/x").expect("shown"), Path::new("/mnt/x"));
        assert_eq!(part.folder("/system.slice"), None);
        assert_eq!(Hierarchy::among("32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
    }

    #[test]
    fn paths_are_read_counted_and_joined() {
        assert_eq!(
            among("3:cpu:/x\n0::/system.slice/a.service\n").as_deref(),
            Some("/system.slice/a.service")
        );
        assert_eq!(among("0::/a (deleted)\n"), None);
        assert_eq!(among("3:cpu:/x\n"), None);
        assert_eq!((level("/"), level("/a"), level("/system.slice/a.service")), (0, 1, 2));
        let common = |paths: &[&str]| common(&paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(common(&["/a/b", "/a/b/c", "/a/bc"]).as_deref(), Some("/a"));
        assert_eq!(common(&["/a/b"]).as_deref(), Some("/a/b"));
        assert_eq!(common(&["/a", "/b"]).as_deref(), Some("/"));
        assert_eq!(common(&[]), None);
    }
}
