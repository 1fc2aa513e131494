//! Listeners with real packets, and with StatsD's daemon if it is installed.

use std::{collections::BTreeMap, time::Instant};

use super::*;
use crate::statsd::{Reads, Selector};

fn wanted(forward: Option<SocketAddr>) -> Wanted {
    let of = Selector { name: "x".to_owned(), tags: BTreeMap::new() };
    Wanted {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        forward,
        within: Duration::from_secs(5),
        changes: true,
        queries: vec![Query {
            reads: Reads::Count,
            of,
            every: firedrill_wire::Span::secs(1),
            alive_by: None,
        }],
    }
}

/// Waits until a condition holds. Panics with `what` after a minute.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn packets_that_arrive_are_counted_and_passed_on_as_they_are() {
    let daemon = UdpSocket::bind("127.0.0.1:0").expect("a port");
    daemon.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let listener = Listener::open(wanted(daemon.local_addr().ok())).expect("it listens");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let packet = b"x:1|c\nnonsense\xff\n_e{1,1}:a|b";
    sender.send_to(packet, listener.at()).expect("it is sent");
    let mut copy = [0; 100];
    let size = daemon.recv(&mut copy).expect("the daemon has it, too");
    assert_eq!(&copy[..size], packet);
    until("the packet is counted", || listener.counts().packets == 1);
    let Counts { metrics, skipped, malformed, dropped, .. } = listener.counts();
    assert_eq!((metrics, skipped, malformed, dropped), (1, 1, 1, 0));
}

#[test]
fn packets_that_the_kernel_drops_are_counted_to_the_last() {
    const SENT: u64 = 20_000;
    let listener = Listener::with_buffer(wanted(None), 1).expect("it listens");
    // The listener knows only a part of the second in which it began.
    let began = now_us() / 1_000_000;
    until("the next second", || now_us() / 1_000_000 > began);
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    {
        // While the store is held, the reader takes one packet and the kernel's buffer overflows.
        let _held = lock(&listener.store);
        for _ in 0..SENT {
            sender.send_to(b"x:1|c", listener.at()).expect("it is sent");
        }
    }
    until("each packet is read or dropped", || {
        let counts = listener.counts();
        counts.packets + counts.dropped == SENT
    });
    let counts = listener.counts();
    assert!(counts.dropped > 0 && counts.packets > 0, "{counts:?}");
    let ends = (began + 2..).map(|second| second * 1_000_000).take(5);
    let points = || listener.points("count(x[1s])", ends.clone()).expect("it listens for that");
    until("the interval is over", || !points().is_empty());
    let points = points();
    let lost = points.iter().any(|point| matches!(point.lacks, Some(crate::points::Lacks::Dropped(packets)) if packets == counts.dropped));
    assert!(lost, "{points:?}");
}

#[test]
fn an_address_that_cannot_be_listened_on_is_refused_with_advice() {
    let other = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = other.local_addr().expect("its address");
    let why = Listener::open(Wanted { listen: at, ..wanted(None) }).expect_err("it is in use");
    assert!(why.contains("is in use") && why.contains("repeater") && why.contains("ss -lunp"), "{why}");
    let listen = "192.0.2.1:8126".parse().expect("an address");
    let why = Listener::open(Wanted { listen, ..wanted(None) }).expect_err("it is elsewhere");
    assert!(why.contains("no address of this machine"), "{why}");
}

#[test]
fn a_listener_that_is_dropped_gives_its_port_back() {
    // An address that nothing else uses: nobody can get the port in between.
    let listen = "127.91.26.1:0".parse().expect("an address");
    let listener = Listener::open(Wanted { listen, ..wanted(None) }).expect("it listens");
    let at = listener.at();
    drop(listener);
    until("the port is free", || UdpSocket::bind(at).is_ok());
}

#[test]
fn a_daemon_that_is_not_there_is_counted() {
    // A connected socket takes packets of its peer alone, and nobody else can get its port.
    let held = UdpSocket::bind("127.0.0.1:0").expect("a port");
    held.connect("127.0.0.1:9").expect("it is connected");
    let gone = held.local_addr().expect("its address");
    let listener = Listener::open(wanted(Some(gone))).expect("it listens");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    until("the refusal is counted", || {
        sender.send_to(b"x:1|c", listener.at()).expect("it is sent");
        listener.counts().not_forwarded > 0
    });
}

/// The address of StatsD's daemon.
const DAEMON: &str = "127.91.26.2";

/// StatsD's own daemon; it ends with the test.
struct Daemon {
    child: std::process::Child,
    folder: std::path::PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts the daemon on a port, with a repeater to `to`. Prints a message and returns `None` if the daemon is not installed.
fn daemon(port: u16, to: SocketAddr) -> Option<Daemon> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/statsd/node_modules/statsd/stats.js");
    if !std::path::Path::new(script).exists() {
        eprintln!("skipped: StatsD's daemon is not installed (tests/packages.sh statsd)");
        return None;
    }
    let folder = std::env::temp_dir().join(format!("firedrill-statsd-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = format!(
        "{{ address: '{DAEMON}', port: {port}, mgmt_address: '{DAEMON}', mgmt_port: {port}, backends: ['./backends/repeater'], \
         repeater: [{{ host: '127.0.0.1', port: {} }}] }}",
        to.port()
    );
    std::fs::write(folder.join("config.js"), config).expect("its configuration");
    let child = std::process::Command::new("node").arg(script).arg(folder.join("config.js")).spawn();
    Some(Daemon { child: child.expect("node starts it"), folder })
}

#[test]
fn the_repeater_of_the_real_daemon_is_heard() {
    let listener = Listener::open(wanted(None)).expect("it listens");
    // A port that is free now, of an address that nothing else uses: nobody can get it before the daemon.
    let at = UdpSocket::bind((DAEMON, 0)).expect("a port").local_addr().expect("its address");
    let Some(_daemon) = daemon(at.port(), listener.at()) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let packet = b"x:2|c|@0.5\ny:3|ms|#env:prod\nq:-1|g\nu:a|s";
    until("a copy arrives", || {
        // It is refused until the daemon listens.
        let _ = sender.send_to(packet, at);
        listener.counts().packets >= 20
    });
    let counts = listener.counts();
    assert_eq!((counts.metrics, counts.malformed, counts.dropped), (counts.packets * 4, 0, 0), "{counts:?}");
}

#[test]
fn a_packet_that_is_read_late_has_the_time_of_its_arrival() {
    let socket = socket::open("127.0.0.1:0".parse().expect("an address"), BUFFER).expect("it listens");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    // The kernel begins to stamp packets a moment after it was asked to; until then they are as old as their reading.
    until("a packet is stamped as it arrives", || {
        sender.send_to(b"x:1|c", socket.local_addr().expect("its address")).expect("it is sent");
        let sent = Instant::now();
        until("some time has passed", || sent.elapsed() > Duration::from_millis(50));
        let got =
            socket::receive(socket.as_raw_fd(), &mut [0; 9], &mut socket::control()).expect("it is there");
        assert_eq!((got.bytes, Some(got.from)), (5, sender.local_addr().ok()));
        now_us() - got.at_us >= 40_000
    });
}
