//! Moves a process into the coordinator's network namespace.

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

/// Moves this process into the network namespace of the process behind the descriptor, with the lab's names.
pub(crate) fn enter(coordinator: &OwnedFd, hosts: &Path) -> Result<(), LabError> {
    let threads = process::threads().doing("count this process's threads")?;
    if threads != 1 {
        return Err(LabError::Threads(threads));
    }
    // A privileged process needs no other user namespace, and without one keeps its rights to the machine's files.
    let only_network = ThreadNameSpaceType::NETWORK;
    if move_into_thread_name_spaces(coordinator.as_fd(), only_network).is_err() {
        move_into_thread_name_spaces(coordinator.as_fd(), only_network | ThreadNameSpaceType::USER)
            .doing("enter the lab's network")?;
        // The kernel clears the flag with the change of namespace; without it this process could not read its own
        // /proc.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
    }
    // SAFETY: gives this process mounts of its own; the sharing of descriptors and memory does not change.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.doing("take mounts of one's own")?;
    mounts::make_private()?;
    mounts::bind(hosts, Path::new("/etc/hosts"))
}
