//! Numbered datagrams in transit, and their results.

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

pub(crate) fn throttle(to: &str, more: &str) -> Fault {
    fault(&format!(r#"{{"net-throttle":{{"to":"{to}","rate":"400kbit","burst":"2kB"{more}}}}}"#))
}

/// Whether that many, sent all at once, took as long as that.
pub(crate) fn slowed(trip: &Trip) -> bool {
    trip.lasted > Duration::from_millis(550)
}

pub(crate) fn slow(to: &str, delay: &str) -> Fault {
    fault(&format!(r#"{{"net-slow":{{"to":"{to}","delay":"{delay}"}}}}"#))
}

/// The result of a flow of numbered datagrams: how long each arrival took, by number; and the numbers in order of
/// arrival.
pub(crate) struct Trip {
    pub(crate) took: BTreeMap<u32, Vec<Duration>>,
    pub(crate) order: Vec<u32>,
    /// From the first that was sent to the last that arrived.
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

/// Whether datagrams come sooner than that. On a busy machine all of one flow may be late, so that others are tried: what a fault delays
/// is late in each of them.
pub(crate) fn within(ends: (&UdpSocket, &UdpSocket), most: Duration) -> bool {
    let soonest = || trip(ends, 20, Duration::from_secs(1)).took.into_values().flatten().min();
    (0..10).any(|_| soonest().is_some_and(|took| took < most))
}

/// The same from the host to a peer.
pub(crate) fn out_within(world: &World, to: &str, most: Duration) -> bool {
    let (near, far) = world.flow(to);
    within((&near, &far), most)
}

/// Whether [`COUNT`] datagrams are not [`slowed`]; tried again as in [`within`].
pub(crate) fn at_full_rate(ends: (&UdpSocket, &UdpSocket)) -> bool {
    (0..5).any(|_| !slowed(&rush(ends)))
}

/// The same from the host to a peer.
pub(crate) fn out_at_full_rate(world: &World, to: &str) -> bool {
    let (near, far) = world.flow(to);
    at_full_rate((&near, &far))
}

/// Sends this many from one to the other, like a program, and waits until nothing has arrived for `silence` after the last.
pub(crate) fn trip(ends: (&UdpSocket, &UdpSocket), count: u32, silence: Duration) -> Trip {
    paced(ends, count, silence, Duration::from_micros(200))
}

/// Sends [`COUNT`] all at once.
pub(crate) fn rush(ends: (&UdpSocket, &UdpSocket)) -> Trip {
    paced(ends, COUNT, Duration::from_secs(1), Duration::ZERO)
}

/// The same from the host to a peer.
pub(crate) fn rush_out(world: &World, to: &str) -> Trip {
    let (near, far) = world.flow(to);
    rush((&near, &far))
}

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
                assert!(intact && number < count, "what the receiver's checksum let through is whole");
                got.push((number, Instant::now()));
                if missing.remove(&number) && missing.is_empty() {
                    // Only copies of arrived ones can still arrive.
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
        // Also after a failure: the receiver waits for it.
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

pub(crate) const SOON: Duration = Duration::from_millis(60);
pub(crate) const LATE: Duration = Duration::from_millis(149);
