//! Lets probes read only files of listed directories and listed environment variables of this host. Never keeps what was read.
//!
//! Paths are compared after symbolic links are resolved. Then the file is opened again from the listed directory, one
//! path component at a time and without following links, so that nobody can replace it in between.

use std::{
    fs::{File, Metadata},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
};

use firedrill_probe::{Anything, Reads, Use, read_whole};
use firedrill_wire::api::{Finding, Grade};
use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, open, openat},
    sys::stat::{Mode, SFlag, fstatat},
    unistd::geteuid,
};
use serde::Deserialize;

/// The files and variables that probes may read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// Directories of files that probes may read and send. They must belong to root, and no other user may be able to write to them.
    pub directories: Vec<PathBuf>,
    /// Directories of certificates of authorities that probes may trust. Such certificates may also be in `directories`.
    pub authorities: Vec<PathBuf>,
    /// Environment variables of the agent that probes may send.
    pub environment: Vec<String>,
}

impl Default for Secrets {
    fn default() -> Self {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect();
        Self {
            directories: paths(&["/etc/firedrill/secrets"]),
            authorities: paths(&[
                "/etc/ssl/certs",
                "/etc/pki/tls/certs",
                "/etc/pki/ca-trust",
                "/usr/share/ca-certificates",
                "/usr/local/share/ca-certificates",
            ]),
            environment: Vec::new(),
        }
    }
}

impl Secrets {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the invalid value and its valid range.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (key, list) in [("directories", &self.directories), ("authorities", &self.authorities)] {
            if let Some(path) = list.iter().find(|path| !is_plain(path) || path.parent().is_none()) {
                return Err(format!(
                    "secrets.{key}: {} is not the whole path of a directory; write it from / on, without `.` and `..`",
                    path.display()
                ));
            }
        }
        match self.environment.iter().find(|name| name.is_empty() || name.contains(['=', '\0', '*'])) {
            Some(name) => Err(format!(
                "secrets.environment: `{name}` is not the name of a variable; list whole names, for example \"DB_PASSWORD\""
            )),
            None => Ok(()),
        }
    }

    /// Returns a finding for each directory into which a user other than root could put files, for `doctor`. `file` is the configuration.
    pub(crate) fn findings(&self, file: &Path) -> Vec<Finding> {
        let findings = self.directories.iter().filter_map(|dir| {
            let why =
                open_dir(dir).ok().map(|opened| safe(&opened, "the directory")).and_then(Result::err)?;
            Some(Finding {
                what: "secrets".to_owned(),
                grade: Grade::Bad,
                detail: format!(
                    "{}, as {} lists it: {why}; nothing is read of it",
                    dir.display(),
                    file.display()
                ),
                hint: format!("chown root {0} && chmod go-w {0}", dir.display()),
            })
        });
        findings.collect()
    }

    /// Returns the directories in which a file for that use may be.
    fn listed(&self, what_for: Use) -> impl Iterator<Item = &PathBuf> {
        let authorities = match what_for {
            Use::Secret => &[][..],
            Use::Authorities => &self.authorities,
        };
        self.directories.iter().chain(authorities)
    }

    /// Returns the reason for refusing a file that is in no listed directory.
    fn not_listed(&self, what_for: Use) -> String {
        let list: Vec<String> = self.listed(what_for).map(|dir| dir.display().to_string()).collect();
        let key = match what_for {
            Use::Secret => "secrets.directories",
            Use::Authorities => "secrets.directories and secrets.authorities",
        };
        match list.len() {
            0 => format!("this host lets probes read no file ({key} of its agent.toml lists no directory)"),
            _ => format!(
                "this host lets probes read files in {} only ({key} of its agent.toml)",
                list.join(", ")
            ),
        }
    }
}

impl Reads for Secrets {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        let path = Path::new(path);
        // This comes before any lookup: the answer must not reveal whether a file exists that may not be read.
        if !is_plain(path) || !self.listed(what_for).any(|dir| path.starts_with(dir)) {
            return Err(self.not_listed(what_for));
        }
        let real = path.canonicalize().map_err(|why| why.to_string())?;
        let real_dir =
            |dir: &&PathBuf| dir.canonicalize().is_ok_and(|dir| real.starts_with(&dir) && real != dir);
        let Some(dir) = self.listed(what_for).find(real_dir) else {
            return Err(format!("it leads out of what may be read: {}", self.not_listed(what_for)));
        };
        let mut file = open_below(dir, &real, what_for)?;
        read_whole(&mut file, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        if !self.environment.iter().any(|listed| listed == name) {
            let listed = match self.environment.len() {
                0 => "none".to_owned(),
                _ => self.environment.join(", "),
            };
            return Err(format!(
                "this host lets probes read these variables only: {listed} (secrets.environment of its agent.toml)"
            ));
        }
        Anything.variable(name)
    }
}

/// Reads only what each of several configurations allows. Used while a new configuration replaces an old one.
pub(crate) struct AllOf<'a>(pub(crate) Vec<&'a Secrets>);

impl Reads for AllOf<'_> {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        let none = || Err(Secrets::default().not_listed(what_for));
        self.0.iter().map(|secrets| secrets.file(path, what_for)).reduce(Result::and).unwrap_or_else(none)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        let none = || Err("this host lets probes read no variable".to_owned());
        self.0.iter().map(|secrets| secrets.variable(name)).reduce(Result::and).unwrap_or_else(none)
    }
}

/// Whether a path is absolute and literal: no `.`, no `..`, no empty part, no NUL.
pub(crate) fn is_plain(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    path.is_absolute()
        && path.components().all(plain)
        && !text.contains(&0)
        // `components` skips `.` in the middle.
        && !text.split(|byte| *byte == b'/').any(|part| part == b".")
        // The text after a directory with two slashes would be an absolute path by itself.
        && !text.windows(2).any(|pair| pair == b"//")
}

/// The flags for opening a directory on the way to a file.
const DIR: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn open_dir(path: &Path) -> nix::Result<OwnedFd> {
    open(path, DIR, Mode::empty())
}

/// Opens a secret or a file of authorities. `real` is its resolved path, which is below `dir`.
fn open_below(dir: &Path, real: &Path, what_for: Use) -> Result<File, String> {
    // Authorities are not sent, so their directories may be writable by others.
    let check = |at: &OwnedFd, name: &Path| match what_for {
        Use::Secret => safe(at, &format!("the directory {}", name.display())),
        Use::Authorities => Ok(()),
    };
    let (file, about) = walk(dir, real, check)?;
    if what_for == Use::Secret && about.nlink() != 1 {
        return Err(
            "the file has other names (hard links), so it may not be meant to be read; copy it".to_owned()
        );
    }
    if about.len() > what_for.most() {
        let most = what_for.most();
        return Err(format!("it has {} bytes; at most {most} are read", about.len()));
    }
    Ok(file)
}

/// Opens a regular file, one path component at a time and without following links. `real` is its resolved path, which is below `dir`.
/// `check` is called for `dir` and then for each directory on the way, with the open directory and its name.
pub(crate) fn walk(
    dir: &Path,
    real: &Path,
    mut check: impl FnMut(&OwnedFd, &Path) -> Result<(), String>,
) -> Result<(File, Metadata), String> {
    let gone = |why: Errno| match why {
        Errno::ELOOP | Errno::ENOTDIR => "it became a symbolic link while it was opened".to_owned(),
        why => io::Error::from(why).to_string(),
    };
    let dir = dir.canonicalize().map_err(|why| why.to_string())?;
    let below = real.strip_prefix(&dir).map_err(|why| why.to_string())?;
    let mut at = open_dir(&dir).map_err(gone)?;
    check(&at, &dir)?;
    let mut parts: Vec<&std::ffi::OsStr> = below.iter().collect();
    let name = parts.pop().ok_or("it is a directory")?;
    for part in parts {
        at = openat(&at, part, DIR | OFlag::O_NOFOLLOW, Mode::empty()).map_err(gone)?;
        check(&at, Path::new(part))?;
    }
    let require_regular = |is_regular: bool| {
        if is_regular { Ok(()) } else { Err("it is not a regular file".to_owned()) }
    };
    // Checked before it is opened: opening another kind of file may already have an effect, such as on the writer of a FIFO.
    let about = fstatat(&at, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(gone)?;
    match SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFLNK => return Err(gone(Errno::ELOOP)),
        kind => require_regular(kind == SFlag::S_IFREG)?,
    }
    // The file may have been replaced since. Opening must not wait for a FIFO, and must not make a terminal the agent's.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(openat(&at, name, flags, Mode::empty()).map_err(gone)?);
    let about = file.metadata().map_err(|why| why.to_string())?;
    require_regular(about.is_file())?;
    Ok((file, about))
}

/// Checks that only root and the agent's user can put files into a directory. The error says why not; `what` names the directory in it.
fn safe(dir: &OwnedFd, what: &str) -> Result<(), String> {
    let about = nix::sys::stat::fstat(dir).map_err(|why| io::Error::from(why).to_string())?;
    if about.st_uid != 0 && about.st_uid != geteuid().as_raw() {
        return Err(format!("{what} belongs to user {} and not to root", about.st_uid));
    }
    if about.st_mode & 0o022 != 0 {
        return Err(format!(
            "{what} can be written to by others than its owner (mode {:o})",
            about.st_mode & 0o7777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
