//! Finds game days that could touch the same hosts at the same time. Starts nothing, and reads no clock.

use std::{collections::BTreeSet, path::PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::{Gameday, Slot};

/// The time from now on in which slots of game days are compared.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Maximum number of slots of a game day that are compared.
const SLOTS: usize = 2000;
/// The earlier slot is that of the game day that was named first.
const IN_ORDER: bool = true;
/// The earlier slot is that of the game day that was named second.
const SWAPPED: bool = false;

/// A game day with the hosts and the time that it needs.
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

/// Two slots that overlap, of two game days or of the same one.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// The indexes of the two game days; the game day with the earlier slot comes first. They are equal for two slots of one game day.
    pub of: (usize, usize),
    /// The slots, the earlier one first.
    pub slots: (Slot, Slot),
    /// The hosts that both may touch.
    pub hosts: Vec<String>,
    /// Whether both game days are scheduled `once`, so that they have no other slot.
    pub is_fixed: bool,
}

/// Returns the first overlap of each pair of game days, and of each game day with itself. Compares the slots of the 90 days after `now`, at most 2,000
/// of each game day.
#[must_use]
pub fn overlaps(gamedays: &[Occupied<'_>], now: Timestamp) -> Vec<Overlap> {
    let until = now.checked_add(AHEAD).unwrap_or(now);
    let slots: Vec<Vec<Slot>> = gamedays.iter().map(|occupied| held(occupied, now, until)).collect();
    let mut found = Vec::new();
    for (index, one) in gamedays.iter().enumerate() {
        for (other_index, other) in gamedays.iter().enumerate().skip(index) {
            let hosts: Vec<String> = one.hosts.intersection(&other.hosts).cloned().collect();
            // Hosts of the same name in different fleets are different hosts.
            if hosts.is_empty() || one.fleet != other.fleet {
                continue;
            }
            let pair = if index == other_index {
                let own = &slots[index];
                let pairs = own.iter().zip(own.iter().skip(1));
                pairs
                    .map(|(first, next)| (first, next, IN_ORDER))
                    .find(|(first, next, _)| ends(first, one) > next.starts().timestamp())
            } else {
                first_overlap((&slots[index], one), (&slots[other_index], other))
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

/// Returns the slots of a game day between two moments, without those in closed times.
fn held(occupied: &Occupied<'_>, now: Timestamp, until: Timestamp) -> Vec<Slot> {
    let slots = occupied.gameday.schedule.upcoming(now).take(SLOTS);
    let slots = slots.take_while(|slot| slot.due.timestamp() < until);
    slots.filter(|slot| occupied.gameday.why_closed(slot).is_none()).collect()
}

/// Returns the latest time at which a slot of a game day ends.
fn ends(slot: &Slot, occupied: &Occupied<'_>) -> Timestamp {
    let starts = slot.starts().timestamp();
    starts.checked_add(occupied.lasts).unwrap_or(starts)
}

/// Returns the first two slots of two game days that overlap: the earlier slot, the later slot, and [`IN_ORDER`] or [`SWAPPED`]. Both lists are
/// sorted by time.
fn first_overlap<'s>(
    (left_slots, left): (&'s [Slot], &Occupied<'_>),
    (right_slots, right): (&'s [Slot], &Occupied<'_>),
) -> Option<(&'s Slot, &'s Slot, bool)> {
    let (mut left_slots, mut right_slots) = (left_slots.iter().peekable(), right_slots.iter().peekable());
    while let (Some(left_slot), Some(right_slot)) = (left_slots.peek(), right_slots.peek()) {
        let (left_slot, right_slot) = (*left_slot, *right_slot);
        let (left_starts, right_starts) = (left_slot.starts().timestamp(), right_slot.starts().timestamp());
        if left_starts <= right_starts {
            if ends(left_slot, left) > right_starts || left_starts == right_starts {
                return Some((left_slot, right_slot, IN_ORDER));
            }
            left_slots.next();
        } else {
            if ends(right_slot, right) > left_starts {
                return Some((right_slot, left_slot, SWAPPED));
            }
            right_slots.next();
        }
    }
    None
}
