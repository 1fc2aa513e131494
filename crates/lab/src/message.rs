//! The messages between a lab's root process and the programs that use the lab. A request and its answer are each a length-prefixed JSON
//! message, sent over a Unix socket in a directory that only the lab's owner can enter. This module never acts on a request.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::IpAddr,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Maximum length of a message, in bytes. A longer message cannot come from a lab.
const LONGEST: usize = 16 << 20;

/// A request to the lab's root process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Return the lab's status.
    Status,
    /// Return a pidfd of the host's first process.
    Host(String),
    /// Return a pidfd of the process that keeps the coordinator's network namespace open.
    Coordinator,
    /// Plug or unplug the host's cable.
    Link { host: String, up: bool },
    /// Cut the host's power, so that its peers hear nothing more; the host stays off.
    Kill(String),
    /// Power the host on.
    PowerOn(String),
    /// The host is about to call `reboot(2)`: pull its cable first.
    GoingDown(String),
    /// Return a descriptor to read a service's output from.
    Log { host: String, service: String },
}

/// An answer. A file descriptor is sent along with `Descriptor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    Status(LabStatus),
    Descriptor,
    Refused(String),
}

/// The status of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabStatus {
    /// The lab's name.
    pub name: String,
    /// The lab's hosts, in the order of the specification.
    pub hosts: Vec<HostStatus>,
}

/// The status of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The host's name.
    pub name: String,
    /// The host's region.
    pub region: String,
    /// The host's roles.
    pub roles: Vec<String>,
    /// The host's addresses.
    pub addresses: Vec<IpAddr>,
    /// The host's power state.
    pub state: HostState,
    /// Whether the host's cable is plugged in.
    pub link: bool,
    /// Number of the host's boots since the lab was started.
    pub boots: u32,
    /// The boot id of the current boot, or of the last one if the host is down.
    pub boot_id: String,
    /// The host's services; empty while the host is not up.
    pub services: Vec<ServiceStatus>,
}

/// The power state of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// The host is booting.
    Booting,
    /// The host is up.
    Up,
    /// The host has called for a restart, and is down until it boots.
    Restarting,
    /// The host is off until it is powered on.
    Off,
}

/// The status of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service's name.
    pub name: String,
    /// The service's state, according to its supervisor.
    pub state: ServiceState,
    /// The service's pid in the host's namespace; `None` while it is down.
    pub pid: Option<i32>,
    /// Whether the supervisor is to keep the service up.
    pub wanted: bool,
    /// Whether the service is ready, according to its check; `None` without a check, or while the service is down on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyState>,
}

/// Whether a service is ready, according to its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyState {
    /// The check has not succeeded yet.
    Waiting,
    /// The check has succeeded once since the last start.
    Ready,
    /// The check has not succeeded in time. It is still repeated.
    Late,
}

impl ReadyState {
    /// Returns the word for the state in the supervisor's file.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Late => "late",
        }
    }

    /// Returns the state for a word in the supervisor's file; `None` for an unknown word.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Ready, Self::Late].into_iter().find(|state| state.word() == word)
    }
}

/// The state of a service, according to its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// The service is up.
    Run,
    /// The service is down.
    Down,
    /// The service's finish script is running.
    Finish,
}

/// Encodes a message, with its length in front.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

/// Returns the length of a message's body from the four bytes in front of it.
///
/// # Errors
/// The length is above the maximum.
pub(crate) fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::Error::other(format!("a message of {length} bytes is not one of a lab's")));
    }
    Ok(length)
}

/// Sends the first part of a message, with a descriptor if there is one. Returns the number of bytes that were sent.
pub(crate) fn send_first(socket: RawFd, bytes: &[u8], descriptor: Option<RawFd>) -> io::Result<usize> {
    let descriptors: Vec<RawFd> = descriptor.into_iter().collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    Ok(sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}

/// Sends a request and waits for the answer. Also returns the descriptor that came with it, if any.
pub(crate) fn ask<T: DeserializeOwned>(
    mut socket: &UnixStream,
    request: &impl Serialize,
) -> io::Result<(T, Option<OwnedFd>)> {
    socket.write_all(&encode(request)?)?;
    let mut head = [0; 4];
    let (got, descriptor) = receive_first(socket, &mut head)?;
    socket.read_exact(&mut head[got..])?;
    let mut body = vec![0; body_length(head)?];
    socket.read_exact(&mut body)?;
    Ok((serde_json::from_slice(&body)?, descriptor))
}

/// Receives the first part of an answer, and the descriptor that comes with it. Returns the number of bytes in `head`.
fn receive_first(socket: &UnixStream, head: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(head)];
    let got = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the lab has ended"));
    }
    let mut descriptor = None;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = message {
            for fd in descriptors {
                // SAFETY: the kernel has just made this descriptor for this process; no other code knows its number.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok((got.bytes, descriptor))
}
