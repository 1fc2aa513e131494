//! The loop of one queue: receives, decides, holds, and releases packets in time. One thread, which waits for nothing
//! else.
//!
//! Packets that this host sends are never held in the kernel, where they would stay charged to their sender's socket
//! and stall TCP: they are copied, dropped and reinjected. Incoming and forwarded packets are held there, and released
//! by a verdict. So are packets that this host sends beyond an interface's MTU, which the kernel has yet to fragment.

use std::{
    io,
    num::NonZeroU64,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use firedrill_netlink::messages;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    ip,
    message::{self, LOCAL_OUT, Packet, Verdict, Verdicts},
    reinject::{Copy, Reinjector},
    shared::{Counts, Look, Looked, Shared, count},
    socket::{Inbox, MANY, Socket},
    waiting::Waiting,
};
use crate::impair::Model;

/// The cost of a held packet beyond its bytes, here or in the kernel, in bytes.
pub(super) const OVERHEAD: usize = 1024;
/// Size of collected verdicts from which on they are sent, in bytes.
const VERDICTS: usize = 32 << 10;
/// Interval between packets below which traffic is dense, in nanoseconds (some 20,000 packets per second). Waking up for
/// each packet would then cost more than treating it.
const CLOSE: u64 = 50_000;
/// Time between two wakings in dense traffic, in nanoseconds; on average a packet is late by half of that.
const NAP: u64 = 25_000;
/// The loop's niceness.
const URGENT: i32 = -15;
/// The pause after an error that may recur at once.
const BREATH: Duration = Duration::from_millis(5);
/// Maximum time for which packets may still come while a queue ends.
const ENDING: Duration = Duration::from_millis(200);

/// For [`Serve::receive`]: packets are impaired.
const IMPAIRED: bool = true;
/// For [`Serve::receive`]: packets pass at once.
const AT_ONCE: bool = false;

/// A held packet.
struct Held {
    /// The time at which it came, in nanoseconds.
    came: u64,
    /// Its length in bytes.
    length: usize,
    way: Way,
}

/// The way in which a held packet is released.
enum Way {
    /// By a verdict on the packet with this id.
    Accept(u32),
    /// By a verdict on the packet with this id, which replaces its bytes.
    Changed(u32, Vec<u8>),
    /// By reinjection of this copy.
    Reinject(Copy),
}

/// Serves one queue until it is told to end. [`super::Spec`] explains the fields with the same names.
pub(super) struct Serve {
    pub(super) number: u16,
    pub(super) socket: Socket,
    pub(super) reinject: Reinjector,
    pub(super) model: Model,
    pub(super) look: Option<Look>,
    pub(super) memory: usize,
    pub(super) every: Duration,
    pub(super) alive: Box<dyn FnMut() + Send>,
    /// Whether the kernel still queues frames before it segments them.
    pub(super) unsegmented: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) state: State,
}

/// The state of the loop.
pub(super) struct State {
    /// The beginning of the loop's clock: all its times are nanoseconds since then.
    began: Instant,
    waiting: Waiting<Held>,
    /// The size of all held packets, in bytes, with [`OVERHEAD`] for each.
    used: usize,
    counts: Counts,
    /// The sum of all delays, in nanoseconds.
    delay_ns: u64,
    /// The verdicts that are not sent yet.
    verdicts: Verdicts,
    /// The packets to be reinjected that are not sent yet.
    copies: Vec<Copy>,
    /// Whether an error was logged.
    logged: bool,
}

impl State {
    pub(super) fn new(number: u16) -> Self {
        Self {
            began: Instant::now(),
            waiting: Waiting::new(),
            used: 0,
            counts: Counts::default(),
            delay_ns: 0,
            verdicts: Verdicts::new(number),
            copies: Vec::new(),
            logged: false,
        }
    }

    /// Returns the time since the loop began, in nanoseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Serve {
    /// Runs the loop. `early` are the datagrams that came before the queue was complete.
    pub(super) fn run(mut self, early: &[Vec<u8>]) {
        if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
            self.failed("ask for exact timers", &error.into(), 0);
        }
        // A busy host must not add to the delay. Without the permission this thread is scheduled like any other.
        let _ = rustix::process::setpriority_process(None, URGENT);
        let mut inbox = Inbox::new();
        let now = self.state.now();
        early.iter().for_each(|datagram| self.datagram(now, datagram, IMPAIRED));
        let every = u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX).max(1);
        // The time at which `alive` is due, and the time at which packets last came.
        let (mut beat, mut last) = (now, 0);
        // Whether more packets wait to be received, and whether traffic is dense.
        let (mut more, mut dense) = (false, false);
        while !self.shared.stop.load(Ordering::Acquire) {
            let now = self.state.now();
            self.release(now);
            if now >= beat {
                (self.alive)();
                beat = now.saturating_add(every);
            }
            self.flush();
            if !more {
                let next = self.state.waiting.due().map_or(beat, |due| due.min(beat));
                self.wait(next, dense);
            }
            let received = self.receive(&mut inbox, IMPAIRED);
            more = received == MANY;
            let now = self.state.now();
            dense = received > 0 && now.saturating_sub(last) < CLOSE;
            if received > 0 {
                last = now;
            }
        }
        self.finish(&mut inbox);
    }

    /// Waits for a datagram or until a time. In dense traffic waits for [`NAP`], whatever packets come. The end of the queue
    /// ends the wait in any case.
    fn wait(&mut self, until: u64, dense: bool) {
        let now = self.state.now();
        let until = if dense { now.saturating_add(NAP) } else { until };
        if until <= now {
            return;
        }
        let left = Timespec::try_from(Duration::from_nanos(until - now));
        let left = left.unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let (socket, wake) = (self.socket.fd(), &self.shared.wake);
        let mut both = [PollFd::new(wake, PollFlags::IN), PollFd::from_borrowed_fd(socket, PollFlags::IN)];
        let watched = if dense { &mut both[..1] } else { &mut both[..] };
        match poll(watched, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                self.failed("wait for packets", &error.into(), 1);
                std::thread::sleep(BREATH);
            }
        }
    }

    /// Receives the waiting datagrams, and decides about their packets, which pass at once unless `impaired`. Returns the
    /// number of datagrams.
    fn receive(&mut self, inbox: &mut Inbox, impaired: bool) -> usize {
        match self.socket.receive(inbox) {
            Ok(0) => 0,
            Ok(received) => {
                let now = self.state.now();
                inbox.datagrams().for_each(|datagram| self.datagram(now, datagram, impaired));
                received
            }
            Err(error) => {
                self.failed("receive packets", &error, 1);
                std::thread::sleep(BREATH);
                0
            }
        }
    }

    /// Handles the packets in one datagram of the kernel.
    fn datagram(&mut self, now: u64, datagram: &[u8], impaired: bool) {
        for part in messages(datagram) {
            if let Some(packet) = message::packet(part.kind, part.body) {
                match self.look.as_mut().filter(|_| impaired).map(|look| look(packet.bytes)) {
                    Some(Looked::Other) => {
                        self.state.counts.others += 1;
                        self.state.verdicts.one(Verdict::Accept, packet.id);
                        continue;
                    }
                    Some(Looked::Falsified(bytes)) => self.packet(now, &packet, Some(bytes)),
                    _ if impaired => self.packet(now, &packet, None),
                    _ => self.pass(&packet, None),
                }
                self.state.counts.seen += 1;
            } else if let Some(errno @ 1..) = message::answer(part.kind, part.body) {
                self.failed("give verdicts on packets", &io::Error::from_raw_os_error(errno), 1);
            }
        }
        if self.state.verdicts.bytes().len() > VERDICTS {
            self.send_verdicts();
        }
    }

    /// Decides about a packet; `falsified` are the bytes with which it continues instead of its own.
    fn packet(&mut self, now: u64, packet: &Packet<'_>, falsified: Option<Vec<u8>>) {
        let leaving = packet.hook == LOCAL_OUT;
        if leaving && self.unsegmented {
            // Frames cannot be reinjected; from now on they come segmented.
            self.unsegmented = false;
            if let Err(error) = self.socket.tell(&message::segment(self.number)) {
                self.failed("have frames segmented", &error, 1);
            }
        }
        let fate = self.model.fate(now, packet.bytes.len());
        let Some(due) = fate.first else {
            self.state.counts.lost += 1;
            self.state.verdicts.one(Verdict::Drop, packet.id);
            return;
        };
        self.state.counts.reordered += u64::from(fate.reordered);
        self.state.counts.falsified += u64::from(falsified.is_some());
        let damaged = falsified.or_else(|| if fate.corrupt { self.damaged(packet) } else { None });
        let reinjects = leaving
            && !packet.unsegmented
            && (due > now || fate.second.is_some())
            && self.reinject.fits(now, packet.out, packet.bytes.len());
        let copy = if reinjects { whole(packet) } else { None };
        if let Some((second, copy)) = fate.second.zip(copy.as_deref()) {
            self.double(now, second, packet, copy);
        }
        if due <= now {
            self.pass(packet, damaged.as_deref());
            return;
        }
        let length = packet.bytes.len();
        if !self.room(length) {
            self.state.verdicts.one(Verdict::Drop, packet.id);
            return;
        }
        let way = match (copy, damaged) {
            (Some(copy), damaged) => {
                self.state.verdicts.one(Verdict::Drop, packet.id);
                let bytes = damaged.unwrap_or(copy);
                Way::Reinject(Copy { bytes, mark: packet.mark, out: packet.out })
            }
            (None, Some(damaged)) => Way::Changed(packet.id, damaged),
            (None, None) => Way::Accept(packet.id),
        };
        self.state.waiting.push(due, Held { came: now, length, way });
    }

    /// Flips one bit behind the IP header of a packet: with an invalid header it would be dropped too early to do
    /// damage. Checksums are not updated, so that the receiver can notice.
    fn damaged(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let (at, _) = ip::transport(packet.bytes)?;
        let behind = packet.bytes.len().checked_sub(at).filter(|behind| *behind > 0)?;
        let mut bytes = whole(packet).unwrap_or_else(|| packet.bytes.to_vec());
        let (byte, bit) = self.model.bit(behind);
        *bytes.get_mut(at + byte)? ^= bit;
        self.state.counts.corrupted += 1;
        Some(bytes)
    }

    /// Holds a duplicate of a packet until it is due.
    fn double(&mut self, now: u64, due: u64, packet: &Packet<'_>, bytes: &[u8]) {
        let length = bytes.len();
        if !self.room(length) {
            return;
        }
        self.state.counts.duplicated += 1;
        let way = Way::Reinject(Copy { bytes: bytes.to_vec(), mark: packet.mark, out: packet.out });
        self.state.waiting.push(due, Held { came: now, length, way });
    }

    /// Reserves room for a packet. If there is none, counts the packet and returns `false`.
    fn room(&mut self, length: usize) -> bool {
        let wanted = self.state.used.saturating_add(length + OVERHEAD);
        let fits = wanted <= self.memory;
        if fits {
            self.state.used = wanted;
        } else {
            self.state.counts.overflowed += 1;
        }
        fits
    }

    /// Passes a packet at once; `changed` are the bytes with which it continues instead of its own.
    fn pass(&mut self, packet: &Packet<'_>, changed: Option<&[u8]>) {
        self.state.counts.passed += 1;
        match changed {
            None => self.state.verdicts.one(Verdict::Accept, packet.id),
            Some(bytes) => self.state.verdicts.changed(packet.id, bytes),
        }
    }

    /// Releases the packets that are due.
    fn release(&mut self, now: u64) {
        let state = &mut self.state;
        // Packets that are held for verdicts have ids in the order of arrival: if all are released in that order, one
        // verdict is enough for many.
        let in_order = state.waiting.in_order();
        let went = state.now();
        let mut last = None;
        while let Some(held) = state.waiting.pop(now) {
            state.used = state.used.saturating_sub(held.length + OVERHEAD);
            state.delay_ns = state.delay_ns.saturating_add(went.saturating_sub(held.came));
            match held.way {
                Way::Accept(id) => {
                    state.counts.passed += 1;
                    if in_order {
                        last = Some(id);
                    } else {
                        state.verdicts.one(Verdict::Accept, id);
                    }
                }
                Way::Changed(id, bytes) => {
                    state.counts.passed += 1;
                    // A verdict up to a packet lets it pass unchanged, so the packets before this one get their own first.
                    if let Some(id) = last.take() {
                        state.verdicts.up_to(id);
                    }
                    state.verdicts.changed(id, &bytes);
                }
                Way::Reinject(copy) => state.copies.push(copy),
            }
        }
        if let Some(id) = last {
            state.verdicts.up_to(id);
        }
    }

    /// Sends the verdicts and packets, and publishes the counts.
    fn flush(&mut self) {
        self.send_verdicts();
        if !self.state.copies.is_empty() {
            let sent = self.reinject.send(&self.state.copies);
            self.state.copies.clear();
            self.state.counts.passed += sent.passed;
            self.state.counts.overflowed += sent.full;
            self.state.counts.failed += sent.failed;
            if let Some(error) = sent.error {
                self.failed("send a packet again", &error, 0);
            }
        }
        self.state.counts.held = count(self.state.waiting.len());
        self.state.counts.delay_us = self.state.delay_ns / 1_000;
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.state.counts;
    }

    /// Sends the collected verdicts to the kernel, if there are any.
    fn send_verdicts(&mut self) {
        if self.state.verdicts.bytes().is_empty() {
            return;
        }
        if let Err(error) = self.socket.send(self.state.verdicts.bytes()) {
            self.failed("give verdicts on packets", &error, 1);
        }
        self.state.verdicts.clear();
    }

    /// Counts the packets that an error concerns. Logs the first error.
    fn failed(&mut self, what: &str, error: &io::Error, packets: u64) {
        self.state.counts.failed += packets;
        if !self.state.logged {
            self.state.logged = true;
            tracing::warn!(
                "queue {}: could not {what}: {error}; further errors are only counted",
                self.number
            );
        }
    }

    /// Releases all held packets, and those that still come, and ends the queue. Before the end new packets are made to pass
    /// by the queue, because its end drops the packets in it.
    fn finish(&mut self, inbox: &mut Inbox) {
        for request in message::pass_by(self.number) {
            if let Err(error) = self.socket.tell(&request) {
                self.failed("let packets pass by the queue", &error, 0);
            }
        }
        self.release(u64::MAX);
        self.flush();
        let began = Instant::now();
        while self.receive(inbox, AT_ONCE) > 0 && began.elapsed() < ENDING {
            self.flush();
        }
        self.flush();
        if let Err(error) = self.socket.tell(&message::unbind(self.number)) {
            self.failed("give the queue up", &error, 0);
        }
    }
}

/// Returns a packet's bytes with its checksum computed; `None` if that is impossible.
fn whole(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let mut bytes = packet.bytes.to_vec();
    (!packet.unsummed || ip::sum(&mut bytes)).then_some(bytes)
}
