//! Sends copies of packets that this host has sent, by raw sockets, once they are due. The bytes stay as they are, except
//! the checksum of an IPv4 header.
//!
//! The mark, the interface and the addresses decide the route as they did before. A raw socket cannot set the user and
//! the cgroup of the sender, so these are lost. Never fragments: a packet beyond the interface's MTU is not copied; the
//! kernel holds it until it is due.

use std::{
    collections::HashMap,
    io, mem,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use nix::{
    sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, setsockopt, sockopt},
    unistd::{Uid, setfsuid},
};

use super::{
    ip::{self, Ends},
    socket::MANY,
};

/// The send buffer of a socket, in bytes, for packets that wait for an interface.
const ROOM: usize = 8 << 20;
/// Loopback has this index in every network namespace. Its packets need no output interface.
const LOOPBACK: u32 = 1;
/// The time for which an interface's MTU is cached, in nanoseconds.
const BELIEVED: u64 = 1_000_000_000;
/// Maximum number of MTUs in the cache, which otherwise would grow where interfaces come and go.
const CACHED: usize = 1_000;

/// A packet to be reinjected.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) bytes: Vec<u8>,
    /// Its mark; 0 if it has none.
    pub(super) mark: u32,
    /// The index of its output interface; 0 if there is none.
    pub(super) out: u32,
}

/// The result of sending.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Sent.
    pub(super) passed: u64,
    /// Not sent, because the sockets or the interface were full.
    pub(super) full: u64,
    /// Not sent, because of another error.
    pub(super) failed: u64,
    /// The last of these other errors.
    pub(super) error: Option<io::Error>,
}

/// The raw sockets of one queue.
#[derive(Debug)]
pub(super) struct Reinjector {
    v4: OwnedFd,
    /// `None` on a host without IPv6, which has no such packets.
    v6: Option<OwnedFd>,
    /// By an interface's index: the time at which its MTU was asked for, in nanoseconds, and the MTU in bytes.
    mtus: HashMap<u32, (u64, usize)>,
}

/// Opens a raw socket whose packets have `tag` as their priority.
fn raw(family: AddressFamily, tag: i32) -> io::Result<OwnedFd> {
    // The protocol IPPROTO_RAW: packets are sent with their own IP headers, and none is received.
    // SAFETY: makes a descriptor that nothing else owns.
    let made = unsafe {
        libc::socket(family as libc::c_int, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW)
    };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    let made = unsafe { OwnedFd::from_raw_fd(made) };
    setsockopt(&made, sockopt::Priority, &tag)?;
    setsockopt(&made, sockopt::Broadcast, &true)?;
    if setsockopt(&made, sockopt::SndBufForce, &ROOM).is_err() {
        // A process without CAP_NET_ADMIN in the first user namespace gets no more than the machine's limit.
        setsockopt(&made, sockopt::SndBuf, &ROOM)?;
    }
    Ok(made)
}

/// Runs a closure. The files and sockets that it opens belong to another user.
fn as_user<T>(user: u32, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let wanted = Uid::from_raw(user);
    let before = setfsuid(wanted);
    // setfsuid returns the previous user, not whether it succeeded. A second call with an invalid user changes nothing, and
    // returns the user that is set now.
    let now = setfsuid(Uid::from_raw(u32::MAX));
    let done = if now == wanted {
        act()
    } else {
        Err(io::Error::other(format!(
            "this user namespace has no user {user}, by which its packets are known"
        )))
    };
    setfsuid(before);
    done
}

impl Reinjector {
    /// Opens the sockets. If a user is given, the sockets belong to that user, and rules recognise the packets by it.
    pub(super) fn open_as(user: Option<u32>, tag: u32) -> io::Result<Self> {
        match user {
            None => Self::open(tag),
            Some(user) => as_user(user, || Self::open(tag)),
        }
    }

    /// Opens the sockets. Their packets have `tag` as their priority.
    fn open(tag: u32) -> io::Result<Self> {
        let tag = i32::try_from(tag).map_err(io::Error::other)?;
        let v4 = raw(AddressFamily::Inet, tag)?;
        let v6 = match raw(AddressFamily::Inet6, tag) {
            Ok(made) => {
                let on: libc::c_int = 1;
                let length = libc::socklen_t::try_from(mem::size_of_val(&on)).map_err(io::Error::other)?;
                // Each packet has its own source, which need not be an address of this host.
                // SAFETY: the value is an integer of that length, which outlives the call.
                let set = unsafe {
                    libc::setsockopt(
                        made.as_raw_fd(),
                        libc::IPPROTO_IPV6,
                        libc::IPV6_FREEBIND,
                        (&raw const on).cast(),
                        length,
                    )
                };
                if set < 0 {
                    return Err(io::Error::last_os_error());
                }
                Some(made)
            }
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { v4, v6, mtus: HashMap::new() })
    }

    /// Whether a packet of this length can be reinjected through an interface.
    pub(super) fn fits(&mut self, now: u64, out: u32, bytes: usize) -> bool {
        let mtu = match self.mtus.get(&out) {
            Some((asked, mtu)) if now.saturating_sub(*asked) < BELIEVED => *mtu,
            _ => {
                // An interface that is gone carries no packets.
                let mtu = mtu_of(&self.v4, out).unwrap_or(0);
                if self.mtus.len() > CACHED {
                    self.mtus.clear();
                }
                self.mtus.insert(out, (now, mtu));
                mtu
            }
        };
        bytes <= mtu
    }

    /// Sends packets, as many as possible.
    pub(super) fn send(&self, copies: &[Copy]) -> Sent {
        let mut sent = Sent::default();
        let version = |copy: &Copy| copy.bytes.first().map(|byte| byte >> 4);
        for of_one_family in copies.chunk_by(|a, b| version(a) == version(b)) {
            for some in of_one_family.chunks(MANY) {
                self.send_some(some, &mut sent);
            }
        }
        sent
    }

    /// Sends at most [`MANY`] packets of one family.
    fn send_some(&self, copies: &[Copy], sent: &mut Sent) {
        let addressed: Vec<_> = copies.iter().filter_map(|copy| Some((copy, address(copy)?))).collect();
        let v6 = addressed.first().is_some_and(|(_, (to, _))| to.family() == Some(AddressFamily::Inet6));
        let socket = if v6 { self.v6.as_ref() } else { Some(&self.v4) };
        let sendable = if socket.is_some() { addressed.len() } else { 0 };
        sent.failed += u64::try_from(copies.len() - sendable).unwrap_or(0);
        let Some(socket) = socket else { return };
        let mut parts: Vec<_> = addressed
            .iter()
            .map(|(copy, _)| libc::iovec {
                iov_base: copy.bytes.as_ptr().cast_mut().cast(),
                iov_len: copy.bytes.len(),
            })
            .collect();
        let mut headers: Vec<_> = addressed
            .iter()
            .zip(&mut parts)
            .map(|((_, (to, control)), part)| {
                // SAFETY: a structure of integers and pointers, for which zero is a value.
                let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
                header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_namelen = to.len();
                header.msg_hdr.msg_iov = part;
                header.msg_hdr.msg_iovlen = 1;
                if !control.is_empty() {
                    header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
                    header.msg_hdr.msg_controllen = control.len();
                }
                header
            })
            .collect();
        let mut rest = &mut headers[..];
        while !rest.is_empty() {
            let count = u32::try_from(rest.len()).unwrap_or(1);
            // SAFETY: the headers point to addresses, control messages and parts, and these to the copies' bytes; all of
            // them outlive the call, which only reads them and writes the headers' lengths.
            let done =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
            let skip = match usize::try_from(done) {
                Ok(done) if done > 0 => {
                    sent.passed += u64::try_from(done).unwrap_or(0);
                    done
                }
                // The first packet could not be sent: it is skipped, except after an interruption.
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => 0,
                    error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)) => {
                        sent.full += 1;
                        1
                    }
                    error => {
                        sent.failed += 1;
                        sent.error = Some(error);
                        1
                    }
                },
            };
            rest = &mut rest[skip..];
        }
    }
}

/// Returns the destination of a packet, and the control messages for its route.
fn address(copy: &Copy) -> Option<(SockaddrStorage, Vec<u8>)> {
    let mut control = Vec::new();
    if copy.mark != 0 {
        add_control(&mut control, libc::SOL_SOCKET, libc::SO_MARK, &copy.mark.to_ne_bytes());
    }
    // Index 0 is no interface.
    let names_interface = copy.out != 0 && copy.out != LOOPBACK;
    let index = copy.out.to_ne_bytes();
    let to = match ip::ends(&copy.bytes)? {
        Ends::V4(from, to) => {
            if names_interface {
                let info = [index, from.octets(), [0; 4]].concat();
                add_control(&mut control, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            SocketAddr::new(IpAddr::V4(to), 0)
        }
        Ends::V6(from, to) => {
            if names_interface {
                let info = [&from.octets()[..], &index].concat();
                add_control(&mut control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            SocketAddr::new(IpAddr::V6(to), 0)
        }
    };
    Some((SockaddrStorage::from(to), control))
}

/// Appends a control message.
fn add_control(control: &mut Vec<u8>, level: libc::c_int, kind: libc::c_int, value: &[u8]) {
    let length = mem::size_of::<libc::cmsghdr>() + value.len();
    let end = control.len() + length.next_multiple_of(mem::size_of::<usize>());
    control.extend(length.to_ne_bytes());
    control.extend(level.to_ne_bytes());
    control.extend(kind.to_ne_bytes());
    control.extend(value);
    control.resize(end, 0);
}

/// Returns the MTU of the interface of an index, in the namespace of a socket.
fn mtu_of(socket: &OwnedFd, index: u32) -> Option<usize> {
    // SAFETY: a structure of integers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_ifru.ifru_ifindex = i32::try_from(index).ok()?;
    for ask in [libc::SIOCGIFNAME, libc::SIOCGIFMTU] {
        // SAFETY: both read and write one such structure, which outlives the call.
        if unsafe { libc::ioctl(socket.as_raw_fd(), ask, &raw mut request) } < 0 {
            return None;
        }
    }
    // SAFETY: the second call has written this member.
    usize::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}
