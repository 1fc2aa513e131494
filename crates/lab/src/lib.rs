//! A fleet of hosts on one machine, for rehearsals and tests. Each host is a set of Linux namespaces with its own
//! network, processes, files, boot id and service supervisor, on a router with one bridge per region.
//!
//! A lab works without root if the kernel lets an unprivileged user make namespaces. As root, it works without giving the hosts any power
//! over the machine. A lab never touches the machine's own network, files or services, and nothing of it is left when it ends, however it
//! ends.
//!
//! The binary that uses this crate also runs inside the lab. Therefore its `main` must call [`dispatch()`] first, before any thread
//! exists.

mod advice;
mod argv;
mod coordinator_ns;
pub mod demo;
mod dispatch;
mod enter;
mod error;
mod exec;
mod host;
mod lab;
mod message;
mod net;
mod preflight;
mod ready;
mod registry;
mod report;
mod root;
pub mod shop;
mod spec;
mod sys;

pub use argv::{HIDDEN, SELF_EXE, SERVICE_PATH, agent_argv};
pub use dispatch::dispatch;
pub use error::LabError;
pub use host::check::has_listener;
pub use lab::{Lab, Options};
pub use message::{HostState, HostStatus, LabStatus, ReadyState, ServiceState, ServiceStatus};
pub use preflight::preflight;
pub use ready::Late;
pub use registry::{Entry, list};
pub use spec::{
    AgentSpec, FileSpec, HostSpec, LabSpec, ReadyCheck, ReadySpec, ServiceSpec, StopSpec, UserSpec,
};
