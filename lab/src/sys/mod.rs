//! What a lab asks of the kernel, one kind a file. Only code below here is unsafe.

pub(crate) mod copy;
pub(crate) mod ids;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod spawn;
