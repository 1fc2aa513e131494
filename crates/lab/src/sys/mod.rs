//! The lab's system calls, one topic per file. Only code below here is unsafe.

pub(crate) mod copy;
pub(crate) mod ids;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod spawn;
