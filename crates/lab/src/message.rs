//! The messages between a lab's root and its users: one length-prefixed JSON message each way, over a Unix socket in a
//! directory that only the owner can enter.

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

/// Maximum length of a message, in bytes; a longer one means that another program uses the socket.
const LONGEST: usize = 16 << 20;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Return the lab's status.
    Status,
    /// Return a pidfd of the host's first process.
    Host(String),
    /// Return a pidfd of the process that holds the coordinator's network.
    Coordinator,
    /// Plug or unplug the host's cable.
    Link { host: String, up: bool },
    /// Cut the host's power, at once and silently; it stays off.
    Kill(String),
    /// Power the host on.
    PowerOn(String),
    /// The host is about to call `reboot(2)`: pull its cable first.
    GoingDown(String),
    /// Return a descriptor to read a service's output from.
    Log { host: String, service: String },
}

/// An answer. A descriptor comes with `Descriptor`.
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
    /// Its name.
    pub name: String,
    /// Its hosts, in the order of the specification.
    pub hosts: Vec<HostStatus>,
}

/// The status of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its role.
    pub roles: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is up.
    pub state: HostState,
    /// Whether its cable is plugged in.
    pub link: bool,
    /// Number of its boots.
    pub boots: u32,
    /// The boot id of its present boot, or of its last one.
    pub boot_id: String,
    /// Its services; empty while it is not up.
    pub services: Vec<ServiceStatus>,
}

/// The power state of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// It is booting.
    Booting,
    /// It is up.
    Up,
    /// It is restarting, and down until it boots.
    Restarting,
    /// It is off until it is powered on.
    Off,
}

/// The status of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its state, by its supervisor.
    pub state: ServiceState,
    /// Its pid in the host's namespace.
    pub pid: Option<i32>,
    /// Whether it is wanted up.
    pub wanted: bool,
    /// Whether it is ready, by its check; `None` without a check, or while it is down on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<ReadyState>,
}

/// Whether a service is ready, by its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyState {
    /// The check has not held yet.
    Waiting,
    /// The check has held once since the last start.
    Ready,
    /// The check has not held in time. It is still repeated.
    Late,
}

impl ReadyState {
    /// Returns the word by which a supervisor tells the state.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Late => "late",
        }
    }

    /// Returns the state that a supervisor has told.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Ready, Self::Late].into_iter().find(|state| state.word() == word)
    }
}

/// The state of a service, by its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It is up.
    Run,
    /// It is down.
    Down,
    /// Its finish script runs.
    Finish,
}

/// Encodes a message.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

/// Returns the length of a body from its first four bytes.
pub(crate) fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::Error::other(format!("a message of {length} bytes is not one of a lab's")));
    }
    Ok(length)
}

/// Sends the first bytes of a message, with a descriptor if there is one; returns how many were sent.
pub(crate) fn send_first(socket: RawFd, bytes: &[u8], descriptor: Option<RawFd>) -> io::Result<usize> {
    let descriptors: Vec<RawFd> = descriptor.into_iter().collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    Ok(sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}

/// Sends a request and waits for the answer.
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

fn receive_first(socket: &UnixStream, head: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(head)];
    let got = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the lab has ended"));
    }
    let mut descriptor = None;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(all) = message {
            for fd in all {
                // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok((got.bytes, descriptor))
}
