//! Sends numbered datagrams, and measures their losses and delays.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use firedrill_wire::Fault;

use super::world::World;

use super::engine::engine;

/// Length of a datagram, in bytes.
const LENGTH: usize = 200;
/// The maximum time between a datagram and its copy.
const COPIES: Duration = Duration::from_millis(200);

/// Parses a fault; one that shapes traffic gets the engine of the test.
pub(crate) fn fault(json: &str) -> Fault {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    let (kind, parameters) = value.as_object_mut().unwrap().iter_mut().next().unwrap();
    if !matches!(kind.as_str(), "net-block" | "net-dns")
        && parameters.get("engine").is_none()
        && let Some(engine) = engine()
    {
        parameters.as_object_mut().unwrap().insert("engine".to_owned(), engine.word().into());
    }
    serde_json::from_value(value).unwrap()
}

/// The number of datagrams of 228 bytes, and 14 of Ethernet, that take 0.7 s beyond the burst of [`throttle`].
pub(crate) const COUNT: u32 = 150;

/// A net-throttle of 400 kbit/s for a peer; `more` are further parameters.
pub(crate) fn throttle(to: &str, more: &str) -> Fault {
    fault(&format!(r#"{{"net-throttle":{{"to":"{to}","rate":"400kbit","burst":"2kB"{more}}}}}"#))
}

/// Whether [`COUNT`] datagrams that were sent at once took as long as [`throttle`] makes them take.
pub(crate) fn slowed(trip: &Trip) -> bool {
    trip.lasted > Duration::from_millis(550)
}

pub(crate) fn slow(to: &str, delay: &str) -> Fault {
    fault(&format!(r#"{{"net-slow":{{"to":"{to}","delay":"{delay}"}}}}"#))
}

/// The result of a flow of numbered datagrams.
pub(crate) struct Trip {
    /// The delays of each datagram that arrived, by its number; several if it was duplicated.
    pub(crate) took: BTreeMap<u32, Vec<Duration>>,
    /// The numbers in order of arrival.
    pub(crate) order: Vec<u32>,
    /// The time from the first datagram that was sent to the last that arrived.
    pub(crate) lasted: Duration,
}

impl Trip {
    pub(crate) fn lost(&self, sent: u32) -> u32 {
        sent - u32::try_from(self.took.len()).unwrap()
    }

    pub(crate) fn least(&self) -> Duration {
        *self.took.values().flatten().min().unwrap()
    }
}

/// Whether a datagram arrives sooner than `most`. Several flows are tried: on a busy machine all datagrams of one flow may be late, but
/// datagrams that a fault delays are late in each flow.
pub(crate) fn within(ends: (&UdpSocket, &UdpSocket), most: Duration) -> bool {
    let soonest = || trip(ends, 20, Duration::from_secs(1)).took.into_values().flatten().min();
    (0..10).any(|_| soonest().is_some_and(|took| took < most))
}

/// Does the same as the function before, from the host to a peer.
pub(crate) fn out_within(world: &World, to: &str, most: Duration) -> bool {
    let (near, far) = world.flow(to);
    within((&near, &far), most)
}

/// Whether [`COUNT`] datagrams are not [`slowed`]; tried again as in [`within`].
pub(crate) fn at_full_rate(ends: (&UdpSocket, &UdpSocket)) -> bool {
    (0..5).any(|_| !slowed(&rush(ends)))
}

/// Does the same as the function before, from the host to a peer.
pub(crate) fn out_at_full_rate(world: &World, to: &str) -> bool {
    let (near, far) = world.flow(to);
    at_full_rate((&near, &far))
}

/// Sends `count` datagrams from one socket to the other with short pauses, and waits until none has arrived for `silence`.
pub(crate) fn trip(ends: (&UdpSocket, &UdpSocket), count: u32, silence: Duration) -> Trip {
    paced(ends, count, silence, Duration::from_micros(200))
}

/// Sends [`COUNT`] all at once.
pub(crate) fn rush(ends: (&UdpSocket, &UdpSocket)) -> Trip {
    paced(ends, COUNT, Duration::from_secs(1), Duration::ZERO)
}

/// Does the same as the function before, from the host to a peer.
pub(crate) fn rush_out(world: &World, to: &str) -> Trip {
    let (near, far) = world.flow(to);
    rush((&near, &far))
}

/// Sends datagrams with a pause after each, and receives until none has arrived for `silence`.
fn paced((from, to): (&UdpSocket, &UdpSocket), count: u32, silence: Duration, pause: Duration) -> Trip {
    to.set_read_timeout(Some(silence)).unwrap();
    let all_sent = AtomicBool::new(false);
    thread::scope(|scope| {
        let got = scope.spawn(|| {
            let (mut got, mut buffer) = (Vec::new(), [0; 2 * LENGTH]);
            let mut missing: BTreeSet<u32> = (0..count).collect();
            loop {
                // The sender may get no processor for a while.
                let is_last_wait = all_sent.load(Ordering::SeqCst);
                let length = match to.recv(&mut buffer) {
                    Ok(length) => length,
                    // This process was stopped and continued, or the sender has not finished.
                    Err(error) if error.kind() == ErrorKind::Interrupted || !is_last_wait => continue,
                    Err(_) => break,
                };
                let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
                let intact = length == LENGTH && buffer[4..length].iter().all(|&byte| byte == 0x5a);
                assert!(intact && number < count, "a datagram with a right checksum is intact");
                got.push((number, Instant::now()));
                if missing.remove(&number) && missing.is_empty() {
                    // Only copies of datagrams that have arrived can still arrive.
                    to.set_read_timeout(Some(silence.min(COPIES))).unwrap();
                }
            }
            got
        });
        let mut datagram = [0x5a; LENGTH];
        let send = |number: u32| {
            datagram[..4].copy_from_slice(&number.to_be_bytes());
            let at = Instant::now();
            from.send(&datagram)?;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            Ok(at)
        };
        let sent: std::io::Result<Vec<Instant>> = (0..count).map(send).collect();
        // Set after a failure, too: the receiver waits for it.
        all_sent.store(true, Ordering::SeqCst);
        let got = got.join().unwrap();
        let sent = sent.unwrap();
        let lasted = got.last().map_or(Duration::ZERO, |(_, at)| *at - sent[0]);
        let mut trip = Trip { took: BTreeMap::new(), order: Vec::new(), lasted };
        for (number, at) in got {
            trip.took.entry(number).or_default().push(at - sent[number as usize]);
            trip.order.push(number);
        }
        trip
    })
}

pub(crate) fn out(world: &World, to: &str, count: u32) -> Trip {
    let (near, far) = world.flow(to);
    trip((&near, &far), count, Duration::from_secs(1))
}

/// Maximum delay of a datagram that no fault delays.
pub(crate) const SOON: Duration = Duration::from_millis(60);
/// Minimum delay of a datagram that a fault delays by 150 ms.
pub(crate) const LATE: Duration = Duration::from_millis(149);
