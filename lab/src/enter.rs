//! Moving a process to the coordinator's place in a lab.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use crate::{
    LabError,
    error::Doing as _,
    sys::{mounts, process},
};

/// Takes this process to the network of the one behind the descriptor, with the lab's names.
pub(crate) fn enter(coordinator: &OwnedFd, hosts: &Path) -> Result<(), LabError> {
    let threads = process::threads().doing("count this process's threads")?;
    if threads != 1 {
        return Err(LabError::Threads(threads));
    }
    // A privileged process needs no other user namespace, and keeps its rights to the machine's files without it.
    let only_network = ThreadNameSpaceType::NETWORK;
    if move_into_thread_name_spaces(coordinator.as_fd(), only_network).is_err() {
        move_into_thread_name_spaces(coordinator.as_fd(), only_network | ThreadNameSpaceType::USER)
            .doing("enter the lab's network")?;
        // Taken away by the kernel with the change of namespace; without it this process could not read its own /proc.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
    }
    // SAFETY: gives this process mounts of its own; no descriptor or memory is shared differently afterwards.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.doing("take mounts of one's own")?;
    mounts::make_private()?;
    mounts::bind(hosts, Path::new("/etc/hosts"))
}
