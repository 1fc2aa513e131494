//! The hosts' disks: the files that each host has and writes below `/etc` and `/var`. They are in memory, in the mounts of the lab's root
//! process, so that they survive a host's reboots and disappear with the lab. Nothing is written to the machine's disk.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{HostSpec, LabError, LabSpec, error::Doing as _, net::GATEWAY4, spec::upper_path, sys::mounts};

/// The directory of the disks, in the mount namespace of the lab's root process.
const DISKS: &str = "/run/disks";

/// One host's disk.
#[derive(Clone, Debug)]
pub(super) struct Disk(PathBuf);

impl Disk {
    /// Makes a host's disk with its files.
    pub(super) fn make(lab: &LabSpec, host: &HostSpec) -> Result<Self, LabError> {
        let disk = Self(Path::new(DISKS).join(&host.name));
        mounts::directory(&disk.layer("etc").1, 0o755)?;
        for top in ["etc", "var"] {
            mounts::directory(&disk.directory(top), 0o755)?;
        }
        // Hosts need these directories, even if the machine has none of them.
        for name in ["lib", "log", "cache", "spool", "tmp"] {
            mounts::directory(&disk.directory("var").join(name), 0o755)?;
        }
        disk.put("/etc/hosts", &lab.hosts_file(), 0o644)?;
        disk.put("/etc/hostname", &format!("{}\n", host.name), 0o644)?;
        let resolver =
            format!("# short names are in /etc/hosts\nnameserver {GATEWAY4}\noptions timeout:1 attempts:1\n");
        disk.put("/etc/resolv.conf", &resolver, 0o644)?;
        disk.put("/etc/machine-id", &format!("{}\n", random_id()?.replace('-', "")), 0o444)?;
        for file in &host.files {
            disk.put(&file.path.to_string_lossy(), &file.content, file.mode)?;
        }
        Ok(disk)
    }

    /// Returns the directory on the disk that has the host's files of `top`, which is `etc` or `var`.
    pub(super) fn directory(&self, top: &str) -> PathBuf {
        self.0.join(top).join("upper")
    }

    /// Returns the upper and the work directory of the overlay over `top`.
    pub(super) fn layer(&self, top: &str) -> (PathBuf, PathBuf) {
        (self.directory(top), self.0.join(top).join("work"))
    }

    /// Opens the log of a service for reading.
    pub(super) fn log(&self, service: &str) -> Result<File, LabError> {
        let plain = Path::new(service).file_name() == Some(OsStr::new(service));
        let path = self.directory("var").join("log").join(format!("{service}.log"));
        let file = if plain { File::open(path) } else { Err(std::io::ErrorKind::NotFound.into()) };
        file.doing(format!("read the log of service {service}"))
    }

    /// Writes a file of the host. `path` is the path in the host, below `/etc` or `/var`.
    fn put(&self, path: &str, content: &str, mode: u32) -> Result<(), LabError> {
        let (top, inside) = upper_path(Path::new(path))
            .ok_or_else(|| LabError::Spec(format!("{path} is not below /etc or /var")))?;
        let target = self.directory(top).join(inside);
        if let Some(parent) = target.parent() {
            mounts::directory(parent, 0o755)?;
        }
        mounts::file(&target, content.as_bytes(), mode)?;
        // The mode is set again, because the umask of the process that started the lab has changed it.
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))
            .doing(format!("set the mode of {path}"))
    }
}

/// Returns a random version 4 UUID, in the form of the kernel's own ids.
pub(super) fn random_id() -> Result<String, LabError> {
    // The kernel makes a new id at each read of this file.
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").doing("make a random id")?;
    Ok(id.trim().to_owned())
}
