//! Measures how many packets of StatsD per second a listener can receive without loss. A second process sends them on loopback.
//!
//! `cargo run --release -p firedrill-sources --example statsd_bench [-- PACKETS_A_SECOND… ]`

use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
    time::{Duration, Instant},
};

use firedrill_sources::{Counts, Listener, SourceKind};

type Failure = Box<dyn std::error::Error>;

/// The first argument of the process that sends.
const SEND: &str = "send";
/// Time for which packets are sent.
const SECONDS: u64 = 5;
/// The text of each packet, with three metrics.
const PACKET: &str =
    "shop.requests:1|c|#env:prod,code:ok\nshop.buy:23.4|ms|@0.5|#env:prod\nshop.queue:12|g|#q:orders";
/// Number of packets that are sent at once before the sender waits.
const BURST: u64 = 20;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [first, to, rate] = words.as_slice()
        && first == SEND
    {
        return send(to.parse()?, rate.parse()?);
    }
    let rates = if words.is_empty() {
        vec!["10000".to_owned(), "50000".to_owned(), "100000".to_owned()]
    } else {
        words
    };
    for rate in rates {
        bench(rate.parse()?)?;
    }
    Ok(())
}

/// Sends packets at a rate for some seconds.
fn send(to: SocketAddr, rate: u64) -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    let start = Instant::now();
    let total = rate * SECONDS;
    let mut sent = 0;
    while sent < total {
        let due = start + Duration::from_secs_f64(sent as f64 / rate as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for _ in 0..BURST.min(total - sent) {
            socket.send(PACKET.as_bytes())?;
            sent += 1;
        }
    }
    Ok(())
}

/// Measures one rate, in packets per second, and prints the result.
fn bench(rate: u64) -> Result<(), Failure> {
    // A port that is free: the socket that had it is closed at once.
    let at = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let source: SourceKind =
        serde_json::from_value(serde_json::json!({ "statsd": { "listen": at.to_string() } }))?;
    let questions = [
        "rate(shop.requests{env=\"prod\"}[1s])",
        "p99(shop.buy[1s])",
        "last(shop.queue[1s])",
        "total(shop.lost[1s]) alive by shop.requests",
    ];
    let listener: Listener = source.listens().ok_or("it listens")?.open(&questions)?;
    let (start, busy) = (Instant::now(), worked()?);
    let status =
        Command::new(std::env::current_exe()?).args([SEND, &at.to_string(), &rate.to_string()]).status()?;
    if !status.success() {
        return Err(format!("the sender ended with {status}").into());
    }
    let took = start.elapsed().as_secs_f64();
    let sent = rate * SECONDS;
    let end = Instant::now() + Duration::from_secs(10);
    let counts: Counts = loop {
        let counts = listener.counts();
        if counts.packets + counts.dropped >= sent || Instant::now() > end {
            break counts;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let share = (worked()? - busy) / start.elapsed().as_secs_f64() * 100.0;
    println!(
        "{:.0} packets a second wanted, {:.0} sent: {} of {sent} read, {} dropped, {share:.0} % of a core, buffer {} KiB",
        rate as f64,
        sent as f64 / took,
        counts.packets,
        counts.dropped,
        listener.buffer() / 1024
    );
    Ok(())
}

/// Returns the processor time of this process, in seconds.
fn worked() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let rest = stat.rsplit_once(") ").ok_or("/proc/self/stat has another form")?.1;
    // Fields 14 and 15 of the whole line are the user and the system time, in ticks of 10 ms. The rest begins with field 3.
    let ticks = |index: usize| rest.split(' ').nth(index).and_then(|text| text.parse::<f64>().ok());
    Ok((ticks(11).ok_or("no ticks")? + ticks(12).ok_or("no ticks")?) / 100.0)
}
