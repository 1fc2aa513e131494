//! Interfaces of kind ifb that the agent makes. Chosen packets take a detour through them, where the kernel's netem or tbf shapes them. The
//! qdiscs of the interfaces that the packets come from and go to are never changed.
//!
//! If several faults choose the same packet, their effects must add up. Therefore each set of faults has its own ifb. This module does not
//! choose packets: rules of an nftables table mark packets and redirect them to an ifb. An ifb to which nothing is redirected has no effect,
//! so it does no harm if it outlives the agent.

mod compose;
mod device;
mod qdisc;

pub use compose::{MOST_WAITING, Unable};
pub use device::is_our_ifb;
pub use qdisc::Counts;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use firedrill_netlink::NetlinkError;
use firedrill_wire::InjectionId;
use ring::digest::{SHA256, digest};

use firedrill_packets::impair::Impair;

use super::{link, nft::PREFIX};
use compose::Stage;

/// Maximum number of faults that may have ifbs on one host at once. Each further fault doubles the number of sets.
pub const MOST: u8 = 5;
/// The mark of chosen packets: the first byte of their priority. After it there is a bit for each fault, and the last four bits keep the
/// original priority.
pub const MARK: u32 = 0xfd00_0000;
/// Mask of the bits of a priority that contain the mark and the faults.
pub const FAULTS: u32 = 0xffff_fff0;
/// Time between two checks whether an ifb is empty.
const LOOK: Duration = Duration::from_millis(2);

/// Returns the bit of a fault in the marks of its packets.
const fn bit(slot: u8) -> u32 {
    1 << (4 + slot)
}

/// Returns the prefix of the names of a fault's ifbs. Two digits follow it.
#[must_use]
pub fn prefix(id: &InjectionId) -> String {
    let sum = digest(&SHA256, id.as_str().as_bytes());
    let hex: String = sum.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{}_", &hex[..9])
}

/// The data about an ifb that the rules need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Packets whose mark has exactly these bits (under [`FAULTS`]) are redirected to it.
    pub mark: u32,
    /// The interface index of the ifb.
    pub index: u32,
}

/// A placeholder for a fault's first ifb, for trying out rules before any ifb exists.
pub const FIRST_WAY: Way = Way { mark: MARK | bit(0), index: 1 };

/// A fault that has ifbs.
#[derive(Debug)]
struct Fault {
    id: InjectionId,
    /// The number of the fault's bit in marks.
    slot: u8,
    impair: Impair,
    ways: Vec<Way>,
    /// The counts of removed ifbs of other faults, through which this fault's packets went, too.
    past: Counts,
}

/// The ifbs that this process has made.
#[derive(Debug, Default)]
pub struct Ifbs(Mutex<Vec<Fault>>);

impl Ifbs {
    /// Checks that ifbs can have the effects of this fault together with those of the faults that have ifbs already.
    ///
    /// # Errors
    /// They cannot; the error is the reason.
    pub fn able(&self, id: &InjectionId, impair: &Impair) -> Result<(), Unable> {
        let faults = self.faults();
        let others: Vec<_> = faults.iter().filter(|fault| fault.id != *id).collect();
        if others.len() >= usize::from(MOST) {
            return Err(Unable::Full);
        }
        sets(&others).try_for_each(|set| {
            compose::together(set.iter().map(|fault| &fault.impair).chain([impair])).map(drop)
        })
    }

    /// Makes the ifbs of a fault: one for its own packets, and one for each set of other faults that may choose the same
    /// packets. Returns the existing ones if the fault has some already.
    ///
    /// # Errors
    /// The faults cannot be combined, or the kernel refused. [`remove`] removes the ifbs that were made before the error.
    pub fn make(&self, id: &InjectionId, impair: &Impair) -> Result<Vec<Way>, String> {
        let mut faults = self.faults();
        if let Some(known) = faults.iter().find(|fault| fault.id == *id) {
            return Ok(known.ways.clone());
        }
        let slot = (0..MOST)
            .find(|slot| faults.iter().all(|fault| fault.slot != *slot))
            .ok_or_else(|| Unable::Full.to_string())?;
        let others: Vec<_> = faults.iter().collect();
        let prefix = prefix(id);
        let mut ways = Vec::new();
        for (number, set) in sets(&others).enumerate() {
            let stages = compose::together(set.iter().map(|fault| &fault.impair).chain([impair]))
                .map_err(|error| error.to_string())?;
            let index =
                add(&format!("{prefix}{number:02}"), id, &stages).map_err(|error| error.to_string())?;
            let mark = set.iter().fold(MARK | bit(slot), |mark, fault| mark | bit(fault.slot));
            ways.push(Way { mark, index });
        }
        let made = ways.clone();
        faults.push(Fault { id: id.clone(), slot, impair: *impair, ways, past: Counts::default() });
        Ok(made)
    }

    /// Returns the sum of the counts of all ifbs that a fault's packets go through; `None` if the fault has no ifbs, or if one of its own
    /// ifbs was removed.
    ///
    /// # Errors
    /// The kernel could not list its qdiscs.
    pub fn counts(&self, id: &InjectionId) -> Result<Option<Counts>, NetlinkError> {
        let faults = self.faults();
        let Some(own) = faults.iter().find(|fault| fault.id == *id) else { return Ok(None) };
        let counts = qdisc::counts()?;
        if own.ways.iter().any(|way| !counts.contains_key(&way.index)) {
            return Ok(None);
        }
        let ways = faults.iter().flat_map(|fault| &fault.ways).filter(|way| way.mark & bit(own.slot) != 0);
        Ok(Some(ways.filter_map(|way| counts.get(&way.index)).fold(own.past, |sum, counts| sum.plus(counts))))
    }

    /// Frees the slot of a fault that is over, found by the prefix of its ifbs. Their counts are kept for the other faults whose packets
    /// went through them.
    fn forget(&self, prefix_of: &str, counts: &BTreeMap<u32, Counts>) {
        let mut faults = self.faults();
        let Some(at) = faults.iter().position(|fault| prefix(&fault.id) == prefix_of) else { return };
        let gone = faults.remove(at);
        for way in &gone.ways {
            let Some(counts) = counts.get(&way.index) else { continue };
            for fault in faults.iter_mut().filter(|fault| way.mark & bit(fault.slot) != 0) {
                fault.past = fault.past.plus(counts);
            }
        }
    }

    fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns all subsets of these faults, the empty set first.
fn sets<'a>(faults: &'a [&'a Fault]) -> impl Iterator<Item = Vec<&'a Fault>> {
    (0..1_u32 << faults.len()).map(move |set| {
        let within = |at: usize| set & (1 << at) != 0;
        faults.iter().enumerate().filter(|(at, _)| within(*at)).map(|(_, fault)| *fault).collect()
    })
}

/// Makes an ifb with its qdiscs. Returns its interface index.
fn add(name: &str, id: &InjectionId, stages: &[Stage]) -> Result<u32, NetlinkError> {
    let index = device::make(name, &format!("firedrill {id}"))?;
    qdisc::install(name, index, stages)?;
    Ok(index)
}

/// The result of [`remove`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of ifbs that were removed.
    pub ifbs: usize,
    /// Number of packets that still waited in them, and are lost.
    pub lost: u64,
}

/// Removes the ifbs whose names have this prefix, as soon as no packets wait in them or `patience` is over. Removes only interfaces that this
/// tool has made, by name, kind and group.
///
/// # Errors
/// The kernel could not list or remove them.
pub fn remove(known: &Ifbs, prefix: &str, patience: Duration) -> Result<Removed, NetlinkError> {
    let ours: Vec<_> =
        link::all()?.into_iter().filter(|link| is_our_ifb(link) && link.name.starts_with(prefix)).collect();
    let started = Instant::now();
    let (counts, lost) = loop {
        let counts = qdisc::counts()?;
        let waiting: u64 =
            ours.iter().filter_map(|link| counts.get(&link.index)).map(|counts| counts.waiting).sum();
        if waiting == 0 || started.elapsed() >= patience {
            break (counts, waiting);
        }
        thread::sleep(LOOK);
    };
    known.forget(prefix, &counts);
    for link in &ours {
        device::remove(&link.name, link.index)?;
    }
    Ok(Removed { ifbs: ours.len(), lost })
}
