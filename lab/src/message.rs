//! What a lab's root and those who use the lab say to each other: one length-prefixed JSON message each way, over a
//! Unix socket in a directory that only the owner can enter.

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

/// No message is longer, in bytes; a longer one is a sign of another program on the socket.
const LONGEST: usize = 16 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// How everything is.
    Status,
    /// A pidfd of the host's first process.
    Host(String),
    /// A pidfd of the process that holds the coordinator's network.
    Coordinator,
    /// The host's cable: plugged in or not.
    Link { host: String, up: bool },
    /// Power loss, at once and silent; stays off.
    Kill(String),
    /// Power on.
    PowerOn(String),
    /// The host is about to call `reboot(2)`: pull its cable first.
    GoingDown(String),
    /// What a service has written: a descriptor to read from.
    Log { host: String, service: String },
}

/// What is answered. `Descriptor` comes with one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done,
    Status(LabStatus),
    Descriptor,
    Refused(String),
}

/// How a lab is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabStatus {
    /// Its name.
    pub name: String,
    /// Its hosts, in the order of the specification.
    pub hosts: Vec<HostStatus>,
}

/// How a host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// What it is for.
    pub roles: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it runs.
    pub state: HostState,
    /// Whether its cable is plugged in.
    pub link: bool,
    /// How often it has booted.
    pub boots: u32,
    /// The boot id of this boot, or of the last one.
    pub boot_id: String,
    /// Its services; empty while it is not up.
    pub services: Vec<ServiceStatus>,
}

/// Whether a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// It starts.
    Booting,
    /// It runs.
    Up,
    /// It restarts, and is dark until it boots.
    Restarting,
    /// Off, until it is powered on.
    Off,
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// What its supervisor says.
    pub state: ServiceState,
    /// Its process, as the host numbers them.
    pub pid: Option<i32>,
    /// Whether it is to be up.
    pub wanted: bool,
}

/// What a supervisor says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It runs.
    Run,
    /// It does not.
    Down,
    /// Its finish script runs.
    Finish,
}

/// Bytes of one message.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

/// How long the body will be, from its first four bytes.
pub(crate) fn body_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > LONGEST {
        return Err(io::Error::other(format!("a message of {length} bytes is not one of a lab's")));
    }
    Ok(length)
}

/// Sends the message's first bytes, with a descriptor where there is one; says how many went.
pub(crate) fn send_first(socket: RawFd, bytes: &[u8], descriptor: Option<RawFd>) -> io::Result<usize> {
    let descriptors: Vec<RawFd> = descriptor.into_iter().collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    Ok(sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}

/// Asks and waits for the answer.
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
