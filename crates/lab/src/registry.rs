//! The registry of this user's running labs, so that other processes of the user find them. Each lab has a directory, below a directory in
//! `$XDG_RUNTIME_DIR` or `/tmp` that only the user can enter. Directories of labs that have ended are removed. The registry never ends a
//! lab.

use std::{
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{LabError, error::Doing as _, sys::process};

/// The entry of a lab that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The lab's name.
    pub name: String,
    /// The pid of the lab's root process, in this machine's namespace.
    pub pid: i32,
    /// The start time of that process, in clock ticks after boot. It shows whether another process has the pid by now.
    start_ticks: u64,
}

impl Entry {
    /// Opens a pidfd of the lab's root process; `None` if that process has ended.
    pub(crate) fn open(&self) -> Result<Option<OwnedFd>, LabError> {
        process::open_if_same(self.pid, self.start_ticks).doing(format!("look at lab {}", self.name))
    }
}

/// Returns all labs of this user that are up.
///
/// # Errors
/// The directory is accessible to other users, or cannot be read.
pub fn list() -> Result<Vec<Entry>, LabError> {
    let base = base()?;
    let _lock = lock(&base)?;
    let mut labs = Vec::new();
    for dir in fs::read_dir(&base).doing(format!("list {}", base.display()))?.flatten() {
        if dir.path().is_dir() {
            match read_live(&dir.path())? {
                Some((entry, _)) => labs.push(entry),
                None => remove(&dir.path()),
            }
        }
    }
    labs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(labs)
}

/// A reservation of a name for a new lab, held until the pid of its root process is known. It locks the registry.
pub(crate) struct Claim {
    pub(crate) dir: PathBuf,
    _lock: File,
}

/// Reserves a name, and makes the lab's directory.
///
/// # Errors
/// A lab of this name is up, or a directory cannot be made.
pub(crate) fn claim(name: &str) -> Result<Claim, LabError> {
    let base = base()?;
    let lock = lock(&base)?;
    let dir = base.join(name);
    if dir.exists() {
        if read_live(&dir)?.is_some() {
            return Err(LabError::NameTaken(name.into()));
        }
        remove(&dir);
    }
    fs::DirBuilder::new().mode(0o700).create(&dir).doing(format!("make {}", dir.display()))?;
    Ok(Claim { dir, _lock: lock })
}

impl Claim {
    /// Writes the entry. From now on, other processes find the lab.
    pub(crate) fn register(&self, name: &str, pid: i32) -> std::io::Result<()> {
        let start_ticks = process::start_ticks(pid).ok_or(std::io::ErrorKind::NotFound)?;
        let entry = Entry { name: name.into(), pid, start_ticks };
        fs::write(self.dir.join("lab.json"), serde_json::to_vec(&entry)?)
    }
}

/// Finds a lab by its name. Returns its directory, and a pidfd of its root process.
pub(crate) fn find(name: &str) -> Result<(PathBuf, OwnedFd), LabError> {
    let base = base()?;
    let _lock = lock(&base)?;
    let dir = base.join(name);
    let plain = Path::new(name).file_name().is_some_and(|n| n == name);
    match read_live(&dir)? {
        Some((_, root)) if plain => Ok((dir, root)),
        _ => Err(LabError::NotFound(name.into())),
    }
}

/// Removes the entry of a lab that is gone.
pub(crate) fn remove(dir: &Path) {
    // If this fails, the next process that lists labs or claims the name removes it.
    let _ = fs::remove_dir_all(dir);
}

/// Reads the entry in a directory. `None` if there is none, or if its lab has ended.
fn read_live(dir: &Path) -> Result<Option<(Entry, OwnedFd)>, LabError> {
    let Ok(json) = fs::read(dir.join("lab.json")) else { return Ok(None) };
    let Ok(entry) = serde_json::from_slice::<Entry>(&json) else { return Ok(None) };
    Ok(entry.open()?.map(|root| (entry, root)))
}

/// Returns the directory of the registry, and makes it if necessary.
fn base() -> Result<PathBuf, LabError> {
    let uid = nix::unistd::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // Under `sudo`, the variable may still name the directory of the other user.
    let runtime = runtime.filter(|dir| fs::metadata(dir).is_ok_and(|m| m.uid() == uid));
    let base = match runtime {
        Some(dir) => dir.join("firedrill-labs"),
        None => PathBuf::from(format!("/tmp/firedrill-labs-{uid}")),
    };
    match fs::DirBuilder::new().mode(0o700).create(&base) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(LabError::os(format!("make {}", base.display()), e));
        }
        _ => {}
    }
    // In /tmp, another user may have made the directory first.
    let found = fs::symlink_metadata(&base).doing(format!("look at {}", base.display()))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(LabError::Spec(format!(
            "{} is not a directory that only you can enter; remove it, or set XDG_RUNTIME_DIR",
            base.display()
        )));
    }
    Ok(base)
}

/// Waits for the lock of the registry. Dropping the file releases it.
fn lock(base: &Path) -> Result<File, LabError> {
    let path = base.join(".lock");
    let file =
        File::options().append(true).create(true).open(&path).doing(format!("open {}", path.display()))?;
    file.lock().doing(format!("lock {}", path.display()))?;
    Ok(file)
}
