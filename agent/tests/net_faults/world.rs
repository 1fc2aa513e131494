//! A host between two peers, the traffic that tests try between them, and faults on the host.
//!
//! peer (10.1.0.2, fd00:1::2, and the metadata addresses) ── host (10.1.0.1, fd00:1::1; 10.2.0.1) ── second (10.2.0.2).
//! The host is the sandbox's own namespace, so that faults are made and undone by the test's own process.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use firedrill_agent::{
    fault::of,
    host::Host,
    injection::{Ask, Inject, InjectError, Injected, Live, Prepared},
    snapshot::{Snapshot, compare},
    testing::{Netns, address, host, join, play, route, wait_until},
    undo::Undo,
};
use firedrill_probe::clock;
use firedrill_wire::{Fault, InjectionId, Span, api::Problem, evidence::Evidence, fault::Direction};
use nix::{
    mount::{MsFlags, mount, umount},
    sys::socket::{
        setsockopt,
        sockopt::{RcvBuf, RcvBufForce},
    },
};

/// The port of the agent on the host: faults on traffic leave it reachable.
pub(crate) const AGENT_PORT: u16 = 7790;
/// The host's addresses in the first peer's networks.
pub(crate) const SELF4: &str = "10.1.0.1";
pub(crate) const SELF6: &str = "fd00:1::1";
/// The first peer's addresses.
pub(crate) const PEER4: &str = "10.1.0.2";
pub(crate) const PEER6: &str = "fd00:1::2";
pub(crate) const PEERS: [&str; 2] = [PEER4, PEER6];
/// A unit that one test makes, if it may change the machine's systemd.
pub(crate) const UNIT: &str = "fd-net.service";
/// A connection or datagram that takes longer is not expected any more. Answers are faster, also on a busy machine.
const PATIENCE: Duration = Duration::from_millis(600);
/// Size of a socket's buffer for datagrams that were not read yet, in bytes.
const QUEUE: usize = 8 << 20;

/// The result of an attempt to connect or to send a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The connection was made, or the datagram arrived.
    Yes,
    /// Nothing arrived, and no error came.
    No,
    /// An error came at once.
    Refused,
}

/// The host, its two peers, and their listening servers.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) host_ns: Netns,
    peer: Netns,
    second: Netns,
    _servers: Vec<TcpListener>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (host_ns, peer, second) = (Netns::current(), Netns::fresh(), Netns::fresh());
        join(&host_ns, "eth0", &peer, "peer0");
        join(&host_ns, "eth1", &second, "second0");
        for network in ["10.1.0.1/24", "fd00:1::1/64"] {
            address(&host_ns, "eth0", network);
        }
        for network in ["10.1.0.2/24", "fd00:1::2/64", "169.254.169.254/32", "fd00:ec2::254/128"] {
            address(&peer, "peer0", network);
        }
        address(&host_ns, "eth1", "10.2.0.1/24");
        address(&second, "second0", "10.2.0.2/24");
        route(&host_ns, "169.254.169.254/32", PEER4);
        route(&host_ns, "fd00:ec2::254/128", PEER6);
        route(&peer, "10.2.0.0/24", SELF4);
        route(&second, "10.1.0.0/24", "10.2.0.1");
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let mut servers = Vec::new();
        for ns in [&host_ns, &peer, &second] {
            for port in [22, 8080, 9090, AGENT_PORT] {
                // For IPv4 and IPv6. The kernel completes connections without a call of `accept`.
                servers.push(ns.run(|| TcpListener::bind(("::", port)).unwrap()));
            }
        }
        Self { host: host(Path::new("/nonexistent")), host_ns, peer, second, _servers: servers }
    }

    /// Takes a snapshot of the host when it has settled.
    pub(crate) fn snapshot(&self) -> Snapshot {
        // Processes and units belong to the whole machine, and other tests stop some of them.
        let take = || {
            let mut snapshot = Snapshot::take(&self.host).unwrap();
            snapshot.seen.retain(|key, _| !key.starts_with("stopped:") && !key.contains(UNIT));
            snapshot
        };
        // Links report their carrier with a short delay, and the kernel makes the routes of IPv6 addresses when it has
        // time for them.
        let mut last = take();
        wait_until("two snapshots are alike, with a route for each address", || {
            std::thread::sleep(Duration::from_millis(20));
            let next = take();
            let settled = next == last && every_address_has_its_route(&next);
            last = next;
            settled
        });
        last
    }

    /// Fails with the differences between `before` and now, if there are any.
    pub(crate) fn assert_same(&self, before: &Snapshot) {
        let difference = compare(before, &self.snapshot(), &[]);
        assert!(difference.ours.is_empty() && difference.foreign.is_empty(), "{difference:#?}");
        assert!(difference.compared > 20);
    }

    /// Fails unless a sender in this direction between the host and the first peer gets a refusal at once.
    pub(crate) fn assert_rejected(&self, direction: Direction) {
        for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
            if direction == Direction::Both {
                assert_eq!(self.tcp_out(peer, 8080), Reach::Refused, "out to {peer}");
            }
            if direction != Direction::In {
                assert_eq!(self.udp_out(peer, 8080), Reach::Refused, "udp to {peer}");
            }
            if direction != Direction::Out {
                assert_eq!(self.udp_in(own, 8080), Reach::Refused, "udp from {peer}");
                assert_eq!(self.tcp_in(own, 8080), Reach::Refused, "in to {own}");
            }
            assert_eq!(self.tcp_in(own, AGENT_PORT), Reach::Yes);
        }
    }

    /// Waits until no earlier connection has packets left to send, such as the acknowledgement of its end.
    pub(crate) fn quiet(&self) {
        // State 4 of `/proc/net/tcp` is TCP_FIN_WAIT1: the end was sent, and is not acknowledged.
        let has_ending = |table: &str| {
            let text = fs::read_to_string(table).unwrap();
            text.lines().any(|line| line.split_ascii_whitespace().nth(3) == Some("04"))
        };
        let any_ending =
            || ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"].into_iter().any(has_ending);
        wait_until("all connections have ended", || {
            ![&self.host_ns, &self.peer, &self.second].into_iter().any(|ns| ns.run(any_ending))
        });
    }

    /// Fails unless a block of the name `db.example` follows the addresses of the name while it holds.
    pub(crate) fn assert_followed(&self, fault: &Fault) {
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, "10.1.0.2 db.example\n").unwrap();
        mount(Some(&hosts), "/etc/hosts", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        let injection = Injection::make(self, fault);
        assert_eq!(PEERS.map(|peer| self.tcp_out(peer, 8080)), [Reach::No, Reach::Yes]);
        self.wait_reached("10.2.0.2");
        fs::write(&hosts, "fd00:1::2 db.example\n10.2.0.2 db.example\n").unwrap();
        wait_until("the new addresses are known", || {
            let detail = injection.evidence().detail;
            detail.contains("10.2.0.2") && detail.contains("fd00:1::2")
        });
        for peer in [PEER4, PEER6, "10.2.0.2"] {
            assert_eq!(self.tcp_out(peer, 8080), Reach::No, "{peer}");
        }
        injection.undo();
        umount("/etc/hosts").unwrap();
    }

    pub(crate) fn prepare(&self, fault: &Fault) -> Result<Prepared, Problem> {
        of(fault).prepare(&self.host, &ask(fault, Span::secs(60)))
    }

    /// Waits until the host reaches a peer. The first packet may be lost while neighbours find each other, and TCP repeats it only
    /// after a second.
    pub(crate) fn wait_reached(&self, peer: &str) {
        wait_until(&format!("{peer} is reached"), || self.tcp_out(peer, 8080) == Reach::Yes);
    }

    /// Connects from the host.
    pub(crate) fn tcp_out(&self, to: &str, port: u16) -> Reach {
        tcp(&self.host_ns, to, port)
    }

    /// Connects from the first peer to the host.
    pub(crate) fn tcp_in(&self, to: &str, port: u16) -> Reach {
        tcp(&self.peer, to, port)
    }

    /// Connects from the host to itself.
    pub(crate) fn tcp_self(&self, to: &str, port: u16) -> Reach {
        tcp(&self.host_ns, to, port)
    }

    /// Connects from the first peer to the second.
    pub(crate) fn tcp_through(&self, to: &str, port: u16) -> Reach {
        tcp(&self.peer, to, port)
    }

    /// Makes two connected UDP sockets: one on the host, one at `to`.
    pub(crate) fn flow(&self, to: &str) -> (UdpSocket, UdpSocket) {
        let at = if to.starts_with("10.2.") { &self.second } else { &self.peer };
        pair(&self.host_ns, at, to)
    }

    /// Makes two connected UDP sockets: one at the first peer, one at the second; the host forwards between them.
    pub(crate) fn flow_through(&self) -> (UdpSocket, UdpSocket) {
        pair(&self.peer, &self.second, "10.2.0.2")
    }

    pub(crate) fn peer(&self) -> &Netns {
        &self.peer
    }

    pub(crate) fn second(&self) -> &Netns {
        &self.second
    }

    /// Runs a closure in the first peer's namespace.
    pub(crate) fn at_peer<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.peer.run(what)
    }

    /// Sends a datagram from the host to a peer.
    pub(crate) fn udp_out(&self, to: &str, port: u16) -> Reach {
        let at = if to.starts_with("10.2.") { &self.second } else { &self.peer };
        udp(&self.host_ns, at, to, port)
    }

    /// Sends a datagram from the first peer to the host.
    pub(crate) fn udp_in(&self, to: &str, port: u16) -> Reach {
        udp(&self.peer, &self.host_ns, to, port)
    }
}

/// Whether the kernel has made the local route of each IPv6 address. An address of a link that is down gets none.
fn every_address_has_its_route(snapshot: &Snapshot) -> bool {
    let addresses = snapshot.seen.keys().filter_map(|key| key.strip_prefix("addr:")?.split_once(' '));
    let of_links_up = addresses.filter(|(link, _)| is_set_up(snapshot, link));
    let networks = of_links_up.filter_map(|(_, address)| address.split_once('/'));
    networks.filter(|(address, _)| address.contains(':')).all(|(address, _)| {
        let route = format!("route:ip6 table 255 {address}/128");
        snapshot.seen.keys().any(|key| key.starts_with(&route))
    })
}

/// Whether a link is set up, by its flags in the first line of its entry.
fn is_set_up(snapshot: &Snapshot, link: &str) -> bool {
    let entry = &snapshot.seen[&format!("link:{link}")];
    let (_, flags) = entry.lines().next().unwrap().rsplit_once(" flags ").unwrap();
    // Bit 0 is IFF_UP.
    u32::from_str_radix(flags, 16).unwrap() & 1 == 1
}

/// Tries one TCP connection.
fn tcp(from: &Netns, to: &str, port: u16) -> Reach {
    let to = SocketAddr::new(to.parse::<IpAddr>().unwrap(), port);
    match from.run(|| TcpStream::connect_timeout(&to, PATIENCE)) {
        Ok(mut stream) => {
            stream.write_all(b"x").unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            // The server sends nothing. Any error but a timeout would show that the connection is not real.
            assert!(stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
            Reach::Yes
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => Reach::No,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {
            Reach::Refused
        }
        Err(error) => panic!("TCP to {to}: {error}"),
    }
}

/// Makes two connected UDP sockets: the first in `from`, the second in `at` at the address `to`.
fn pair(from: &Netns, at: &Netns, to: &str) -> (UdpSocket, UdpSocket) {
    let to: IpAddr = to.parse().unwrap();
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let far = at.run(|| UdpSocket::bind((to, 0))).unwrap();
    let near = from.run(|| UdpSocket::bind(any)).unwrap();
    near.connect(far.local_addr().unwrap()).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    // The buffers hold all datagrams of a test: the receiver may get no processor until everything was sent.
    for end in [&near, &far] {
        setsockopt(end, RcvBufForce, &QUEUE).or_else(|_| setsockopt(end, RcvBuf, &QUEUE)).unwrap();
    }
    (near, far)
}

/// Sends one datagram: it arrives, or an ICMP error comes, or nothing happens.
fn udp(from: &Netns, at: &Netns, to: &str, port: u16) -> Reach {
    let to = SocketAddr::new(to.parse::<IpAddr>().unwrap(), port);
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let server = at.run(|| UdpSocket::bind(to)).unwrap();
    let client = from.run(|| UdpSocket::bind(any)).unwrap();
    client.connect(to).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = client.send(b"hello");
    if server.recv(&mut [0; 8]).is_ok_and(|length| length == 5) {
        return Reach::Yes;
    }
    client.set_nonblocking(true).unwrap();
    let errors = [sent.err(), client.take_error().unwrap(), client.recv(&mut [0; 8]).err()];
    if errors.iter().flatten().any(|error| error.kind() == ErrorKind::ConnectionRefused) {
        Reach::Refused
    } else {
        Reach::No
    }
}

/// Returns a request to inject a fault, with a new id.
pub(crate) fn ask(fault: &Fault, hold: Span) -> Ask {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = match fault {
        // Tests only prepare this fault, and compare the answers: it always has the same id.
        Fault::NetBlock(block) if block.to.iter().any(|to| to == "localhost") => 0,
        _ => NEXT.fetch_add(1, Ordering::Relaxed),
    };
    let id: InjectionId = format!("test-run-{number}").parse().unwrap();
    Ask { id, fault: fault.clone(), hold }
}

/// A fault in force.
pub(crate) struct Injection<'a> {
    world: &'a World,
    pub(crate) live: Live,
}

impl<'a> Injection<'a> {
    /// Prepares a fault with a lease and a hold of a minute, and does not make it.
    pub(crate) fn prepare(world: &'a World, fault: &Fault) -> Self {
        Self::prepare_with(world, fault, Span::secs(60), Span::secs(60))
    }

    fn prepare_with(world: &'a World, fault: &Fault, lease: Span, hold: Span) -> Self {
        let ask = ask(fault, hold);
        let prepared = of(fault).prepare(&world.host, &ask).unwrap();
        let ends_boot_us = clock::boot_us() + hold.as_micros();
        Self { world, live: Live { ask, prepared, ends_boot_us, lease } }
    }

    /// Makes a fault with a lease and a hold of a minute.
    pub(crate) fn make(world: &'a World, fault: &Fault) -> Self {
        Self::with(world, fault, Span::secs(60), Span::secs(60))
    }

    /// Makes a fault with this lease and hold.
    pub(crate) fn with(world: &'a World, fault: &Fault, lease: Span, hold: Span) -> Self {
        let injection = Self::prepare_with(world, fault, lease, hold);
        injection.again().unwrap();
        injection
    }

    pub(crate) fn fault(&self) -> &dyn Inject {
        of(&self.live.ask.fault)
    }

    /// Calls `inject`, for the first time or again.
    pub(crate) fn again(&self) -> Result<Injected, InjectError> {
        self.fault().inject(&self.world.host, &self.live)
    }

    pub(crate) fn renew(&self, lease: Span) -> Result<(), InjectError> {
        self.fault().renew(&self.world.host, &self.live, lease)
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.fault().evidence(&self.world.host, &self.live)
    }

    /// Returns the name of the fault's nftables table.
    pub(crate) fn table(&self) -> String {
        let table = self.live.prepared.undo.iter().find_map(|undo| match undo {
            Undo::DeleteNftTable { table } => Some(table.clone()),
            _ => None,
        });
        table.expect("every fault on traffic has a table")
    }

    pub(crate) fn undo(&self) {
        for undo in self.live.prepared.undo.iter().rev() {
            undo.apply(&self.world.host).unwrap();
        }
    }
}

/// Starts another process in the same namespaces, and waits until it has made a fault by [`own`].
pub(crate) fn owner() -> Child {
    ready("owner")
}

/// Starts another process that plays a role, and waits until it says that it is ready.
pub(crate) fn ready(role: &str) -> Child {
    let mut child = play(role);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")), "{role} was ready");
    child
}

/// The role of the process that [`owner`] starts: makes a fault in the namespaces that the first process has set up, and sleeps.
pub(crate) fn own(fault: &Fault) -> ! {
    own_on(&host(Path::new("/nonexistent")), fault, Span::secs(60))
}

/// Does the same as [`own`] with this host and lease, which is not renewed.
pub(crate) fn own_on(host: &Host, fault: &Fault, lease: Span) -> ! {
    let ask = Ask { id: OWNED.parse().unwrap(), fault: fault.clone(), hold: Span::secs(60) };
    let prepared = of(fault).prepare(host, &ask).unwrap();
    let ends_boot_us = clock::boot_us() + 60_000_000;
    let live = Live { ask, prepared, ends_boot_us, lease };
    of(fault).inject(host, &live).unwrap();
    println!("\nready");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Id of the injection of [`own`].
pub(crate) const OWNED: &str = "owner-run-1";
