//! Decides when a message is tried again, and when it is given up. Knows no clock: times are given.

use std::time::Duration;

/// The first time between two tries. It doubles with each.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(300);
/// The time after which a channel that takes nothing is given up, counted from its first failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);

/// Returns the time until the next try. `failed` tries have failed; `asked` is what the channel asks for.
pub(crate) fn wait(failed: u32, asked: Option<Duration>) -> Duration {
    let own =
        FIRST.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    // What a server asks for is respected within reason: after the time at which all is given up, one try is made.
    asked.map_or(own, |asked| own.max(asked.min(PATIENCE)))
}

/// Whether a message that has just failed is given up. It was made at `made`, and its channel has failed since `failing`.
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
    fn an_hour_is_counted_for_each_message_and_not_again_for_each_that_waited_behind_it() {
        let at = Duration::from_secs;
        assert!(!is_over(at(0), at(10), at(3609)));
        assert!(is_over(at(0), at(10), at(3610)));
        assert!(!is_over(at(3000), at(10), at(3610)), "it is younger than the failure");
        assert!(is_over(at(5), at(10), at(3611)), "the next one behind it");
    }
}
