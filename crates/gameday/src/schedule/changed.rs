//! Finds the slots that a change of clocks affects, for warnings and previews.

use jiff::{SignedDuration, Timestamp};

use super::{Schedule, Slot};

/// Maximum amount by which clocks change at once: some zones have skipped a whole day.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// One second: moments and slots are known to the second.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

impl Schedule {
    /// Returns the slots with a note on a change of clocks that start after `now` and are due before `until`, in ascending order. Looks only at the
    /// slots around each change, so a frequent pattern does not take longer.
    #[must_use]
    pub fn changed(&self, now: Timestamp, until: Timestamp) -> Vec<Slot> {
        let mut found: Vec<Slot> = Vec::new();
        let first = earlier(self.still_to_start(now), LONGEST);
        let changes =
            self.zone.following(first).take_while(|change| earlier(change.timestamp(), LONGEST) < until);
        for change in changes {
            let at = change.timestamp();
            let before = self.zone.to_offset(earlier(at, SECOND));
            let by = SignedDuration::from_secs(i64::from(change.offset().seconds() - before.seconds())).abs();
            // A time that occurs twice is due within `by` before the change; a slot that replaces a missing time is due within `by` after it.
            let end = at.checked_add(by).unwrap_or(at).min(until);
            let around = self.slots(earlier(at, by + SECOND)).take_while(|slot| slot.due.timestamp() < end);
            for slot in around.filter(|slot| slot.note.is_some() && slot.starts().timestamp() > now) {
                // If two changes are close to each other, a slot is found twice.
                if found.last().is_none_or(|last| last.due.timestamp() < slot.due.timestamp()) {
                    found.push(slot);
                }
            }
        }
        found
    }
}

/// Returns an earlier moment; the earliest possible one if there is none so early.
fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
