//! Lines: interfaces of ours (ifb) through which chosen packets take a detour, with the kernel's own netem or tbf on the
//! way. The interfaces that packets come from and go to keep their own queues untouched.
//!
//! Where several faults choose the same packet, there is a line for each set of them, so that they add up and none
//! replaces another. Decides nothing about which packets: rules of an nftables table mark and send them here. A line
//! that nothing is sent to has no effect, so it may outlive its maker.

mod compose;
mod device;
mod qdisc;

pub use compose::{MOST_WAITING, Unable};
pub use device::is_line;
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

use super::{impair::Impair, link, nft::PREFIX};
use compose::Stage;

/// So many faults may be on one host at once; each doubles the number of sets.
pub const MOST: u8 = 5;
/// What marks our packets: the first byte of their priority. Then a bit for each fault, and in the last four bits what
/// the priority was.
pub const MARK: u32 = 0xfd00_0000;
/// The bits of a mark that say which faults.
pub const FAULTS: u32 = 0xffff_fff0;
/// How often a line is looked at that is to run empty.
const LOOK: Duration = Duration::from_millis(2);

/// The bit of a fault in the marks of its packets.
const fn bit(slot: u8) -> u32 {
    1 << (4 + slot)
}

/// The beginning of the names of a fault's lines. Two digits follow.
#[must_use]
pub fn prefix(id: &InjectionId) -> String {
    let sum = digest(&SHA256, id.as_str().as_bytes());
    let hex: String = sum.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{}_", &hex[..9])
}

/// A line as rules need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Packets with exactly these bits ([`FAULTS`] of the mark) go there.
    pub mark: u32,
    /// The index of its interface.
    pub index: u32,
}

/// What a way looks like before there is any: for trying rules out.
pub const FIRST_WAY: Way = Way { mark: MARK | bit(0), index: 1 };

/// A fault that has lines.
#[derive(Debug)]
struct Fault {
    id: InjectionId,
    slot: u8,
    impair: Impair,
    ways: Vec<Way>,
    /// What went through lines of others that are gone.
    past: Counts,
}

/// The lines of this host that this process made.
#[derive(Debug, Default)]
pub struct Lines(Mutex<Vec<Fault>>);

impl Lines {
    /// Whether lines can do this, together with all that is there.
    ///
    /// # Errors
    /// Why not.
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

    /// Makes the lines of a fault: one for its packets, and one for each set of others that may choose the same packets.
    /// Where they are there already, gives those.
    ///
    /// # Errors
    /// They cannot be, or what the kernel said; what was made stays for [`remove`].
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
                line(&format!("{prefix}{number:02}"), id, &stages).map_err(|error| error.to_string())?;
            let mark = set.iter().fold(MARK | bit(slot), |mark, fault| mark | bit(fault.slot));
            ways.push(Way { mark, index });
        }
        let made = ways.clone();
        faults.push(Fault { id: id.clone(), slot, impair: *impair, ways, past: Counts::default() });
        Ok(made)
    }

    /// What came to all lines that a fault's packets take; `None` where it has none, or where one of its own has gone.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn counts(&self, id: &InjectionId) -> Result<Option<Counts>, NetlinkError> {
        let faults = self.faults();
        let Some(own) = faults.iter().find(|fault| fault.id == *id) else { return Ok(None) };
        let all = qdisc::counts()?;
        if own.ways.iter().any(|way| !all.contains_key(&way.index)) {
            return Ok(None);
        }
        let ways = faults.iter().flat_map(|fault| &fault.ways).filter(|way| way.mark & bit(own.slot) != 0);
        Ok(Some(ways.filter_map(|way| all.get(&way.index)).fold(own.past, |sum, counts| sum.plus(counts))))
    }

    /// The fault is over: its slot is free, and what went through its lines is kept for the others whose packets they were.
    fn forget(&self, prefix_of: &str, all: &BTreeMap<u32, Counts>) {
        let mut faults = self.faults();
        let Some(at) = faults.iter().position(|fault| prefix(&fault.id) == prefix_of) else { return };
        let gone = faults.remove(at);
        for way in &gone.ways {
            let Some(counts) = all.get(&way.index) else { continue };
            for fault in faults.iter_mut().filter(|fault| way.mark & bit(fault.slot) != 0) {
                fault.past = fault.past.plus(counts);
            }
        }
    }

    fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All sets of some faults, the empty one first.
fn sets<'a>(faults: &'a [&'a Fault]) -> impl Iterator<Item = Vec<&'a Fault>> {
    (0..1_u32 << faults.len()).map(move |set| {
        let within = |at: usize| set & (1 << at) != 0;
        faults.iter().enumerate().filter(|(at, _)| within(*at)).map(|(_, fault)| *fault).collect()
    })
}

/// Makes a line, all of it; its interface's index.
fn line(name: &str, id: &InjectionId, stages: &[Stage]) -> Result<u32, NetlinkError> {
    let index = device::make(name, &format!("firedrill {id}"))?;
    qdisc::install(name, index, stages)?;
    Ok(index)
}

/// How removing went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// So many lines were there.
    pub lines: usize,
    /// So many packets still waited in them, and are lost.
    pub lost: u64,
}

/// Removes the lines whose names begin so, once they have run empty or `patience` is over. Only interfaces that are
/// ours by name, kind and group.
///
/// # Errors
/// What the kernel said.
pub fn remove(lines: &Lines, prefix: &str, patience: Duration) -> Result<Removed, NetlinkError> {
    let ours: Vec<_> =
        link::all()?.into_iter().filter(|one| is_line(one) && one.name.starts_with(prefix)).collect();
    let started = Instant::now();
    let (all, lost) = loop {
        let all = qdisc::counts()?;
        let waiting: u64 =
            ours.iter().filter_map(|one| all.get(&one.index)).map(|counts| counts.waiting).sum();
        if waiting == 0 || started.elapsed() >= patience {
            break (all, waiting);
        }
        thread::sleep(LOOK);
    };
    lines.forget(prefix, &all);
    for one in &ours {
        device::remove(&one.name, one.index)?;
    }
    Ok(Removed { lines: ours.len(), lost })
}
