//! A host's `/dev`: a few harmless devices, its own terminals and shared memory, and none of the machine's sockets.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nix::mount::MsFlags;

use crate::{LabError, error::Doing as _, sys::mounts};

/// Made elsewhere first, because the machine's devices are bound from `/dev` itself.
const STAGE: &str = "/run/dev";

const NODES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub(super) fn mount() -> Result<(), LabError> {
    let stage = PathBuf::from(STAGE);
    mounts::directory(&stage, 0o755)?;
    mounts::virtual_fs("tmpfs", &stage, MsFlags::MS_NOSUID, "mode=755")?;
    for dir in ["shm", "pts", "net"] {
        mounts::directory(&stage.join(dir), 0o755)?;
    }
    for node in NODES {
        let from = Path::new("/dev").join(node);
        // Containers have no tun. A machine without /dev/null would fail anyway.
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
