//! Finds game days that would touch the same hosts at the same time.

use std::{collections::BTreeSet, path::PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::{Gameday, Slot};

/// Length of time ahead for which game days are compared.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Maximum number of slots of a game day that are compared.
const SLOTS: usize = 2000;

/// The hosts and the time that a game day needs.
#[derive(Clone, Debug)]
pub struct Occupied<'g> {
    /// The game day.
    pub gameday: &'g Gameday,
    /// Its fleet, by its real path.
    pub fleet: PathBuf,
    /// All hosts that may be picked.
    pub hosts: BTreeSet<String>,
    /// The maximum time that it takes.
    pub lasts: SignedDuration,
}

/// Two game days that overlap, or one that overlaps with its own next slot.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// The indexes of both, the earlier slot first.
    pub of: (usize, usize),
    /// The slots.
    pub slots: (Slot, Slot),
    /// The hosts that both may touch.
    pub hosts: Vec<String>,
    /// Whether both have this slot only.
    pub is_fixed: bool,
}

/// Returns the first overlap of each pair, among the slots of the 90 days after a moment; of each game day at most 2,000 slots are compared.
#[must_use]
pub fn overlaps(all: &[Occupied<'_>], now: Timestamp) -> Vec<Overlap> {
    let until = now.checked_add(AHEAD).unwrap_or(now);
    let slots: Vec<Vec<Slot>> = all.iter().map(|one| held(one, now, until)).collect();
    let mut found = Vec::new();
    for (index, one) in all.iter().enumerate() {
        for (other_index, other) in all.iter().enumerate().skip(index) {
            let hosts: Vec<String> = one.hosts.intersection(&other.hosts).cloned().collect();
            if hosts.is_empty() || one.fleet != other.fleet {
                continue;
            }
            let pair = if index == other_index {
                let own = &slots[index];
                let pairs = own.iter().zip(own.iter().skip(1));
                pairs
                    .map(|(first, next)| (first, next, true))
                    .find(|(first, next, _)| ends(first, one) > next.starts().timestamp())
            } else {
                first(&slots[index], &slots[other_index], one, other)
            };
            let Some((first, second, in_order)) = pair else { continue };
            found.push(Overlap {
                of: if in_order { (index, other_index) } else { (other_index, index) },
                slots: (first.clone(), second.clone()),
                hosts,
                is_fixed: one.gameday.schedule.is_once() && other.gameday.schedule.is_once(),
            });
        }
    }
    found
}

/// Returns the slots that are held.
fn held(one: &Occupied<'_>, now: Timestamp, until: Timestamp) -> Vec<Slot> {
    let slots = one.gameday.schedule.upcoming(now).take(SLOTS);
    let slots = slots.take_while(|slot| slot.due.timestamp() < until);
    slots.filter(|slot| one.gameday.why_closed(slot).is_none()).collect()
}

fn ends(slot: &Slot, of: &Occupied<'_>) -> Timestamp {
    let starts = slot.starts().timestamp();
    starts.checked_add(of.lasts).unwrap_or(starts)
}

/// Returns the first two slots that overlap, the earlier one first, and whether that is of the first list.
fn first<'s>(
    own: &'s [Slot],
    others: &'s [Slot],
    one: &Occupied<'_>,
    other: &Occupied<'_>,
) -> Option<(&'s Slot, &'s Slot, bool)> {
    let (mut a, mut b) = (own.iter().peekable(), others.iter().peekable());
    while let (Some(slot), Some(next)) = (a.peek(), b.peek()) {
        let (slot, next) = (*slot, *next);
        let (starts, next_starts) = (slot.starts().timestamp(), next.starts().timestamp());
        if starts <= next_starts {
            if ends(slot, one) > next_starts || starts == next_starts {
                return Some((slot, next, true));
            }
            a.next();
        } else {
            if ends(next, other) > starts {
                return Some((next, slot, false));
            }
            b.next();
        }
    }
    None
}
