//! ICMP echo requests over a raw socket, in one thread. Each request is sent when it is due; each answer is timed when it arrives.
//!
//! Layouts: RFC 792 (echo is type 8, its answer 0), RFC 4443 (128 and 129). The kernel computes the checksum of ICMPv6.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    process,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use firedrill_wire::exchange::Exchange;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recv, send,
        socket,
    },
};

use super::answer::Answer;
use crate::host::queue::ip::checksum;

/// Length of a request, in bytes: the header (8) and 32 bytes of data.
const LENGTH: usize = 40;

/// Makes the ids of this process's checks differ. All agents of the process share it: they may share a network
/// namespace, where every socket sees all answers.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Sends all requests of an exchange, and waits for their answers.
///
/// # Errors
/// The socket could not be opened or polled.
pub(super) fn all(ask: &Exchange) -> io::Result<Vec<Answer>> {
    let socket = open(ask.to)?;
    // An odd step reaches all 65536 values before one comes again; it and the rotation spread them, so that ids of processes with
    // neighbouring process ids rarely collide.
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are enough")]
    let own = (process::id() as u16) ^ NEXT.fetch_add(257, Ordering::Relaxed).rotate_left(5);
    let began = Instant::now();
    let mut sent: Vec<Instant> = Vec::new();
    let mut answers: Vec<Answer> = Vec::new();
    let mut last_sent = began;
    loop {
        let due = began + Duration::from(ask.every) * u32::try_from(sent.len()).unwrap_or(u32::MAX);
        let more = sent.len() < usize::try_from(ask.count).unwrap_or(0);
        if more && Instant::now() >= due {
            let number = u16::try_from(sent.len()).unwrap_or(u16::MAX);
            last_sent = Instant::now();
            sent.push(last_sent);
            let result = send(socket.as_raw_fd(), &request(ask.to, own, number), MsgFlags::empty());
            // A request counts as unanswered until its answer comes.
            answers
                .push(result.err().map_or(Answer::Silent, |error| Answer::Failed(error.desc().to_owned())));
            continue;
        }
        let until = if more { due } else { last_sent + Duration::from(ask.within) };
        let all_answered = answers.iter().all(|answer| !matches!(answer, Answer::Silent));
        let now = Instant::now();
        if !more && (all_answered || now >= until) {
            return Ok(answers);
        }
        wait(&socket, until.saturating_duration_since(now))?;
        while let Some((number, at)) = receive(&socket, ask.to, own) {
            let number = usize::from(number);
            if let (Some(sent), Some(answer @ Answer::Silent)) = (sent.get(number), answers.get_mut(number)) {
                let took = at.saturating_duration_since(*sent);
                if took <= Duration::from(ask.within) {
                    *answer = Answer::Answered(took);
                }
            }
        }
    }
}

/// Opens a raw socket that receives only from that address.
fn open(to: IpAddr) -> io::Result<OwnedFd> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Raw, flags, protocol)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(std::net::SocketAddr::new(to, 0)))?;
    Ok(socket)
}

/// Waits until the socket has an answer, or the time is over.
fn wait(socket: &OwnedFd, at_most: Duration) -> io::Result<()> {
    // Rounded up to whole milliseconds: a wait that ends too early would only be repeated.
    let timeout = at_most + Duration::from_micros(999);
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the number of the request with the id `own` that the next answer is to, and the time at which the answer was read; `None` if
/// there is no answer at the moment.
fn receive(socket: &OwnedFd, from: IpAddr, own: u16) -> Option<(u16, Instant)> {
    let mut buffer = [0; 256];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
        let at = Instant::now();
        let packet = buffer.get(..length)?;
        // Raw sockets over IPv4 include the IP header. The low half of its first byte is its length in words of four bytes.
        let (icmp, answer) = match from {
            IpAddr::V4(_) => (packet.get(usize::from(packet.first()? & 15) * 4..)?, 0),
            IpAddr::V6(_) => (packet, 129),
        };
        if let &[kind, 0, _, _, id_high, id_low, high, low, ..] = icmp
            && kind == answer
            && u16::from_be_bytes([id_high, id_low]) == own
        {
            return Some((u16::from_be_bytes([high, low]), at));
        }
    }
}

/// Returns a request with the id `own` and a number.
fn request(to: IpAddr, own: u16, number: u16) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = if to.is_ipv4() { 8 } else { 128 };
    packet[4..6].copy_from_slice(&own.to_be_bytes());
    packet[6..8].copy_from_slice(&number.to_be_bytes());
    packet[8..17].copy_from_slice(b"firedrill");
    if to.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}
