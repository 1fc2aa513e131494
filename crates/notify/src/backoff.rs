//! Decides when a message is tried again, and when it is given up. Reads no clock: the caller gives the times.

use std::time::Duration;

/// The time between the first two tries. It doubles with each further try.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// The time after which a message is given up, counted from the channel's first failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);

/// Returns the time until the next try. `failed` is the number of failed tries; `asked` is the time for which the channel has asked.
pub(crate) fn wait(failed: u32, asked: Option<Duration>) -> Duration {
    let own =
        FIRST.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    // A server may ask for a longer time, but for no more than PATIENCE: so at least one more try is made.
    asked.map_or(own, |asked| own.max(asked.min(PATIENCE)))
}

/// Whether a message that has just failed is given up. It was made at `made`, and its channel has failed since `failing`. All times are since 1970.
pub(crate) fn is_over(made: Duration, failing: Duration, now: Duration) -> bool {
    now.saturating_sub(made.max(failing)) >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_a_server_may_ask_for_more() {
        let secs: Vec<u64> = (1..12).map(|failed| wait(failed, None).as_secs()).collect();
        assert_eq!(secs, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait(u32::MAX, None), LONGEST);
        assert_eq!(wait(1, Some(Duration::from_secs(30))).as_secs(), 30);
        assert_eq!(wait(10, Some(Duration::from_secs(30))).as_secs(), 300, "never less than without it");
        assert_eq!(wait(1, Some(Duration::MAX)), PATIENCE);
    }

    #[test]
    fn the_hour_is_counted_from_the_failure_or_the_message_whichever_is_later() {
        let at = Duration::from_secs;
        assert!(!is_over(at(0), at(10), at(3609)));
        assert!(is_over(at(0), at(10), at(3610)));
        assert!(!is_over(at(3000), at(10), at(3610)), "it is younger than the failure");
        assert!(is_over(at(5), at(10), at(3611)), "a message that waited behind it");
    }
}
