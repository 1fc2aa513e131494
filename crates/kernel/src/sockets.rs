//! Lists and destroys the TCP connections of this network namespace over sock_diag.
//!
//! It only knows established connections. It never lists a listening socket, so none can be destroyed by mistake.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use firedrill_netlink::{Message, NetlinkError, Request, Socket, find};

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
/// ESTABLISHED, FIN_WAIT1, FIN_WAIT2 and CLOSE_WAIT: data may flow in at least one direction.
const LIVE: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8;
const ID: usize = 48;
/// The offset of the interface in the identification.
const INTERFACE: usize = 36;
/// The length of a connection's description, in bytes; attributes follow it.
const ATTRIBUTES: usize = 72;
const CGROUP: u16 = 21;
const FAMILIES: [libc::c_int; 2] = [libc::AF_INET, libc::AF_INET6];

/// A TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The address and port of this host. An IPv4-mapped address is converted to IPv4.
    pub local: SocketAddr,
    /// The address and port of the peer.
    pub remote: SocketAddr,
    /// The index of the interface to which the socket is bound, so that all its packets go over it. The kernel binds the sockets of link-local
    /// connections by itself. `None` if the socket is not bound.
    pub interface: Option<u32>,
    /// The id of the cgroup in which the socket was made. `None` on kernels before 5.8, which do not report it.
    pub cgroup: Option<u64>,
    /// The kernel's identification of the socket, with a cookie that no other socket ever has.
    family: u8,
    id: [u8; ID],
}

#[cfg(test)]
impl Connection {
    /// Makes a connection that does not exist in the kernel.
    pub(crate) const fn between(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local, remote, interface: None, cgroup: None, family: 0, id: [0; ID] }
    }
}

/// A sock_diag socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Sockets(Socket);

impl Sockets {
    /// Opens a socket.
    ///
    /// # Errors
    /// Descriptors have run out, or the kernel has no sock_diag.
    pub fn open() -> Result<Self, NetlinkError> {
        Socket::open(libc::NETLINK_SOCK_DIAG).map(Self)
    }

    /// Returns the established connections, IPv4 and IPv6.
    ///
    /// # Errors
    /// The kernel could not list the connections, for example because it lacks inet_diag or tcp_diag.
    pub fn connections(&mut self) -> Result<Vec<Connection>, NetlinkError> {
        let mut connections = Vec::new();
        for family in FAMILIES {
            let request = Request { kind: BY_FAMILY, flags: 0, body: body(family_byte(family), &[0; ID]) };
            match self.0.dump("list TCP connections", &request) {
                // A kernel without IPv6 has no such connections.
                Err(error) if family == libc::AF_INET6 && error.errno() == Some(libc::ENOENT) => {}
                other => connections.extend(other?.iter().filter_map(connection)),
            }
        }
        Ok(connections)
    }

    /// Resets a connection: its owner gets an error, and the peer gets a RST. Returns false if the connection does not exist any more.
    ///
    /// # Errors
    /// The kernel cannot reset connections (`EOPNOTSUPP`), or this process may not (`EPERM`).
    pub fn destroy(&mut self, connection: &Connection) -> Result<bool, NetlinkError> {
        let body = body(connection.family, &connection.id);
        let what = format!("reset the connection {} with {}", connection.local, connection.remote);
        match self.0.request(&what, &Request { kind: DESTROY, flags: 0, body }) {
            Ok(()) => Ok(true),
            // The connection has ended, or another socket has its addresses and ports by now.
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ESTALE)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Checks that the kernel can destroy sockets, by a request for a connection that cannot exist: from port 0 to port 0.
    ///
    /// # Errors
    /// The kernel cannot: it was built without `CONFIG_INET_DIAG_DESTROY`, or lacks inet_diag or tcp_diag.
    pub fn able(&mut self) -> Result<(), NetlinkError> {
        // Connections are listed first: if that works, a later "not found" is about the socket and not about a missing module.
        self.connections()?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut id = [0; ID];
        for at in [4, 20] {
            id[at..at + 4].copy_from_slice(&[127, 0, 0, 1]);
        }
        let family = family_byte(libc::AF_INET);
        let nobody =
            Connection { local: nowhere, remote: nowhere, interface: None, cgroup: None, family, id };
        self.destroy(&nobody).map(drop)
    }
}

fn family_byte(family: libc::c_int) -> u8 {
    u8::try_from(family).unwrap_or(0)
}

/// Makes the body of a request about connections.
fn body(family: u8, id: &[u8; ID]) -> Vec<u8> {
    let protocol = u8::try_from(libc::IPPROTO_TCP).unwrap_or(0);
    [&[family, protocol, 0, 0][..], &LIVE.to_ne_bytes(), id].concat()
}

/// Reads a connection from a message of the kernel; `None` if it is not an established connection.
fn connection(message: &Message) -> Option<Connection> {
    if message.kind != BY_FAMILY {
        return None;
    }
    let (head, rest) = message.body.split_first_chunk::<4>()?;
    let id: [u8; ID] = *rest.first_chunk()?;
    let end = |port: usize, address: usize| {
        let port = u16::from_be_bytes(*id.get(port..)?.first_chunk()?);
        let address = if libc::c_int::from(head[0]) == libc::AF_INET {
            IpAddr::from(Ipv4Addr::from(*id.get(address..)?.first_chunk::<4>()?))
        } else {
            IpAddr::from(Ipv6Addr::from(*id.get(address..)?.first_chunk::<16>()?))
        };
        Some(SocketAddr::new(address.to_canonical(), port))
    };
    let live = LIVE & 1_u32.checked_shl(u32::from(head[1]))? != 0;
    let cgroup = message.body.get(ATTRIBUTES..).and_then(|attrs| find(attrs, CGROUP));
    let cgroup = cgroup.and_then(|number| Some(u64::from_ne_bytes(number.try_into().ok()?)));
    let interface = u32::from_ne_bytes(*id.get(INTERFACE..)?.first_chunk()?);
    live.then_some(Connection {
        local: end(0, 4)?,
        remote: end(2, 20)?,
        interface: (interface != 0).then_some(interface),
        cgroup,
        family: head[0],
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(family: libc::c_int, state: u8, source: &[u8], target: &[u8]) -> Message {
        let mut body = vec![0; 72];
        body[0] = family_byte(family);
        body[1] = state;
        body[4..8].copy_from_slice(&[0x1f, 0x90, 0, 22]);
        body[8..8 + source.len()].copy_from_slice(source);
        body[24..24 + target.len()].copy_from_slice(target);
        Message { kind: BY_FAMILY, body }
    }

    #[test]
    fn addresses_are_read_and_connections_that_are_not_established_are_left_out() {
        let plain = connection(&message(libc::AF_INET, 1, &[10, 0, 0, 1], &[10, 0, 0, 2])).unwrap();
        assert_eq!(
            (plain.local.to_string(), plain.remote.to_string()),
            ("10.0.0.1:8080".into(), "10.0.0.2:22".into())
        );
        let v4_mapped = |last| [&[0; 10][..], &[0xff, 0xff, 10, 0, 0, last]].concat();
        let mapped = connection(&message(libc::AF_INET6, 8, &v4_mapped(1), &v4_mapped(2))).unwrap();
        assert_eq!((mapped.local, mapped.remote), (plain.local, plain.remote));
        let mut with_cgroup = message(libc::AF_INET, 1, &[10, 0, 0, 1], &[10, 0, 0, 2]);
        with_cgroup.body.extend([&[12, 0, 21, 0][..], &196_u64.to_ne_bytes()].concat());
        assert_eq!((plain.cgroup, connection(&with_cgroup).unwrap().cgroup), (None, Some(196)));
        let mut bound = message(libc::AF_INET6, 1, &[0xfe, 0x80], &[0xfe, 0x80]);
        bound.body[40..44].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!((plain.interface, connection(&bound).unwrap().interface), (None, Some(7)));
        assert_eq!(
            mapped.family,
            family_byte(libc::AF_INET6),
            "requests use the family that the kernel named"
        );
        for state in [2, 3, 6, 7, 9, 10, 11, 12, 40] {
            assert_eq!(connection(&message(libc::AF_INET, state, &[], &[])), None, "state {state}");
        }
        assert_eq!(connection(&Message { kind: BY_FAMILY, body: vec![2, 1, 0] }), None);
    }
}
