//! Impairs packets in user space, for kernels without netem: this process takes packets from an NFQUEUE.
//!
//! Does not choose packets: rules of an nftables table queue them. Never holds a packet longer than asked: when this
//! process dies, packets bypass the queue. When a signal stops it, [`Spec::alive`] is no longer called, so the rules
//! stop queueing packets.

pub mod ip;
mod message;
mod reinject;
mod serve;
mod shared;
mod socket;
mod waiting;

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::event::EventfdFlags;

use crate::{
    Hook,
    impair::{Impair, Loss, Model},
};
pub use shared::{Counts, Look, Looked};

use reinject::Reinjector;
use serve::{Serve, State};
use shared::{Shared, count};
use socket::Socket;

/// Maximum number of queues on a host; their numbers start at [`FIRST`].
pub const MOST: u16 = 64;
/// The first queue's number.
pub const FIRST: u16 = 0xfd00;
/// Reinjected packets carry this tag plus their queue's number minus [`FIRST`] as `SO_PRIORITY` (`meta priority`), so
/// that the rules which queued them let them pass.
pub const TAG: u32 = 0x00fd_0000;
/// The mask of a tag's bits for [`TAG`] and the packet's owner, without the queue.
pub const OWNER_BITS: u32 = 0xffff_ffc0;
/// The mask of a tag's bits for [`TAG`] and the queue, without the owner.
pub const QUEUE_BITS: u32 = 0xffff_003f;

/// Returns the tag of an owner's reinjected packets, whatever the queue; bits of [`OWNER_BITS`].
#[must_use]
pub fn tag_of(owner: u16) -> u32 {
    TAG | u32::from(owner) << 6
}

/// The user to whom the first queue's sockets belong, if rules cannot match the tag; [`sender`] has those of other queues.
/// No distribution assigns such user numbers, and no program runs as one of them.
pub const SENDER: u32 = 0xfd00_0000;

/// Returns the user to whom a queue's sockets can belong.
#[must_use]
pub const fn sender(number: u16) -> u32 {
    SENDER + number.saturating_sub(FIRST) as u32
}

/// Maximum number of packets that the kernel holds until they are received, beyond those that are held on purpose.
const ON_THEIR_WAY: u32 = 4_096;
/// The shortest interval at which a loop calls `alive`.
const SHORTEST: Duration = Duration::from_millis(1);
/// Maximum time for a loop to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The specification of a queue.
pub struct Spec {
    /// Its number, from [`FIRST`] on.
    pub number: u16,
    /// The owner whose packets it gets, by the caller's numbers; 0 for all owners.
    pub owner: u16,
    /// The impairments of its packets.
    pub impair: Impair,
    /// Inspects packets before they are impaired; `None` if all are impaired.
    pub look: Option<Look>,
    /// The seed of the random numbers, so that a run can be repeated.
    pub seed: u64,
    /// Maximum size of all packets that are held, in bytes; further ones are dropped and counted.
    pub memory: usize,
    /// The interval at which the queue's own loop calls `alive`, as long as it keeps up.
    pub every: Duration,
    /// The user to whom its raw sockets belong, if rules recognise reinjected packets by that.
    pub sender: Option<u32>,
    /// Called at each interval `every`. Renews the entry with a time-out without which the rules queue no packets.
    pub alive: Box<dyn FnMut() + Send>,
}

/// Checks that packets at a hook can be impaired in this way.
///
/// Duplicating packets that come in or are forwarded is impossible, because a verdict passes one packet and no raw
/// socket can make another arrive. Differences from netem:
/// - a flipped bit is behind the IP header, and checksums are not updated;
/// - with nothing but a delay, incoming packets may be held as frames of several segments, each of which counts as one
///   packet, as in netem; otherwise, or once a packet that this host sends is seen, they come segmented;
/// - a packet that this host sends beyond its interface's MTU (a datagram that the kernel has yet to fragment) is held
///   in the kernel, and not duplicated;
/// - other packets that this host sends are reinjected by a raw socket: rules that they meet then see their mark, but
///   not the user and the cgroup of their sender.
///
/// # Errors
/// The packets cannot be impaired in this way; the text has the reason and the remedy.
pub fn can(hook: Hook, impair: &Impair) -> Result<(), String> {
    if impair.rate.is_some_and(|rate| rate.bits == 0) {
        return Err("a rate of 0 bits a second lets nothing pass; block the traffic instead".to_owned());
    }
    if hook != Hook::Output && impair.duplicate.share > 0.0 {
        return Err("packets that come in or pass through cannot be doubled in user space; \
                    double what this host sends (direction out), or use a kernel with netem"
            .to_owned());
    }
    Ok(())
}

/// A running queue.
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// Nothing is ever sent; it closes when the loop has ended.
    ended: Mutex<Receiver<()>>,
    /// The kernel's statistics of all queues of the namespace.
    kernel: Option<File>,
}

impl Running {
    /// Ends the loop of the queue, and waits until it has ended.
    fn end(self, number: u16) {
        self.shared.stop.store(true, Ordering::Release);
        if let Err(error) = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes()) {
            tracing::warn!("queue {number}: could not wake its loop: {error}");
        }
        let ended = self.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "queue {number}: its loop has not ended within {PATIENCE:?}; it is left to itself"
            );
        } else if self.thread.join().is_err() {
            tracing::warn!("queue {number}: its loop had died; the kernel dropped what it held");
        }
    }
}

/// The queues of this process, which end with it.
#[derive(Debug, Default)]
pub struct Queues(Mutex<HashMap<u16, Running>>);

impl Queues {
    /// Starts a queue in the calling thread's network namespace. It serves when this returns.
    ///
    /// # Errors
    /// The number is taken, the kernel has no queues, or this process may not do it.
    pub fn start(&self, spec: Spec) -> io::Result<()> {
        let number = spec.number;
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("could not serve packet queue {number}: {error}"))
        };
        let mut running = self.running();
        if running.get(&number).is_some_and(|queue| !queue.thread.is_finished()) {
            return Err(named(io::ErrorKind::AlreadyExists.into()));
        }
        let queue = begin(spec).map_err(named)?;
        running.insert(number, queue);
        Ok(())
    }

    /// Ends a queue: packets that it holds are sent at once, and packets that come meanwhile pass. Does nothing if there is
    /// no such queue.
    ///
    /// Rules that queue packets to it let them pass from then on. Delete these rules after this, not before: when a
    /// chain's hook is removed, the kernel drops all packets that any queue of the namespace holds (packets that this
    /// host sends are held here).
    pub fn stop(&self, number: u16) {
        let queue = self.running().remove(&number);
        if let Some(queue) = queue {
            queue.end(number);
        }
    }

    /// Returns a queue's counts; `None` if the queue does not run: its loop died, or was never started.
    #[must_use]
    pub fn counts(&self, number: u16) -> Option<Counts> {
        let running = self.running();
        let queue = running.get(&number).filter(|queue| !queue.thread.is_finished())?;
        let mut counts = *queue.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = queue.kernel.as_ref().map(read).unwrap_or_default();
        counts.overflowed = counts.overflowed.saturating_add(message::dropped(&text, number));
        Some(counts)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u16, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        let all: Vec<_> = self.running().drain().collect();
        for (number, queue) in all {
            queue.end(number);
        }
    }
}

/// Makes the queue and starts its loop.
fn begin(spec: Spec) -> io::Result<Running> {
    let Spec { number, owner, impair, look, seed, memory, every, sender, alive } = spec;
    let tag = tag_of(owner).saturating_add(u32::from(number).saturating_sub(u32::from(FIRST)));
    let reinject = Reinjector::open_as(sender, tag)?;
    // A frame of several segments counts as one packet, so frames are taken whole only if nothing depends on single packets.
    let unsegmented = impair.loss == Loss::None
        && impair.rate.is_none()
        && [impair.duplicate, impair.corrupt, impair.reorder.chance].iter().all(|chance| chance.share <= 0.0);
    // The number of packets that may be held on purpose, and of those that wait to be received.
    let most = u32::try_from(memory / serve::OVERHEAD).unwrap_or(u32::MAX).saturating_add(ON_THEIR_WAY);
    let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let shared = Arc::new(Shared { counts: Mutex::default(), stop: AtomicBool::new(false), wake });
    let model = Model::new(&impair, seed);
    // Opened here and not in the loop's thread: the file shows the network namespace of the thread that opened it.
    let kernel = File::open("/proc/thread-self/net/netfilter/nfnetlink_queue").ok();
    let mut early = Vec::new();
    let socket = Socket::bind(number, most, unsegmented, &mut early).map_err(|error| match error.kind() {
        // The kernel reports both causes by the same error.
        io::ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), "another program serves it, or CAP_NET_ADMIN is missing")
        }
        _ => error,
    })?;
    let (ending, ended) = mpsc::channel();
    let state = State::new(number);
    let serve = Serve {
        number,
        socket,
        reinject,
        model,
        look,
        memory,
        every: every.max(SHORTEST),
        alive,
        unsegmented,
        shared: Arc::clone(&shared),
        state,
    };
    let thread = thread::Builder::new().name(format!("queue-{number:x}")).spawn(move || {
        // Dropped when the loop ends, also by a panic; that closes the channel.
        let _ending: Sender<()> = ending;
        serve.run(&early);
    })?;
    Ok(Running { shared, thread, ended: Mutex::new(ended), kernel })
}

/// Reads a file of `/proc` from its beginning: each read has its present contents.
fn read(file: &File) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = file.read_at(&mut piece, count(text.len())) {
        text.extend(&piece[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impair::{Chance, Rate};

    #[test]
    fn impairments_that_user_space_cannot_do_are_refused() {
        let twice = Impair { duplicate: Chance { share: 0.1, correlation: 0.0 }, ..Impair::default() };
        assert_eq!(can(Hook::Output, &twice), Ok(()));
        for hook in [Hook::Input, Hook::Forward] {
            assert!(can(hook, &twice).is_err_and(|why| why.contains("direction out")));
            assert_eq!(can(hook, &Impair { corrupt: twice.duplicate, ..Impair::default() }), Ok(()));
        }
        let nothing = Impair { rate: Some(Rate { bits: 0, burst: 0 }), ..Impair::default() };
        assert!(can(Hook::Output, &nothing).is_err_and(|why| why.contains("block")));
    }
}
