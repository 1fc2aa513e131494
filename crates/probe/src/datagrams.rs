//! A socket of datagrams to one address, which also hears of the network's errors: ports that are closed, hosts that are not there.
//!
//! Without being asked to, Linux tells a socket of few of the ICMP errors that its datagrams meet; the rest would be time-outs.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, connect, recv, send, socket};
use tokio::io::{Interest, unix::AsyncFd};

/// The events that a socket waits for. Errors are asked for, too, because an error alone does not make a socket readable.
const HEARS: Interest = Interest::READABLE.add(Interest::ERROR);

/// A socket of datagrams to one address.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: AsyncFd<OwnedFd>,
}

/// Opens a socket, connected to nothing.
pub(crate) fn open(to: SocketAddr, kind: SocketType, protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, kind, protocol)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

impl Datagrams {
    /// A UDP socket with a port of its own.
    pub(crate) fn udp(to: SocketAddr) -> io::Result<Self> {
        Self::new(open(to, SocketType::DGRAM, None)?, to)
    }

    /// Connects a socket to an address. From then on it sends to that address and receives from it.
    pub(crate) fn new(socket: OwnedFd, to: SocketAddr) -> io::Result<Self> {
        hear_errors(&socket, to)?;
        connect(&socket, &to)?;
        // SAFETY: an owned descriptor is the same one until it is dropped, and is dropped after it was deregistered.
        let socket = unsafe { AsyncFd::register_with_interest(socket, HEARS) }?;
        Ok(Self { socket })
    }

    /// Sends one datagram. A queue that is full is an error of this machine.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(self.socket.get_ref(), bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Receives one datagram. Bytes that do not fit are cut off. Returns the length of what was received.
    pub(crate) async fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.ready(HEARS).await?;
            match recv(self.socket.get_ref().as_fd(), &mut *room, RecvFlags::empty()) {
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
                Ok((_, length)) => return Ok(length.min(room.len())),
            }
        }
    }
}

/// Other systems tell a connected socket of ICMP errors by themselves.
#[cfg(not(target_os = "linux"))]
fn hear_errors(_socket: &OwnedFd, _to: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Has the kernel tell the socket of all ICMP errors.
#[cfg(target_os = "linux")]
fn hear_errors(socket: &OwnedFd, to: SocketAddr) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let (level, option) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    #[expect(clippy::cast_possible_truncation, reason = "the size of an integer")]
    let size = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the pointer is that of an integer of that size, which lives until the call returns.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_says_so() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            // A port that was free a moment ago.
            let free = std::net::UdpSocket::bind(host).unwrap().local_addr().unwrap();
            let socket = Datagrams::udp(free).unwrap();
            socket.send(b"?").unwrap();
            let mut room = [0; 8];
            let told = tokio::time::timeout(std::time::Duration::from_secs(10), socket.receive(&mut room));
            let error = told.await.expect("the kernel tells it at once").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{host}");
        }
    }
}
