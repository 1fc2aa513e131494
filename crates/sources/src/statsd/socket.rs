//! The socket of a listener, with the arrival time of each packet and the number of packets that the kernel dropped.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::{
    io::{ErrorKind, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd as _, RawFd},
    time::Duration,
};

use firedrill_probe::clock;
use nix::{
    cmsg_space,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, setsockopt, sockopt},
        time::TimeSpec,
    },
};

/// A packet that was read.
pub(super) struct Got {
    /// Its size.
    pub(super) bytes: usize,
    pub(super) from: SocketAddr,
    /// Time at which it arrived, by the clock that counts from the machine's boot.
    pub(super) at_us: i64,
}

/// Maximum age of a packet, in microseconds. A higher one means that the wall clock was set.
const OLDEST_US: i64 = 60_000_000;
/// Two clocks that are read within this time, in microseconds, count as read at once.
const NEAR_US: i64 = 1_000;
/// Maximum number of times that the clocks are read again.
const READINGS: usize = 10;

/// Opens a socket with a buffer of `buffer` bytes, or of as many as the kernel allows.
pub(super) fn open(at: SocketAddr, buffer: usize) -> Result<UdpSocket, String> {
    let socket = UdpSocket::bind(at).map_err(|error| refused(at, &error))?;
    let options = || {
        socket.set_nonblocking(true)?;
        #[cfg(target_os = "linux")]
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // Root may exceed the machine's limit.
        #[cfg(target_os = "linux")]
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_ok() {
            return Ok(());
        }
        setsockopt(&socket, sockopt::RcvBuf, &buffer)?;
        std::io::Result::Ok(())
    };
    options().map_err(|error| format!("{at} cannot be listened on: {error}"))?;
    Ok(socket)
}

/// Says why an address cannot be listened on.
fn refused(at: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{at} is in use, perhaps by a StatsD daemon; listen on another port, to which that daemon or a repeater copies the \
             packets (`ss -lunp 'sport = :{}'` shows who has it)",
            at.port()
        ),
        ErrorKind::AddrNotAvailable => {
            format!("{at} is no address of this machine; `ip addr` shows which there are")
        }
        ErrorKind::PermissionDenied => {
            format!("{at} may not be listened on by this user; a port above 1023 needs no privilege")
        }
        _ => format!("{at} cannot be listened on: {error}"),
    }
}

/// Opens a socket by which packets are passed on.
pub(super) fn towards(to: SocketAddr) -> Result<UdpSocket, String> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let open = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(to)?;
        socket.set_nonblocking(true)?;
        std::io::Result::Ok(socket)
    };
    open().map_err(|error| format!("packets cannot be passed on to {to}: {error}"))
}

/// Returns the size of the socket's buffer in bytes.
pub(super) fn buffer(socket: &UdpSocket) -> usize {
    getsockopt(socket, sockopt::RcvBuf).unwrap_or(0)
}

/// Returns a buffer for the kernel's messages about a packet.
pub(super) fn control() -> Vec<u8> {
    cmsg_space!(TimeSpec)
}

/// Reads the next packet that has arrived; `None` if there is none.
pub(super) fn receive(fd: RawFd, buffer: &mut [u8], control: &mut [u8]) -> Option<Got> {
    let mut parts = [IoSliceMut::new(buffer)];
    let got = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), MsgFlags::MSG_DONTWAIT).ok()?;
    let at = got.cmsgs().ok().and_then(|mut messages| messages.find_map(|message| stamp(&message)));
    let wall_us = at.map(|at| at.tv_sec().saturating_mul(1_000_000).saturating_add(at.tv_nsec() / 1_000));
    Some(Got { bytes: got.bytes, from: sender(got.address.as_ref())?, at_us: since_boot_us(wall_us) })
}

/// Converts a time of the wall clock to microseconds since the machine's boot. Returns the present time if `wall_us` is `None` or the
/// wall clock was set in the meantime.
fn since_boot_us(wall_us: Option<i64>) -> i64 {
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    // The thread may be interrupted between two readings, so the clocks are read again until the readings are close to each other.
    let read_clocks = || {
        let (before, wall, after) =
            (signed(clock::boot_us()), signed(clock::wall_us()), signed(clock::boot_us()));
        (after.saturating_sub(before), before, wall)
    };
    let mut nearest = read_clocks();
    for _ in 0..READINGS {
        if nearest.0 <= NEAR_US {
            break;
        }
        nearest = nearest.min(read_clocks());
    }
    let (_, now_us, now_wall_us) = nearest;
    let age_us = wall_us.map_or(0, |wall_us| now_wall_us.saturating_sub(wall_us));
    if (0..=OLDEST_US).contains(&age_us) { now_us.saturating_sub(age_us) } else { now_us }
}

/// Returns the time at which the kernel received a packet; `None` if the message is about something else.
#[cfg(target_os = "linux")]
const fn stamp(message: &ControlMessageOwned) -> Option<TimeSpec> {
    if let ControlMessageOwned::ScmTimestampns(at) = message { Some(*at) } else { None }
}

/// Other systems do not report the time. They have no listener: [`lost`] fails.
#[cfg(not(target_os = "linux"))]
const fn stamp(_: &ControlMessageOwned) -> Option<TimeSpec> {
    None
}

/// Returns the address of a packet's sender.
fn sender(address: Option<&SockaddrStorage>) -> Option<SocketAddr> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port()))))
}

/// Waits for a packet, at most for `most`.
pub(super) fn wait(socket: &UdpSocket, most: Duration) {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
    // The result does not matter: the socket is read next in any case.
    let _ = poll(&mut fds, most);
}

/// Returns the number of packets that the kernel has dropped because the buffer was full.
#[cfg(target_os = "linux")]
pub(super) fn lost(socket: &UdpSocket) -> Result<u32, String> {
    /// Number of values that the option has.
    const VALUES: usize = 9;
    /// Index of the number of dropped packets among them.
    const DROPS: usize = 8;
    /// The option's number, on all machines but SPARC and PA-RISC. The crate `libc` has no name for it.
    const SO_MEMINFO: libc::c_int = 55;
    let mut values = [0_u32; VALUES];
    let mut size = libc::socklen_t::try_from(size_of_val(&values)).unwrap_or(0);
    // SAFETY: `values` and `size` are valid places for the kernel to write to, and `size` is that of `values`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    if result != 0 || size as usize != size_of_val(&values) {
        return Err("this kernel does not tell how many packets it drops; Linux from 4.12 on does".to_owned());
    }
    Ok(values[DROPS])
}

/// Other systems do not report the number.
#[cfg(not(target_os = "linux"))]
pub(super) fn lost(_: &UdpSocket) -> Result<u32, String> {
    Err("this system does not tell how many packets it drops; Linux does".to_owned())
}
