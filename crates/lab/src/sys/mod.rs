//! The lab's system calls, one topic per file. Most unsafe code of this crate is here; this module makes no decisions about a lab.

pub(crate) mod copy;
pub(crate) mod ids;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod spawn;
