//! Makes a host's `/dev`: a few harmless devices, and the host's own terminals and shared memory. Never contains sockets of the machine.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nix::mount::MsFlags;

use crate::{LabError, error::Doing as _, sys::mounts};

/// The directory in which the new `/dev` is made before it is moved to its place: until then, the machine's devices are bound from the old
/// `/dev`.
const STAGE: &str = "/run/dev";

/// The devices of the machine that a host gets.
const NODES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"];
/// Symbolic links in `/dev`: name and target.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the host's `/dev` and mounts it.
pub(super) fn mount() -> Result<(), LabError> {
    let stage = PathBuf::from(STAGE);
    mounts::directory(&stage, 0o755)?;
    mounts::virtual_fs("tmpfs", &stage, MsFlags::MS_NOSUID, "mode=755")?;
    for dir in ["shm", "pts", "net"] {
        mounts::directory(&stage.join(dir), 0o755)?;
    }
    for node in NODES {
        let from = Path::new("/dev").join(node);
        // A missing device is left out: containers have no tun.
        if from.exists() {
            mounts::file(&stage.join(node), b"", 0o644)?;
            mounts::bind(&from, &stage.join(node))?;
        }
    }
    for (name, target) in LINKS {
        symlink(target, stage.join(name)).doing(format!("link /dev/{name}"))?;
    }
    mounts::move_to(&stage, Path::new("/dev"))?;
    std::fs::remove_dir(&stage).doing("tidy up after making /dev")?;
    mounts::tmpfs(Path::new("/dev/shm"), "1777")?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mounts::virtual_fs("devpts", Path::new("/dev/pts"), quiet, "newinstance,ptmxmode=0666,mode=0620")
}
