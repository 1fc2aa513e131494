//! Measures faults that shape or block traffic: the delays of packets that are chosen and of packets that are not, compared with netem that
//! is set up by hand; the times to install and to undo faults; and how soon traffic is normal when the process that made a fault is killed
//! or stopped.
//!
//! `cargo run --release -p firedrill-agent --example line_bench`, as root or as a user who may make namespaces. It works
//! in new namespaces, and changes nothing outside. Parts for which this kernel has no netem are reported and left out.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use firedrill_agent::{
    fault::of,
    host::{Host, kinds::has_qdisc},
    injection::{Ask, Live},
    testing::{Netns, address, host, join, leave, up},
};
use firedrill_netlink::{Attrs, Request, Socket};
use firedrill_wire::{Fault, Span, fault::Engine};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

type Failure = Box<dyn std::error::Error>;

/// The peer whose packets the faults delay.
const CHOSEN: [u8; 4] = [10, 1, 0, 2];
/// A peer on the same interface whose packets pass unchanged.
const NEIGHBOUR: [u8; 4] = [10, 1, 0, 3];
/// The delay of netem by hand.
const ASKED: Duration = Duration::from_millis(100);
/// The time for which a measured fault is in force: the kernel has finished installing it by then.
const HELD: Duration = Duration::from_millis(100);
const LEASE: Duration = Duration::from_secs(2);

struct World {
    host: Host,
    here: Netns,
    peer: Netns,
}

fn main() -> Result<(), Failure> {
    if let Some(engine) = std::env::args().nth(1) {
        return own(&engine);
    }
    leave()?;
    let world = World::new();
    let netem = has_qdisc("netem");
    world.report("no fault")?;
    let throttle =
        parse(r#"{"net-throttle":{"to":"10.1.0.2","rate":"100gbit","burst":"1MB","engine":"kernel"}}"#)?;
    world.during(&throttle, || world.report("net-throttle at 100 Gbit/s in the kernel"))?;
    match &netem {
        Ok(()) => {
            world.during(&slow("kernel")?, || world.report("net-slow by 100 ms in the kernel"))?;
            world.by_hand(|| world.report("netem by 100 ms as the root qdisc of eth0"))?;
            world.report("no fault again")?;
        }
        Err(why) => println!("netem: left out, {why}"),
    }
    println!(
        "install and undo, staged as in a drill; the maximum may include the time to load kernel modules"
    );
    world.timed("net-slow in user space", &slow("user-space")?, 20)?;
    if netem.is_ok() {
        world.timed("net-slow in the kernel", &slow("kernel")?, 20)?;
    }
    world.timed("net-throttle in the kernel", &throttle, 20)?;
    world.timed("net-block, 1,000 peers", &block(1_000)?, 20)?;
    world.timed("net-block, 100,000 CIDRs", &block(100_000)?, 3)?;
    let mut engines = if netem.is_ok() { vec!["kernel", "user-space"] } else { vec!["user-space"] };
    match by_iptables(1).and_then(|fault| live(&world.host, &fault, "bench-iptables-1")) {
        Ok(_) => {
            world.timed("net-block by iptables, 1 peer", &by_iptables(1)?, 20)?;
            world.timed("net-block by iptables, 1,000 peers", &by_iptables(1_000)?, 5)?;
            engines.push("iptables");
        }
        Err(why) => println!("iptables: left out, {why}"),
    }
    if let Err(why) = world.undone_by_hand() {
        println!("by hand: left out, {why}");
    }
    for engine in engines {
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            world.ended(engine, signal)?;
        }
    }
    Ok(())
}

/// Returns a net-block of this number of networks by iptables.
fn by_iptables(peers: u32) -> Result<Fault, Failure> {
    let mut fault = block(peers)?;
    if let Fault::NetBlock(block) = &mut fault {
        block.engine = Engine::Iptables;
    }
    Ok(fault)
}

fn parse(json: &str) -> Result<Fault, Failure> {
    Ok(serde_json::from_str(json)?)
}

/// Returns a net-slow of the chosen peer.
fn slow(engine: &str) -> Result<Fault, Failure> {
    parse(&format!(r#"{{"net-slow":{{"to":"10.1.0.2","delay":"100ms","engine":"{engine}"}}}}"#))
}

/// Returns a net-block of `count` networks. They are not adjacent, so that none is merged with another.
fn block(count: u32) -> Result<Fault, Failure> {
    let first = u32::from(Ipv4Addr::new(20, 0, 0, 0));
    let networks = (0..count).map(|n| format!("\"{}/31\"", Ipv4Addr::from(first + 4 * n)));
    parse(&format!(r#"{{"net-block":{{"to":[{}]}}}}"#, networks.collect::<Vec<_>>().join(",")))
}

/// Prepares a fault.
fn live(host: &Host, fault: &Fault, id: &str) -> Result<Live, Failure> {
    let ask = Ask { id: id.parse()?, fault: fault.clone(), hold: Span::secs(600) };
    let prepared = of(fault).prepare(host, &ask).map_err(|problem| problem.title)?;
    let ends_boot_us = firedrill_probe::clock::boot_us() + 600_000_000;
    Ok(Live { ask, prepared, ends_boot_us, lease: LEASE.into() })
}

/// The role of another process: makes a net-slow, and renews its lease until the process is killed.
fn own(engine: &str) -> Result<(), Failure> {
    let host = host(Path::new("/nonexistent"));
    let fault = slow(engine)?;
    let live = live(&host, &fault, &format!("bench-{engine}"))?;
    of(&fault).inject(&host, &live).map_err(|error| error.to_string())?;
    println!("ready");
    std::io::stdout().flush()?;
    loop {
        thread::sleep(LEASE / 4);
        of(&fault).renew(&host, &live, LEASE.into()).map_err(|error| error.to_string())?;
    }
}

impl World {
    fn new() -> Self {
        let (here, peer) = (Netns::current(), Netns::fresh());
        up(&here, "lo");
        join(&here, "eth0", &peer, "peer0");
        address(&here, "eth0", "10.1.0.1/24");
        address(&peer, "peer0", "10.1.0.2/24");
        address(&peer, "peer0", "10.1.0.3/24");
        Self { host: host(Path::new("/nonexistent")), here, peer }
    }

    /// Runs a function while a fault is in force.
    fn during(&self, fault: &Fault, what: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let live = live(&self.host, fault, "bench-run-1")?;
        // This fault is never renewed, so its lease is long.
        let live = Live { lease: Span::secs(600), ..live };
        of(fault).inject(&self.host, &live).map_err(|error| error.to_string())?;
        let outcome = what();
        self.undo(&live)?;
        outcome
    }

    fn undo(&self, live: &Live) -> Result<(), Failure> {
        for undo in live.prepared.undo.iter().rev() {
            undo.apply(&self.host).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Runs a function while netem is the root qdisc of eth0, as people set it up by hand.
    fn by_hand(&self, what: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let index = self.here.run(|| nix::net::if_::if_nametoindex("eth0"))?;
        let mut header = [0; 20];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        // tc_netem_qopt: the delay in ticks of 64 ns, and tc's own limit of 1000 packets.
        let ticks = u32::try_from(ASKED.as_nanos() / 64)?;
        let options: Vec<u8> = [ticks, 1000, 0, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let body = Attrs::new().text(1, "netem").bytes(2, &options).after(&header).ok_or("too long")?;
        let flags = u16::try_from(libc::NLM_F_CREATE | libc::NLM_F_REPLACE)?;
        let mut socket = Socket::open(libc::NETLINK_ROUTE)?;
        socket.request("install netem by hand", &Request { kind: libc::RTM_NEWQDISC, flags, body })?;
        let outcome = what();
        socket.request(
            "remove netem",
            &Request { kind: libc::RTM_DELQDISC, flags: 0, body: header.to_vec() },
        )?;
        outcome
    }

    /// Prints the delays of packets to the chosen peer and to its neighbour, and the rate of TCP to the neighbour.
    fn report(&self, what: &str) -> Result<(), Failure> {
        let (chosen, neighbour) = (self.latency(CHOSEN)?, self.latency(NEIGHBOUR)?);
        println!(
            "{what}: chosen {chosen}; neighbour on the same interface {neighbour}, TCP {} Mbit/s",
            self.throughput(NEIGHBOUR)?
        );
        Ok(())
    }

    /// Measures the one-way delays of about 500 datagrams a second, from before each is sent until a thread of this program has received it.
    fn latency(&self, to: [u8; 4]) -> Result<String, Failure> {
        const COUNT: u32 = 1_500;
        let to = SocketAddr::from((to, 9000));
        let server = self.peer.run(|| UdpSocket::bind(to))?;
        server.set_read_timeout(Some(Duration::from_millis(500)))?;
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0"))?;
        client.connect(to)?;
        let reader = thread::spawn(move || {
            let (mut took, mut datagram) = (Vec::new(), [0; 64]);
            while server.recv(&mut datagram).is_ok() {
                let sent = datagram.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
                took.push(wall().saturating_sub(sent) / 1_000);
            }
            took
        });
        for _ in 0..COUNT {
            client.send(&[&wall().to_ne_bytes()[..], &[0; 56]].concat())?;
            thread::sleep(Duration::from_millis(2));
        }
        let mut took = reader.join().map_err(|_| "the reader died")?;
        took.sort_unstable();
        let mean = took.iter().sum::<u64>() / u64::try_from(took.len())?.max(1);
        let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
        Ok(format!("mean {:.3} ms, p99 {:.3} ms", ms(mean)?, ms(p99)?))
    }

    /// Measures the rate of a TCP stream, in Mbit/s.
    fn throughput(&self, to: [u8; 4]) -> Result<u64, Failure> {
        const LENGTH: Duration = Duration::from_secs(3);
        let to = SocketAddr::from((to, 9001));
        let listener = self.peer.run(|| TcpListener::bind(to))?;
        let mut client = self.here.run(|| TcpStream::connect(to))?;
        let (mut server, _) = listener.accept()?;
        let receiver = thread::spawn(move || {
            let (mut piece, mut bytes) = (vec![0; 256 << 10], 0_u64);
            while let Ok(length @ 1..) = server.read(&mut piece) {
                bytes += u64::try_from(length).unwrap_or(0);
            }
            bytes
        });
        let (piece, began) = (vec![0; 256 << 10], Instant::now());
        while began.elapsed() < LENGTH && client.write_all(&piece).is_ok() {}
        drop(client);
        let bytes = receiver.join().map_err(|_| "the reader died")?;
        Ok(bytes * 8 / 1_000_000 / LENGTH.as_secs())
    }

    /// Prints how long staging, injecting and undoing a fault take.
    fn timed(&self, what: &str, fault: &Fault, times: u32) -> Result<(), Failure> {
        let (mut staged, mut opened, mut undone) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..times {
            let live = live(&self.host, fault, &format!("bench-time-{number}"))?;
            let began = Instant::now();
            of(fault).stage(&self.host, &live).map_err(|error| error.to_string())?;
            staged.push(began.elapsed());
            let began = Instant::now();
            of(fault).inject(&self.host, &live).map_err(|error| error.to_string())?;
            opened.push(began.elapsed());
            thread::sleep(HELD);
            let began = Instant::now();
            self.undo(&live)?;
            undone.push(began.elapsed());
        }
        println!(
            "{what}: staged in {}, in force in {}, undone in {}",
            median(&mut staged),
            median(&mut opened),
            median(&mut undone)
        );
        Ok(())
    }

    /// Prints how long it takes to remove similar things by hand: an ifb with `ip`, and two rules with `iptables`.
    fn undone_by_hand(&self) -> Result<(), Failure> {
        let run = |words: &str| -> Result<(), Failure> {
            let mut words = words.split(' ');
            let status = Command::new(words.next().unwrap_or_default())
                .args(words)
                .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
                .stdin(Stdio::null())
                .status()?;
            if status.success() { Ok(()) } else { Err("a command by hand failed".into()) }
        };
        let rules = ["INPUT -s 10.1.0.2 -j DROP", "OUTPUT -d 10.1.0.2 -j DROP"];
        let iptables =
            |how: &str| rules.iter().try_for_each(|rule| run(&format!("iptables -w {how} {rule}")));
        let (mut interface, mut two_rules) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            run("ip link add by-hand up type ifb")?;
            thread::sleep(HELD);
            let began = Instant::now();
            run("ip link delete by-hand")?;
            interface.push(began.elapsed());
            iptables("-I")?;
            thread::sleep(HELD);
            let began = Instant::now();
            iptables("-D")?;
            two_rules.push(began.elapsed());
        }
        println!(
            "by hand: `ip link delete` of one ifb in {}, `iptables -D` of two rules in {}",
            median(&mut interface),
            median(&mut two_rules)
        );
        Ok(())
    }

    /// Prints how soon packets are not delayed any more after a signal to the process that made the fault.
    fn ended(&self, engine: &str, signal: Signal) -> Result<(), Failure> {
        let mut child = owner(engine)?;
        let to = SocketAddr::from((CHOSEN, 9002));
        let server = self.peer.run(|| UdpSocket::bind(to))?;
        server.set_read_timeout(Some(Duration::from_millis(20)))?;
        let client = self.here.run(|| UdpSocket::bind("0.0.0.0:0"))?;
        client.connect(to)?;
        client.send(&[0; 64])?;
        if server.recv(&mut [0; 64]).is_ok() {
            return Err("the fault did not delay a packet".into());
        }
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        let began = Instant::now();
        // Each datagram contains its number of nanoseconds since the signal. The datagrams that the fault has delayed arrive meanwhile: only
        // the one that was sent in this round counts.
        let normal = loop {
            let sent = Instant::now();
            client.send(&u64::try_from(began.elapsed().as_nanos())?.to_ne_bytes())?;
            let sent_at = |bytes: &[u8; 64]| u64::from_ne_bytes(*bytes.first_chunk().unwrap_or(&[0; 8]));
            let mut datagram = [0; 64];
            if server.recv(&mut datagram).is_ok()
                && sent_at(&datagram) >= u64::try_from((sent - began).as_nanos())?
            {
                break began.elapsed();
            }
            if began.elapsed() > LEASE * 3 {
                return Err(format!("{engine}: still late {:?} after {signal}", began.elapsed()).into());
            }
        };
        println!(
            "{engine}: packets are not delayed {normal:.1?} after {signal} to the process that made the fault (lease {LEASE:?})"
        );
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL)?;
        child.wait()?;
        let left = live(&self.host, &slow(engine)?, &format!("bench-{engine}"))?;
        self.undo(&left)
    }
}

/// Returns the median and the maximum as a text.
fn median(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let most = times.last().copied().unwrap_or_default();
    format!("{:.1?} (most {most:.1?})", times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Starts another process that plays [`own`], and waits until its fault is in force.
fn owner(engine: &str) -> Result<Child, Failure> {
    let mut child = Command::new(std::env::current_exe()?).arg(engine).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    match BufReader::new(output).lines().next() {
        Some(Ok(line)) if line == "ready" => Ok(child),
        other => Err(format!("the other process printed {other:?}").into()),
    }
}

fn ms(micros: u64) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(micros)?) / 1_000.0)
}

/// Returns the time of day, in nanoseconds.
fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
