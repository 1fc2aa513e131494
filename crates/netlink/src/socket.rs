//! A netlink socket: requests, dumps and batches. Each is answered or fails with an error that names the attempt.

use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use libc::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::Socket as Raw;
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use crate::{Message, NetlinkError, Reason, Request, encode, flag, messages};

/// Maximum number of further tries of a dump that the kernel reports as inconsistent.
const DUMP_TRIES: u32 = 50;
/// Maximum time for these tries.
const DUMP_TIME: Duration = Duration::from_secs(10);
/// Maximum time to wait for an answer, in seconds. The kernel answers before a send returns, so this only keeps a
/// receive from waiting for ever.
const ANSWER_TIME: i64 = 10;
/// For a receive: no flags, so it waits.
const WAIT: libc::c_int = 0;
/// Maximum length of the kernel's datagrams, in bytes: it splits dumps into pieces of at most 32 KiB.
const RECEIVE: usize = 128 << 10;

/// The position of a message in a batch, and the kernel's answer to it.
pub type Answer = (usize, Result<(), NetlinkError>);

/// A netlink socket, connected to the kernel.
#[derive(Debug)]
pub struct Socket {
    raw: Raw,
    /// The sequence number of the last request.
    seq: u32,
    /// Room for one datagram of the kernel.
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket for a netlink protocol such as `libc::NETLINK_ROUTE`.
    ///
    /// # Errors
    /// The kernel has no such protocol, or descriptors have run out.
    pub fn open(protocol: libc::c_int) -> Result<Self, NetlinkError> {
        let what = format!("open a netlink socket (protocol {protocol})");
        let open = || -> io::Result<Raw> {
            let mut raw = Raw::new(protocol as isize)?;
            raw.bind_auto()?;
            raw.set_ext_ack(true)?;
            raw.set_cap_ack(true)?;
            setsockopt(&raw.as_fd(), sockopt::ReceiveTimeout, &TimeVal::new(ANSWER_TIME, 0))?;
            Ok(raw)
        };
        match open() {
            Ok(raw) => Ok(Self { raw, seq: 0, buffer: vec![0; RECEIVE] }),
            Err(error) => Err(NetlinkError::io(&what, &error)),
        }
    }

    /// Returns the number by which the kernel knows this socket. Objects that the socket owns carry it.
    ///
    /// # Errors
    /// The socket could not be asked.
    pub fn port(&self) -> Result<u32, NetlinkError> {
        let mut address = netlink_sys::SocketAddr::new(0, 0);
        self.raw
            .get_address(&mut address)
            .map_err(|error| NetlinkError::io("ask a netlink socket for its address", &error))?;
        Ok(address.port_number())
    }

    /// Enlarges the send buffer for this many bytes, as far as this process may. Returns the resulting size.
    pub fn room_for(&self, bytes: usize) -> usize {
        // The kernel also counts its own overhead, and doubles the requested size for that.
        if setsockopt(&self.raw.as_fd(), sockopt::SndBufForce, &bytes).is_err() {
            // A process without CAP_NET_ADMIN in the first user namespace gets no more than the machine's limit. After
            // an error the size is unchanged.
            let _ = setsockopt(&self.raw.as_fd(), sockopt::SndBuf, &bytes);
        }
        nix::sys::socket::getsockopt(&self.raw.as_fd(), sockopt::SndBuf).unwrap_or(0)
    }

    /// Sends one request and waits for its acknowledgement.
    ///
    /// # Errors
    /// The kernel's error, with its own text if it has one.
    pub fn request(&mut self, what: &str, request: &Request) -> Result<(), NetlinkError> {
        self.get(what, request).map(drop)
    }

    /// Sends one request and returns the messages before its acknowledgement.
    ///
    /// # Errors
    /// The kernel's error, with its own text if it has one.
    pub fn get(&mut self, what: &str, request: &Request) -> Result<Vec<Message>, NetlinkError> {
        let flags = request.flags | flag(NLM_F_ACK);
        self.ask(what, &Request { flags, ..request.clone() })
    }

    /// Sends one request for a list, and returns all messages of the list.
    ///
    /// # Errors
    /// The kernel's error, or a dump that was inconsistent at every try.
    pub fn dump(&mut self, what: &str, request: &Request) -> Result<Vec<Message>, NetlinkError> {
        let request = Request { flags: request.flags | flag(NLM_F_DUMP), ..request.clone() };
        let started = Instant::now();
        let mut tries = 0;
        loop {
            match self.ask(what, &request) {
                Err(NetlinkError { reason: Reason::Disturbed, .. })
                    if tries < DUMP_TRIES && started.elapsed() < DUMP_TIME =>
                {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Sends one request and returns all messages up to the end of a list, or up to the acknowledgement.
    fn ask(&mut self, what: &str, request: &Request) -> Result<Vec<Message>, NetlinkError> {
        let seq = self.next_seq();
        let bytes = encode(request, seq);
        self.send(what, &bytes)?;
        let mut answer = Vec::new();
        let mut disturbed = false;
        loop {
            let datagram = self.receive(what, WAIT)?;
            for part in messages(&datagram) {
                if part.seq != seq {
                    continue; // left over from a request that ended early
                }
                disturbed |= part.flags & flag(NLM_F_DUMP_INTR) != 0;
                match libc::c_int::from(part.kind) {
                    NLMSG_ERROR | NLMSG_DONE => {
                        NetlinkError::check(what, part.flags, part.body, libc::c_int::from(part.kind))?;
                        return if disturbed {
                            Err(NetlinkError { what: what.to_owned(), reason: Reason::Disturbed })
                        } else {
                            Ok(answer)
                        };
                    }
                    _ => answer.push(Message { kind: part.kind, body: part.body.to_vec() }),
                }
            }
        }
    }

    /// Sends messages as one datagram. Returns the kernel's errors, each with the position of its message. The kernel also
    /// acknowledges a success of the message at position `acknowledged`, which is returned, too.
    ///
    /// # Errors
    /// The datagram could not be sent ([`NetlinkError::errno`] is `EMSGSIZE` if it was too long), or answers were lost,
    /// so that the outcome is unknown.
    pub fn batch(
        &mut self,
        what: &str,
        requests: &[Request],
        acknowledged: usize,
    ) -> Result<Vec<Answer>, NetlinkError> {
        let first = self.seq.wrapping_add(1);
        // Beside its body a message has a header of 16 bytes, and at most 3 bytes of padding.
        let mut bytes = Vec::with_capacity(requests.iter().map(|request| request.body.len() + 19).sum());
        for (position, request) in requests.iter().enumerate() {
            let seq = self.next_seq();
            let ack = if position == acknowledged { flag(NLM_F_ACK) } else { 0 };
            bytes.extend(encode(&Request { flags: request.flags | ack, ..request.clone() }, seq));
        }
        self.send(what, &bytes)?;
        let mut answers = Vec::new();
        loop {
            // All answers have arrived when a send returns; an empty queue is the end.
            let datagram = match self.receive(what, libc::MSG_DONTWAIT) {
                Err(error) if error.errno() == Some(libc::EAGAIN) => return Ok(answers),
                other => other?,
            };
            for part in messages(&datagram) {
                let position = usize::try_from(part.seq.wrapping_sub(first)).unwrap_or(usize::MAX);
                if position < requests.len() && libc::c_int::from(part.kind) == NLMSG_ERROR {
                    answers.push((position, NetlinkError::check(what, part.flags, part.body, NLMSG_ERROR)));
                }
            }
        }
    }

    /// Returns the next sequence number.
    fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1);
        self.seq
    }

    /// Sends a datagram.
    fn send(&self, what: &str, bytes: &[u8]) -> Result<(), NetlinkError> {
        loop {
            match self.raw.send(bytes, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::io(what, &error)),
            }
        }
    }

    /// Receives a datagram, with these flags (`MSG_…`).
    fn receive(&mut self, what: &str, flags: libc::c_int) -> Result<Vec<u8>, NetlinkError> {
        loop {
            match self.raw.recv(&mut &mut self.buffer[..], flags | libc::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => {
                    let reason = Reason::Nonsense(format!("an answer of {length} bytes"));
                    return Err(NetlinkError { what: what.to_owned(), reason });
                }
                Ok(length) => return Ok(self.buffer[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::io(what, &error)),
            }
        }
    }
}
