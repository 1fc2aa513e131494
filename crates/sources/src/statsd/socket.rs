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

/// A packet.
pub(super) struct Got {
    pub(super) bytes: usize,
    pub(super) from: SocketAddr,
    /// Time at which it arrived, by the clock that counts from the machine's boot.
    pub(super) at_us: i64,
}

/// Maximum age of a packet. A higher one means that somebody set the clock.
const OLDEST_US: i64 = 60_000_000;
/// Two clocks that are read within this time are read at once.
const NEAR_US: i64 = 1_000;
/// Maximum number of times that they are read again.
const READINGS: usize = 10;

/// Opens a socket with a large buffer.
pub(super) fn open(at: SocketAddr, buffer: usize) -> Result<UdpSocket, String> {
    let socket = UdpSocket::bind(at).map_err(|error| refused(at, &error))?;
    let options = || {
        socket.set_nonblocking(true)?;
        #[cfg(target_os = "linux")]
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        // Root may exceed the machine's bound.
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

/// Returns the size of the socket's buffer.
pub(super) fn buffer(socket: &UdpSocket) -> usize {
    getsockopt(socket, sockopt::RcvBuf).unwrap_or(0)
}

/// Returns a buffer for the kernel's messages about a packet.
pub(super) fn control() -> Vec<u8> {
    cmsg_space!(TimeSpec)
}

/// Reads the next packet that has arrived.
pub(super) fn receive(fd: RawFd, buffer: &mut [u8], control: &mut [u8]) -> Option<Got> {
    let mut parts = [IoSliceMut::new(buffer)];
    let got = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), MsgFlags::MSG_DONTWAIT).ok()?;
    let at = got.cmsgs().ok().and_then(|mut all| all.find_map(|one| stamp(&one)));
    let wall_us = at.map(|at| at.tv_sec().saturating_mul(1_000_000).saturating_add(at.tv_nsec() / 1_000));
    Some(Got { bytes: got.bytes, from: sender(got.address.as_ref())?, at_us: since_boot_us(wall_us) })
}

/// Returns the time since the machine's boot of a moment of its wall clock; now, if there is none or the wall clock was set since.
fn since_boot_us(wall_us: Option<i64>) -> i64 {
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    // The thread may be interrupted between two clocks, so they are read again until they are near to each other.
    let both = || {
        let (before, wall, after) =
            (signed(clock::boot_us()), signed(clock::wall_us()), signed(clock::boot_us()));
        (after.saturating_sub(before), before, wall)
    };
    let mut nearest = both();
    for _ in 0..READINGS {
        if nearest.0 <= NEAR_US {
            break;
        }
        nearest = nearest.min(both());
    }
    let (_, now_us, now_wall_us) = nearest;
    let age_us = wall_us.map_or(0, |wall_us| now_wall_us.saturating_sub(wall_us));
    if (0..=OLDEST_US).contains(&age_us) { now_us.saturating_sub(age_us) } else { now_us }
}

/// Returns the time at which the kernel received a packet.
#[cfg(target_os = "linux")]
const fn stamp(told: &ControlMessageOwned) -> Option<TimeSpec> {
    if let ControlMessageOwned::ScmTimestampns(at) = told { Some(*at) } else { None }
}

/// Other systems do not report it. There is no listener on them, see [`lost`].
#[cfg(not(target_os = "linux"))]
const fn stamp(_: &ControlMessageOwned) -> Option<TimeSpec> {
    None
}

fn sender(address: Option<&SockaddrStorage>) -> Option<SocketAddr> {
    let address = address?;
    let v4 = address.as_sockaddr_in().map(|one| SocketAddr::from((one.ip(), one.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|one| SocketAddr::from((one.ip(), one.port()))))
}

/// Waits for a packet.
pub(super) fn wait(socket: &UdpSocket, most: Duration) {
    let mut all = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
    // The result does not matter: the socket is read next in any case.
    let _ = poll(&mut all, most);
}

/// Returns the number of packets that the kernel has dropped because the buffer was full.
#[cfg(target_os = "linux")]
pub(super) fn lost(socket: &UdpSocket) -> Result<u32, String> {
    const VALUES: usize = 9;
    const DROPS: usize = 8;
    /// The same on all machines but those of SPARC and PA-RISC; the crate `libc` has no name for it.
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

/// Other systems do not report it.
#[cfg(not(target_os = "linux"))]
pub(super) fn lost(_: &UdpSocket) -> Result<u32, String> {
    Err("this system does not tell how many packets it drops; Linux does".to_owned())
}
