//! Moves this process into the network of a lab: into the coordinator's network namespace. Never changes the machine's own files.

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

/// Moves this process into the network namespace of the process of the descriptor `coordinator`, and mounts `hosts` as its `/etc/hosts`.
///
/// # Errors
/// This process has several threads, or the kernel refuses a step.
pub(crate) fn enter(coordinator: &OwnedFd, hosts: &Path) -> Result<(), LabError> {
    let threads = process::threads().doing("count this process's threads")?;
    if threads != 1 {
        return Err(LabError::Threads(threads));
    }
    // A privileged process can enter without the lab's user namespace, and so keeps its rights to the machine's files.
    let only_network = ThreadNameSpaceType::NETWORK;
    if move_into_thread_name_spaces(coordinator.as_fd(), only_network).is_err() {
        move_into_thread_name_spaces(coordinator.as_fd(), only_network | ThreadNameSpaceType::USER)
            .doing("enter the lab's network")?;
        // The kernel clears this flag when the user namespace changes. Without the flag, this process could not read its own /proc.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
    }
    // SAFETY: only gives this process its own mount namespace; the sharing of descriptors and memory does not change.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.doing("make a mount namespace")?;
    mounts::make_private()?;
    mounts::bind(hosts, Path::new("/etc/hosts"))
}
