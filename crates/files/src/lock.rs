//! Waits for locks of files until a deadline.

use std::{
    fs::TryLockError,
    thread,
    time::{Duration, Instant},
};

/// Takes a lock by `take`. While another program has the lock, waits for `step` and tries again, until the deadline `until`.
///
/// # Errors
/// Another program still has the lock at the deadline (`WouldBlock`), or the lock cannot be taken.
pub fn within(
    until: Instant,
    step: Duration,
    mut take: impl FnMut() -> Result<(), TryLockError>,
) -> Result<(), TryLockError> {
    loop {
        match take() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(step),
            taken => return taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_tried_until_it_is_taken_or_the_deadline_has_come() {
        let far = Instant::now() + Duration::from_secs(600);
        let mut tries = 0;
        let mut third = || {
            tries += 1;
            if tries < 3 { Err(TryLockError::WouldBlock) } else { Ok(()) }
        };
        assert!(within(far, Duration::ZERO, &mut third).is_ok());
        assert_eq!(tries, 3);
        let busy = || Err(TryLockError::WouldBlock);
        assert!(matches!(within(Instant::now(), Duration::ZERO, busy), Err(TryLockError::WouldBlock)));
        let broken = || Err(TryLockError::Error(std::io::Error::other("no locks")));
        assert!(matches!(within(far, Duration::ZERO, broken), Err(TryLockError::Error(_))));
    }
}
