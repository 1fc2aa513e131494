//! Receives the packets of StatsD in a separate thread, so that none of them waits for other work.

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use firedrill_probe::clock;

use super::{
    Counts,
    query::Query,
    socket::{self, Got},
    store::Store,
};
use crate::points::{Behind, Point};

/// Size of the kernel's buffer for packets that are not read yet, in bytes.
pub(super) const BUFFER: usize = 8 << 20;
/// Size of the longest packet, in bytes.
const PACKET: usize = 65_536;
/// The longest time between two looks at the kernel's count of dropped packets, in microseconds.
const LOOK_US: i64 = 10_000;
/// The longest time between two looks while no packet arrives, and the longest time until the thread notices that it must end.
const WAIT: Duration = Duration::from_millis(50);

/// The address of a listener, and its questions.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) listen: SocketAddr,
    /// The address that each packet is passed on to; `None` if packets are not passed on.
    pub(crate) forward: Option<SocketAddr>,
    /// The longest silence of a sender that counts as alive.
    pub(crate) within: Duration,
    /// Whether a sign before a gauge's value means a change.
    pub(crate) changes: bool,
    pub(crate) queries: Vec<Query>,
}

/// A listener. It ends when it is dropped.
pub struct Listener {
    store: Arc<Mutex<Store>>,
    /// Whether the thread has to end.
    ends: Arc<AtomicBool>,
    /// The address that it listens on.
    at: SocketAddr,
    /// Size of the kernel's buffer in bytes, as the kernel counts it.
    buffer: usize,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

impl Listener {
    /// Opens the socket and starts the thread that reads it.
    ///
    /// # Errors
    /// The address cannot be listened on. The error is a clause for people, with advice.
    pub(crate) fn open(wanted: Wanted) -> Result<Self, String> {
        Self::with_buffer(wanted, BUFFER)
    }

    /// Does the same as [`Self::open`], with another size of the kernel's buffer, in bytes.
    pub(super) fn with_buffer(wanted: Wanted, buffer: usize) -> Result<Self, String> {
        let Wanted { listen, forward, within, changes, queries } = wanted;
        let socket = socket::open(listen, buffer)?;
        let buffer = socket::buffer(&socket);
        let at = socket.local_addr().unwrap_or(listen);
        let onward = forward.map(socket::towards).transpose()?;
        let within_us = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        let store = Arc::new(Mutex::new(Store::new(queries, within_us, changes, now_us())));
        let ends = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            lost: socket::lost(&socket)?,
            looked_us: now_us(),
            socket,
            onward,
            store: Arc::clone(&store),
            ends: Arc::clone(&ends),
        };
        let thread = std::thread::Builder::new().name("statsd".to_owned());
        thread.spawn(move || reader.read()).map_err(|error| format!("no thread can be started: {error}"))?;
        Ok(Self { store, ends, at, buffer })
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Returns the size of the kernel's buffer in bytes, as the kernel counts it.
    #[must_use]
    pub const fn buffer(&self) -> usize {
        self.buffer
    }

    /// Returns counts of all packets and lines that arrived.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.store().counts()
    }

    /// Returns the reason why a question has no value, in words; `None` if a packet answered it.
    pub(crate) fn missing(&self, query: &str) -> Option<String> {
        self.store().missing(query)
    }

    pub(crate) fn points(
        &self,
        query: &str,
        moments: impl Iterator<Item = i64>,
    ) -> Result<Vec<Point>, String> {
        self.store().points(query, moments)
    }

    pub(crate) fn behind(
        &self,
        queries: &str,
        moments: impl Iterator<Item = i64>,
    ) -> Result<Vec<Behind>, String> {
        self.store().behind(queries, moments)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }
}

/// Locks the store. A panic of another thread does not matter.
fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the listener's clock, which counts from the machine's boot.
fn now_us() -> i64 {
    i64::try_from(clock::boot_us()).unwrap_or(i64::MAX)
}

/// The state of the thread that reads.
struct Reader {
    socket: UdpSocket,
    /// The socket by which packets are passed on.
    onward: Option<UdpSocket>,
    store: Arc<Mutex<Store>>,
    ends: Arc<AtomicBool>,
    /// Number of packets that the kernel had dropped by the last look.
    lost: u32,
    /// Time of that look.
    looked_us: i64,
}

impl Reader {
    fn read(mut self) {
        let mut buffer = vec![0; PACKET];
        let mut control = socket::control();
        while !self.ends.load(Ordering::Relaxed) {
            let now = now_us();
            match socket::receive(self.socket.as_raw_fd(), &mut buffer, &mut control) {
                Some(Got { bytes, from, at_us }) => {
                    let packet = buffer.get(..bytes).unwrap_or_default();
                    lock(&self.store).packet(at_us, from, packet);
                    if self.onward.as_ref().is_some_and(|onward| onward.send(packet).is_err()) {
                        lock(&self.store).not_forwarded();
                    }
                    if now - self.looked_us >= LOOK_US {
                        self.look(at_us);
                    }
                }
                None => {
                    self.look(now);
                    socket::wait(&self.socket, WAIT);
                }
            }
        }
    }

    /// Records how many packets the kernel dropped since the last look, and that all packets that arrived up to `read_us` were read.
    fn look(&mut self, read_us: i64) {
        // If the count is not known, packets may have been dropped. So no further moment counts as read.
        let Ok(lost) = socket::lost(&self.socket) else { return };
        let now = now_us();
        let mut store = lock(&self.store);
        let packets = lost.wrapping_sub(self.lost);
        if packets > 0 {
            store.dropped(self.looked_us, now, u64::from(packets));
        }
        store.read_until(read_us);
        (self.lost, self.looked_us) = (lost, now);
    }
}

#[cfg(test)]
mod tests;
