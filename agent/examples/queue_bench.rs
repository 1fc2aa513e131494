//! Measures a queue in user space: the error of its delay at several rates, the maximum rate, and TCP through it.
//!
//! `cargo run --release -p firedrill-agent --example queue_bench`, as root or as a user who may make namespaces. It
//! works in new namespaces, and changes nothing outside.

use std::{
    io::{IoSliceMut, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
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
    testing::{Netns, address, join, leave, up},
};
use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
    time::TimeSpec,
};

type Failure = Box<dyn std::error::Error>;

const TABLE: &str = "fd_bench";
/// The delay that the queue is asked to add to datagrams.
const ASKED: Duration = Duration::from_millis(10);
const HOURS: Duration = Duration::from_secs(7200);

struct World {
    host: Netns,
    peer: Netns,
    nft: Nft,
    queues: Queues,
}

fn main() -> Result<(), Failure> {
    leave()?;
    let world = World::new();
    println!("without a queue");
    for hook in [Hook::Output, Hook::Input] {
        tcp(&world, hook)?;
    }
    for hook in [Hook::Output, Hook::Input] {
        println!("{hook:?}, {ASKED:?} asked");
        for rate in [1_000, 10_000, 50_000, 150_000] {
            world.start(ASKED)?;
            world.rules(hook)?;
            datagrams(&world, hook, rate)?;
            world.end();
        }
        world.start(ASKED)?;
        world.rules(hook)?;
        flood(&world, hook)?;
        world.end();
    }
    for delay in [Duration::from_millis(5), Duration::from_millis(50)] {
        println!("{delay:?} asked");
        for hook in [Hook::Output, Hook::Input] {
            world.start(delay)?;
            world.rules(hook)?;
            tcp(&world, hook)?;
            world.end();
        }
    }
    Ok(())
}

impl World {
    fn new() -> Self {
        let (host, peer) = (Netns::current(), Netns::fresh());
        up(&host, "lo");
        join(&host, "eth0", &peer, "peer0");
        address(&host, "eth0", "10.1.0.1/24");
        address(&peer, "peer0", "10.1.0.2/24");
        Self { host, peer, nft: Nft::default(), queues: Queues::default() }
    }

    fn start(&self, delay: Duration) -> Result<(), Failure> {
        let impair = Impair { delay, ..Impair::default() };
        let (memory, every) = (256 << 20, Duration::from_millis(200));
        self.queues.start(Spec {
            number: FIRST,
            owner: 0,
            impair,
            look: None,
            seed: 1,
            memory,
            every,
            sender: None,
            alive: Box::new(|| {}),
        })?;
        Ok(())
    }

    /// Sends packets at the hook to the queue, except those that the queue has released.
    fn rules(&self, hook: Hook) -> Result<(), Failure> {
        let released = Exprs::new().meta(Meta::Priority).compare(Compare::Is, &TAG.to_ne_bytes()).accept();
        let gates = Gate::usual(HOURS, HOURS);
        let chains = vec![Chain {
            name: "queued".to_owned(),
            place: Some(Place::at(hook, EARLY)),
            rules: vec![released, gated(&gates).queue(FIRST)],
        }];
        let (name, comment, sets) = (TABLE.to_owned(), String::new(), Vec::new());
        self.nft.install(&Table { name, comment, sets, chains, gates, ..Table::default() })?;
        Ok(())
    }

    fn end(&self) {
        self.queues.stop(FIRST);
        if let Err(error) = self.nft.delete_table(TABLE) {
            eprintln!("{error}");
        }
    }

    fn counts(&self) -> Counts {
        self.queues.counts(FIRST).unwrap_or_default()
    }

    /// Returns the sender, the receiver, and the receiver's address for packets that pass the hook on the host.
    fn ends(&self, hook: Hook) -> (&Netns, &Netns, SocketAddr) {
        if hook == Hook::Output {
            (&self.host, &self.peer, SocketAddr::from(([10, 1, 0, 2], 9000)))
        } else {
            (&self.peer, &self.host, SocketAddr::from(([10, 1, 0, 1], 9000)))
        }
    }

    /// Returns the sender's and the receiver's socket.
    fn sockets(&self, hook: Hook) -> Result<(UdpSocket, UdpSocket), Failure> {
        let (from, at, to) = self.ends(hook);
        let server = at.run(|| UdpSocket::bind(to))?;
        let client = from.run(|| UdpSocket::bind("0.0.0.0:0"))?;
        client.connect(to)?;
        // Not every user may set a buffer beyond the machine's limit. With a smaller buffer, lost datagrams show in the report.
        let _ = setsockopt(&server, sockopt::RcvBufForce, &(256 << 20));
        setsockopt(&server, sockopt::ReceiveTimestampns, &true)?;
        server.set_read_timeout(Some(Duration::from_millis(300)))?;
        Ok((client, server))
    }
}

/// Returns how much later than [`ASKED`] each datagram arrived, in nanoseconds, in ascending order. For outgoing packets the arrival is the
/// time stamp of the receiver's kernel, so the wake-up of this program is not included. Incoming packets get their time stamp before the
/// queue, so their arrival is the time when this program has read them.
fn receive(hook: Hook, server: &UdpSocket) -> Result<Vec<i64>, Failure> {
    let mut errors = Vec::new();
    let mut datagram = [0; 64];
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        let mut parts = [IoSliceMut::new(&mut datagram)];
        let fd = server.as_raw_fd();
        let Ok(message) = recvmsg::<()>(fd, &mut parts, Some(&mut control), MsgFlags::empty()) else { break };
        let time_stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(time) if hook == Hook::Output => {
                Some(Duration::from(time).as_nanos())
            }
            _ => None,
        });
        let arrived = time_stamp.unwrap_or_else(|| u128::from(wall()));
        let sent = datagram.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        errors.push(i64::try_from(arrived)? - i64::try_from(sent)? - i64::try_from(ASKED.as_nanos())?);
    }
    errors.sort_unstable();
    Ok(errors)
}

/// Returns the time of day in nanoseconds, by the clock of the kernel's time stamps.
fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the CPU time of the queue's thread, and the time for which it waited for a CPU.
fn loop_used() -> (Duration, Duration) {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let queue = tasks
        .map(|task| task.path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("queue-")));
    let times =
        queue.and_then(|task| std::fs::read_to_string(task.join("schedstat")).ok()).unwrap_or_default();
    let mut times =
        times.split_ascii_whitespace().map(|time| Duration::from_nanos(time.parse().unwrap_or(0)));
    (times.next().unwrap_or_default(), times.next().unwrap_or_default())
}

/// Sends datagrams at a rate for a second, and prints the errors of their delays.
fn datagrams(world: &World, hook: Hook, rate: u32) -> Result<(), Failure> {
    let (client, server) = world.sockets(hook)?;
    let reader = (hook != Hook::Output).then(|| {
        let server = server.try_clone()?;
        Ok::<_, Failure>(thread::spawn(move || receive(hook, &server).map_err(|error| error.to_string())))
    });
    let began = Instant::now();
    // The datagrams of one second.
    let total = rate;
    let mut behind = Duration::ZERO;
    for number in 0..total {
        let due = Duration::from_secs(1) * number / total;
        let left = due.saturating_sub(began.elapsed());
        // Datagrams that are due within 100 µs are sent now: a wake-up for each would load the machine, and change the result.
        if left > Duration::from_micros(100) {
            thread::sleep(left);
        }
        behind = behind.max(began.elapsed().saturating_sub(due));
        // Packets that a full device cannot take are missing at the end.
        let _ = client.send(&[&wall().to_ne_bytes()[..], &[0; 56]].concat());
    }
    thread::sleep(ASKED * 5);
    let (counts, (used, waited)) = (world.counts(), loop_used());
    let errors = match reader.transpose()? {
        Some(reader) => reader.join().map_err(|_| "the reader died")??,
        None => receive(hook, &server)?,
    };
    let counted = i64::try_from(counts.delay_us / counts.passed.max(1))? - i64::try_from(ASKED.as_micros())?;
    let at = |share: usize| errors.get(errors.len() * share / 1000).copied().unwrap_or_default() / 1_000;
    println!(
        "{rate:>8}/s: error mean {:>5} µs, median {:>5}, p99 {:>6}, p99.9 {:>6}; by the queue's count {counted:>4}; {} of {total} arrived, {} overflowed, \
         {} failed; its thread used {used:.2?} and was kept waiting {waited:.2?}; sender at most {behind:.1?} behind",
        errors.iter().sum::<i64>() / i64::try_from(errors.len())?.max(1) / 1_000,
        at(500),
        at(990),
        at(999),
        errors.len(),
        counts.overflowed,
        counts.failed,
    );
    Ok(())
}

/// Sends as many datagrams as possible for two seconds, and prints how many pass.
fn flood(world: &World, hook: Hook) -> Result<(), Failure> {
    let (client, _server) = world.sockets(hook)?;
    let began = Instant::now();
    let mut sent = 0_u32;
    while began.elapsed() < Duration::from_secs(2) {
        for _ in 0..100 {
            sent += u32::from(client.send(&[0; 64]).is_ok());
        }
    }
    let (counts, (used, waited)) = (world.counts(), loop_used());
    println!(
        "   flood: {} sent, {} seen and {} passed a second, {} overflowed in all; its thread used {used:.2?} and was kept \
         waiting {waited:.2?}, so {:.0} passed a second of CPU",
        sent / 2,
        counts.seen / 2,
        counts.passed / 2,
        counts.overflowed,
        f64::from(u32::try_from(counts.passed)?) / used.as_secs_f64(),
    );
    Ok(())
}

/// Sends a TCP stream for three seconds, and prints its rate.
fn tcp(world: &World, hook: Hook) -> Result<(), Failure> {
    let (from, at, to) = world.ends(hook);
    let listener = at.run(|| TcpListener::bind(to))?;
    let length = Duration::from_secs(3);
    let mut client = from.run(|| TcpStream::connect(to))?;
    let (mut server, _) = listener.accept()?;
    let bytes = thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut piece, mut bytes) = (vec![0; 256 << 10], 0_u64);
            while let Ok(length @ 1..) = server.read(&mut piece) {
                bytes += u64::try_from(length).unwrap_or(0);
            }
            bytes
        });
        let (piece, began) = (vec![0; 256 << 10], Instant::now());
        while began.elapsed() < length && client.write_all(&piece).is_ok() {}
        drop(client);
        receiver.join().unwrap_or_default()
    });
    let (counts, (used, waited)) = (world.counts(), loop_used());
    println!(
        "TCP, {hook:?}: {} Mbit/s; {} packets seen, {} overflowed, {} failed; its thread used {used:.2?} and was kept \
         waiting {waited:.2?}",
        bytes * 8 / 1_000_000 / length.as_secs(),
        counts.seen,
        counts.overflowed,
        counts.failed
    );
    Ok(())
}
