//! Control groups of version 2, by which the kernel's rules identify the service that a packet belongs to. Only reads them; never
//! changes a group.
//!
//! A path has the form of `/proc/PID/cgroup`: it begins at the root of the hierarchy, which is `/`.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The inode of the first cgroup namespace, which is the same in every kernel.
const FIRST_NAMESPACE: u64 = 0xefff_fffb;

/// The place where the hierarchy of version 2 is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    mount: PathBuf,
    /// The cgroup that is mounted there. On most hosts it is the root of the hierarchy.
    root: PathBuf,
}

impl Hierarchy {
    /// Finds the mount; `None` if the hierarchy is not mounted.
    ///
    /// # Errors
    /// The mounts could not be read.
    pub fn here() -> io::Result<Option<Self>> {
        Ok(Self::among(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// Finds the mount in the text of `/proc/self/mountinfo`. Of several mounts, it returns the one nearest to the hierarchy's root.
    fn among(mounts: &str) -> Option<Self> {
        let hierarchies = mounts.lines().filter_map(|line| {
            let (about, kind) = line.split_once(" - ")?;
            let mut words = about.split(' ').skip(3);
            let (root, mount) = (words.next()?, words.next()?);
            kind.starts_with("cgroup2 ").then(|| Self { mount: mount.into(), root: root.into() })
        });
        hierarchies.min_by_key(|hierarchy| hierarchy.root.components().count())
    }

    /// Returns the folder of a cgroup; `None` if the cgroup is outside of the mount.
    #[must_use]
    pub fn folder(&self, path: &str) -> Option<PathBuf> {
        Some(self.mount.join(Path::new(path).strip_prefix(&self.root).ok()?))
    }

    /// Returns the pids of the processes in a cgroup and in all cgroups below it.
    ///
    /// # Errors
    /// A cgroup could not be read.
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

/// Whether the error means that the cgroup does not exist any more.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// Returns the kernel's id of the cgroup whose folder this is; `None` if there is no such folder.
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

/// Returns the ids of the cgroup whose folder this is, and of all cgroups below it. Empty if there is no such folder.
///
/// # Errors
/// A folder could not be read.
pub fn ids(folder: &Path) -> io::Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    walk(folder.to_owned(), |folder| {
        ids.extend(id(folder)?);
        Ok(())
    })?;
    Ok(ids)
}

/// Calls `visit` with a folder and all folders below it. Folders that disappear meanwhile are left out.
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

/// Returns the path of a process's cgroup; `None` if the process has ended, or if its cgroup is being removed.
///
/// # Errors
/// The file in `/proc` could not be read.
pub fn of(pid: i32) -> io::Result<Option<String>> {
    match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
        Ok(text) => Ok(path_in(&text)),
        Err(error) if gone(&error) || error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the path of the cgroup of version 2 in the text of `/proc/PID/cgroup`.
fn path_in(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.ends_with(" (deleted)")).then(|| path.to_owned())
}

/// Returns the depth of a cgroup below the root: 2 for `/system.slice/checkout.service`.
#[must_use]
pub fn level(path: &str) -> u32 {
    u32::try_from(path.split('/').filter(|part| !part.is_empty()).count()).unwrap_or(u32::MAX)
}

/// Returns the deepest cgroup that contains all of these or is one of them. `None` if there are no paths.
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

/// Whether the root of this process's cgroup namespace is not the kernel's root. In such a namespace, kernels count levels in different
/// ways.
///
/// # Errors
/// The namespace could not be read.
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
    fn the_mount_is_found_on_hosts_with_both_versions_and_only_for_version_2() {
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
            path_in("3:cpu:/x\n0::/system.slice/a.service\n").as_deref(),
            Some("/system.slice/a.service")
        );
        assert_eq!(path_in("0::/a (deleted)\n"), None);
        assert_eq!(path_in("3:cpu:/x\n"), None);
        assert_eq!((level("/"), level("/a"), level("/system.slice/a.service")), (0, 1, 2));
        let common = |paths: &[&str]| common(&paths.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(common(&["/a/b", "/a/b/c", "/a/bc"]).as_deref(), Some("/a"));
        assert_eq!(common(&["/a/b"]).as_deref(), Some("/a/b"));
        assert_eq!(common(&["/a", "/b"]).as_deref(), Some("/"));
        assert_eq!(common(&[]), None);
    }
}
