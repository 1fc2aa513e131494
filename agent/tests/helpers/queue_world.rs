//! A host and a peer on one cable, rules that send traffic to a queue, and streams of numbered datagrams.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::{
        impair::Impair,
        nft::{
            Nft,
            expr::{Compare, Exprs, Meta},
            table::{Chain, EARLY, Gate, Hook, Place, Table, gated},
        },
        queue::{Counts, FIRST, Queues, Spec, TAG},
    },
    testing::{Netns, address, join},
};

const MINUTE: Duration = Duration::from_secs(60);
const TABLE: &str = "fd_queue_test";
const UDP: u8 = 17;
const TCP: u8 = 6;
/// Maximum number of datagrams in transit, which fits into any socket's buffer.
const WINDOW: usize = 100;
/// The number of the queue.
pub(crate) const NUMBER: u16 = FIRST + 3;

/// A host with a queue, and its peer.
pub(crate) struct World {
    pub(crate) host: Netns,
    pub(crate) peer: Netns,
    pub(crate) nft: Nft,
    pub(crate) queues: Queues,
    /// The last port that a flow got. Each flow gets another port.
    ports: Mutex<u16>,
}

/// The result of a stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Number of datagrams that arrived.
    pub(crate) arrived: usize,
    /// The delay of each datagram that arrived.
    pub(crate) latencies: Vec<Duration>,
    /// Number of datagrams that arrived after one that was sent later.
    pub(crate) overtaken: usize,
}

impl Stream {
    pub(crate) fn mean(&self) -> Duration {
        let count = u32::try_from(self.latencies.len()).unwrap();
        self.latencies.iter().sum::<Duration>() / count.max(1)
    }

    /// Returns the latency that a tenth of the packets stay below. A busy machine delays many packets, but a wrong delay of the queue
    /// delays all.
    pub(crate) fn tenth(&self) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        latencies[latencies.len() / 10]
    }
}

impl World {
    /// Sets up the cable. The host is the calling thread's namespace.
    pub(crate) fn new() -> Self {
        let (host, peer) = (Netns::current(), Netns::fresh());
        join(&host, "eth0", &peer, "peer0");
        for network in ["10.1.0.1/24", "fd00:1::1/64"] {
            address(&host, "eth0", network);
        }
        for network in ["10.1.0.2/24", "fd00:1::2/64"] {
            address(&peer, "peer0", network);
        }
        Self { host, peer, nft: Nft::default(), queues: Queues::default(), ports: Mutex::new(20_000) }
    }

    /// Sends all TCP and UDP at a hook to the queue.
    pub(crate) fn rules(&self, hook: Hook) {
        let tag = TAG + u32::from(NUMBER - FIRST);
        // Packets that the queue has sent on have its tag, and are not queued again.
        let again = Exprs::new().meta(Meta::Priority).compare(Compare::Is, &tag.to_ne_bytes()).accept();
        let gates = Gate::usual(MINUTE, MINUTE);
        let queued = [UDP, TCP].map(|protocol| {
            gated(&gates).meta(Meta::Transport).compare(Compare::Is, &[protocol]).queue(NUMBER)
        });
        let rules = [again].into_iter().chain(queued).collect();
        let chains = vec![Chain { name: "queued".to_owned(), place: Some(Place::at(hook, EARLY)), rules }];
        let table = Table { name: TABLE.to_owned(), chains, gates, ..Table::default() };
        self.nft.install(&table).unwrap();
    }

    pub(crate) fn no_rules(&self) {
        self.nft.delete_table(TABLE).unwrap();
    }

    pub(crate) fn start(&self, impair: Impair) {
        self.queues.start(spec(impair)).unwrap();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.queues.counts(NUMBER).unwrap()
    }

    /// Runs a closure with a queue at a hook.
    pub(crate) fn with<T>(&self, hook: Hook, impair: Impair, work: impl FnOnce() -> T) -> T {
        self.start(impair);
        self.rules(hook);
        let value = work();
        self.queues.stop(NUMBER);
        self.no_rules();
        value
    }

    /// Returns the ends of a flow that passes a hook of the host: the sender's namespace, the receiver's, and the receiver's address.
    pub(crate) fn ends(&self, hook: Hook, v6: bool) -> (&Netns, &Netns, SocketAddr) {
        let mut port = self.ports.lock().unwrap();
        *port += 1;
        let (host, peer) = if v6 { ("fd00:1::1", "fd00:1::2") } else { ("10.1.0.1", "10.1.0.2") };
        let (from, at, to) = if hook == Hook::Output {
            (&self.host, &self.peer, peer)
        } else {
            (&self.peer, &self.host, host)
        };
        (from, at, SocketAddr::new(to.parse().unwrap(), *port))
    }

    pub(crate) fn sockets(&self, hook: Hook, v6: bool) -> (UdpSocket, UdpSocket) {
        let (from, at, to) = self.ends(hook, v6);
        sockets(from, at, to)
    }

    /// Sends datagrams of some length, and receives until all have arrived except those that the queue lost.
    pub(crate) fn stream(
        &self,
        (client, server): &(UdpSocket, UdpSocket),
        count: usize,
        length: usize,
    ) -> Stream {
        let began = Instant::now();
        let mut stream = Stream::default();
        let (mut buffer, mut last) = (vec![0; 65_536], 0);
        server.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let before = self.counts();
        for sent in 0..count {
            let mut datagram = vec![0; length.max(16)];
            datagram[..8].copy_from_slice(&u64::try_from(sent).unwrap().to_ne_bytes());
            datagram[8..16].copy_from_slice(&nanoseconds(began).to_ne_bytes());
            client.send(&datagram).unwrap();
            let sent = sent + 1;
            if !sent.is_multiple_of(WINDOW) && sent < count {
                continue;
            }
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let counts = self.counts();
                let since = |count: u64, before: u64| usize::try_from(count - before).unwrap();
                let added = since(counts.duplicated, before.duplicated);
                let lost = since(counts.lost, before.lost)
                    + since(counts.corrupted, before.corrupted)
                    + since(counts.overflowed, before.overflowed);
                let is_empty = since(counts.seen, before.seen) == sent && counts.held == 0;
                if is_empty && stream.arrived + lost >= sent + added {
                    break;
                }
                assert!(Instant::now() < deadline, "{} of {sent} arrived; {counts:?}", stream.arrived);
                let Ok(got) = server.recv(&mut buffer) else { continue };
                assert_eq!(got, length.max(16));
                let [number, at] = [0, 8].map(|at| u64::from_ne_bytes(*buffer[at..].first_chunk().unwrap()));
                stream.arrived += 1;
                stream.latencies.push(Duration::from_nanos(nanoseconds(began) - at));
                stream.overtaken += usize::from(number < last);
                last = last.max(number);
            }
        }
        stream
    }

    /// Sends this many bytes through TCP, and checks that all of them arrive unchanged. Returns the time that this took, including the
    /// connection.
    pub(crate) fn tcp(&self, hook: Hook, v6: bool, bytes: usize) -> Duration {
        let (from, at, to) = self.ends(hook, v6);
        let listener = at.run(|| TcpListener::bind(to)).unwrap();
        let reader = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut piece, mut at) = (vec![0; 256 << 10], 0_usize);
            loop {
                let length = stream.read(&mut piece).unwrap();
                if length == 0 {
                    return at;
                }
                let same = piece[..length].iter().enumerate().all(|(n, byte)| *byte == pattern(at + n));
                assert!(same, "the bytes arrive unchanged");
                at += length;
            }
        });
        let data: Vec<u8> = (0..bytes).map(pattern).collect();
        let began = Instant::now();
        let mut stream = from.run(|| TcpStream::connect_timeout(&to, Duration::from_secs(10))).unwrap();
        stream.write_all(&data).unwrap();
        drop(stream);
        assert_eq!(reader.join().unwrap(), bytes);
        began.elapsed()
    }
}

/// Returns the byte that is sent at an offset.
fn pattern(at: usize) -> u8 {
    at.wrapping_mul(31).to_le_bytes()[1]
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap()
}

pub(crate) fn sockets(from: &Netns, at: &Netns, to: SocketAddr) -> (UdpSocket, UdpSocket) {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let server = at.run(|| UdpSocket::bind(to)).unwrap();
    let client = from.run(|| UdpSocket::bind(any)).unwrap();
    client.connect(to).unwrap();
    (client, server)
}

pub(crate) fn spec(impair: Impair) -> Spec {
    let every = Duration::from_millis(20);
    Spec {
        number: NUMBER,
        owner: 0,
        impair,
        look: None,
        seed: 42,
        memory: 64 << 20,
        every,
        sender: None,
        alive: Box::new(|| {}),
    }
}
