//! The netlink socket of one queue: made with the queue, receives many messages by one call, sends verdicts.
//!
//! Never waits for anything: the loop does that.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    ptr,
};

use firedrill_netlink::{Request, encode, messages};
use nix::sys::socket::{setsockopt, sockopt};

use super::message;

/// Maximum number of messages that one call receives.
pub(super) const MANY: usize = 64;
/// The size of a message with a packet of 64 KiB and its attributes, in bytes.
const LONGEST: usize = 66_560;
/// The size of the receive buffer, in bytes: for bursts, and while this thread is kept from running.
const ROOM: usize = 16 << 20;

/// A queue's socket. Closing it ends the queue.
#[derive(Debug)]
pub(super) struct Socket {
    raw: netlink_sys::Socket,
    /// The sequence number of the last request.
    seq: u32,
}

/// The buffers for datagrams.
pub(super) struct Inbox {
    /// Pieces of [`LONGEST`] bytes, each for one datagram.
    bytes: Vec<u8>,
    /// The lengths of the datagrams of the last call.
    lengths: Vec<usize>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; MANY * LONGEST], lengths: Vec::new() }
    }

    /// Returns the datagrams of the last call.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let whole = self.bytes.chunks(LONGEST).zip(&self.lengths);
        whole.map(|(bytes, length)| bytes.get(..*length).unwrap_or_default())
    }
}

impl Socket {
    /// Makes the queue. Packets that came before the kernel's answer was read are left in `early`.
    pub(super) fn bind(
        number: u16,
        most: u32,
        unsegmented: bool,
        early: &mut Vec<Vec<u8>>,
    ) -> io::Result<Self> {
        let mut raw = netlink_sys::Socket::new(libc::NETLINK_NETFILTER as isize)?;
        raw.bind_auto()?;
        raw.set_no_enobufs(true)?;
        if setsockopt(&raw.as_fd(), sockopt::RcvBufForce, &ROOM).is_err() {
            // A process without CAP_NET_ADMIN in the first user namespace gets no more than the machine's limit.
            setsockopt(&raw.as_fd(), sockopt::RcvBuf, &ROOM)?;
        }
        let mut socket = Self { raw, seq: 0 };
        socket.tell(&message::bind(number, most, unsegmented))?;
        let mut inbox = Inbox::new();
        // The kernel answers before a send returns, so an empty socket means that it did not answer.
        while socket.receive(&mut inbox)? > 0 {
            for datagram in inbox.datagrams() {
                for part in messages(datagram) {
                    match message::answer(part.kind, part.body) {
                        Some(0) if part.seq == socket.seq => return Ok(socket),
                        Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
                        None => early.push(datagram.to_vec()),
                    }
                }
            }
        }
        Err(io::Error::other("the kernel did not answer"))
    }

    /// Sends a request; its answer comes among the packets.
    pub(super) fn tell(&mut self, request: &Request) -> io::Result<()> {
        self.seq = self.seq.wrapping_add(1);
        self.send(&encode(request, self.seq))
    }

    /// Sends a datagram of encoded messages.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.raw.send(bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }

    /// Receives at most [`MANY`] waiting datagrams; returns their number.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        inbox.lengths.clear();
        // SAFETY: both are structures of integers and pointers, for which zero is a value.
        let (mut parts, mut headers): ([libc::iovec; MANY], [libc::mmsghdr; MANY]) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        let pieces = inbox.bytes.chunks_mut(LONGEST).zip(parts.iter_mut().zip(&mut headers));
        for (bytes, (part, header)) in pieces {
            part.iov_base = bytes.as_mut_ptr().cast();
            part.iov_len = bytes.len();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        let most = u32::try_from(MANY).unwrap_or(0);
        // SAFETY: the headers point to parts, and these to disjoint pieces of the inbox, all of which outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                self.raw.as_raw_fd(),
                headers.as_mut_ptr(),
                most,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        let lengths = headers.iter().take(count).map(|header| usize::try_from(header.msg_len).unwrap_or(0));
        inbox.lengths.extend(lengths);
        Ok(count)
    }

    /// Returns the descriptor, to wait for packets.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}
