//! What a queue can keep: added delay against packets a second, how many it can serve at all, and TCP through it.
//!
//! `cargo run --release -p firedrill-agent --example queue_bench`, as root or as a user who may make namespaces. All in
//! fresh namespaces; nothing outside is touched.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
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
    testing::{Netns, address, join, up},
};
use nix::{
    sched::{CloneFlags, unshare},
    unistd::{getgid, getuid},
};

type Failure = Box<dyn std::error::Error>;

const TABLE: &str = "fd_bench";
const ASKED: Duration = Duration::from_millis(10);
const HOURS: Duration = Duration::from_secs(7200);

struct World {
    host: Netns,
    peer: Netns,
    nft: Nft,
    queues: Queues,
}

fn main() -> Result<(), Failure> {
    let user = getuid();
    if user.is_root() {
        unshare(CloneFlags::CLONE_NEWNET)?;
    } else {
        let group = getgid();
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    }
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
        self.queues.start(Spec { number: FIRST, impair, seed: 1, memory, every, alive: Box::new(|| {}) })?;
        Ok(())
    }

    fn rules(&self, hook: Hook) -> Result<(), Failure> {
        let again = Exprs::new().meta(Meta::Priority).compare(Compare::Is, &TAG.to_ne_bytes()).accept();
        let gates = Gate::usual(HOURS, HOURS);
        let chains = vec![Chain {
            name: "queued".to_owned(),
            place: Some(Place::at(hook, EARLY)),
            rules: vec![again, gated(&gates).queue(FIRST)],
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

    fn ends(&self, hook: Hook) -> (&Netns, &Netns, SocketAddr) {
        if hook == Hook::Output {
            (&self.host, &self.peer, SocketAddr::from(([10, 1, 0, 2], 9000)))
        } else {
            (&self.peer, &self.host, SocketAddr::from(([10, 1, 0, 1], 9000)))
        }
    }

    fn sockets(&self, hook: Hook) -> Result<(UdpSocket, UdpSocket), Failure> {
        let (from, at, to) = self.ends(hook);
        let server = at.run(|| UdpSocket::bind(to))?;
        let client = from.run(|| UdpSocket::bind("0.0.0.0:0"))?;
        client.connect(to)?;
        // More than the machine's limit is not always to be had; what is lost for that is told.
        let _ = nix::sys::socket::setsockopt(&server, nix::sys::socket::sockopt::RcvBufForce, &(64 << 20));
        server.set_read_timeout(Some(Duration::from_millis(300)))?;
        Ok((client, server))
    }
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The errors of the latencies of all that arrives, in microseconds, until nothing does.
fn receive(server: &UdpSocket, began: Instant) -> Vec<i64> {
    let mut errors = Vec::new();
    let mut datagram = [0; 64];
    while server.recv(&mut datagram).is_ok() {
        let sent = datagram.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let latency = Duration::from_nanos(nanoseconds(began).saturating_sub(sent)).as_micros();
        errors.push(i64::try_from(latency).unwrap_or(i64::MAX) - 10_000);
    }
    errors.sort_unstable();
    errors
}

fn datagrams(world: &World, hook: Hook, rate: u32) -> Result<(), Failure> {
    let (client, server) = world.sockets(hook)?;
    let began = Instant::now();
    let used = cpu();
    let total = rate * 2;
    let (errors, behind) = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&server, began));
        let mut behind = Duration::ZERO;
        for number in 0..total {
            let due = Duration::from_secs(2) * number / total;
            loop {
                let now = began.elapsed();
                if now >= due {
                    behind = behind.max(now - due);
                    break;
                }
                if due - now > Duration::from_micros(100) {
                    thread::sleep(due - now - Duration::from_micros(80));
                }
            }
            // What a full device cannot take is missing at the end.
            let _ = client.send(&[&nanoseconds(began).to_ne_bytes()[..], &[0; 56]].concat());
        }
        (receiver.join().unwrap_or_default(), behind)
    });
    let counts = world.counts();
    let arrived = i64::try_from(errors.len())?.max(1);
    let mean = errors.iter().sum::<i64>() / arrived;
    let at = |share: usize| errors.get(errors.len() * share / 1000).copied().unwrap_or_default();
    let own = i64::try_from(counts.delay_us / counts.passed.max(1))? - 10_000;
    println!(
        "{rate:>8}/s: error mean {mean:>6} µs, median {:>6}, p99 {:>6}, p99.9 {:>6}; by the queue's own count {own:>4}; \
         {} of {total} arrived, {} overflowed, {} failed; sender at most {behind:?} behind; {:.2} s of CPU in all",
        at(500),
        at(990),
        at(999),
        errors.len(),
        counts.overflowed,
        counts.failed,
        cpu().saturating_sub(used).as_secs_f64(),
    );
    Ok(())
}

/// As many as can be sent.
fn flood(world: &World, hook: Hook) -> Result<(), Failure> {
    let (client, _server) = world.sockets(hook)?;
    let began = Instant::now();
    let used = thread_cpu();
    let mut sent = 0_u32;
    while began.elapsed() < Duration::from_secs(2) {
        for _ in 0..100 {
            sent += u32::from(client.send(&[0; 64]).is_ok());
        }
    }
    let counts = world.counts();
    println!(
        "   flood: {} sent, {} seen and {} passed a second ({} overflowed); sender used {:.2} of its 2 s",
        sent / 2,
        counts.seen / 2,
        counts.passed / 2,
        counts.overflowed,
        thread_cpu().saturating_sub(used).as_secs_f64()
    );
    Ok(())
}

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
    let counts = world.counts();
    println!(
        "TCP, {hook:?}: {} Mbit/s; {} packets seen, {} overflowed, {} failed",
        bytes * 8 / 1_000_000 / length.as_secs(),
        counts.seen,
        counts.overflowed,
        counts.failed
    );
    Ok(())
}

fn cpu() -> Duration {
    used(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

fn thread_cpu() -> Duration {
    used(nix::sys::resource::UsageWho::RUSAGE_THREAD)
}

fn used(who: nix::sys::resource::UsageWho) -> Duration {
    nix::sys::resource::getrusage(who).map_or(Duration::ZERO, |usage| {
        let part = |time: nix::sys::time::TimeVal| {
            let whole = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0));
            whole + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
        };
        part(usage.user_time()) + part(usage.system_time())
    })
}
