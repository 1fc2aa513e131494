//! Measures the offset between an agent's clock and this machine's. Both are clocks that count through suspend (`CLOCK_BOOTTIME`); wall clocks
//! are not used.

use firedrill_probe::clock::boot_us;

use super::{Agent, LinkError};

/// The offset between an agent's clock and this machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The agent's `CLOCK_BOOTTIME` minus this machine's, in microseconds.
    pub boot_minus_local_us: i64,
    /// Maximum error in microseconds: half of the shortest round trip.
    pub uncertainty_us: u64,
    /// The agent's boot id at the measurement.
    pub boot_id: String,
}

/// Measures `rounds` times (at least once) and keeps the shortest round trip. An additional first call opens the
/// connection.
///
/// # Errors
/// [`LinkError`] of the first call that failed.
pub async fn offset(agent: &Agent, rounds: u32) -> Result<Offset, LinkError> {
    agent.clock().await?;
    let mut best = once(agent).await?;
    for _ in 1..rounds {
        let next = once(agent).await?;
        // Measurements from before a reboot are invalid.
        if next.boot_id != best.boot_id || next.uncertainty_us < best.uncertainty_us {
            best = next;
        }
    }
    Ok(best)
}

/// Measures once. The agent is assumed to have read its clock in the middle of the round trip.
async fn once(agent: &Agent) -> Result<Offset, LinkError> {
    let sent = boot_us();
    let clock = agent.clock().await?;
    let answered = boot_us();
    let uncertainty_us = answered.saturating_sub(sent).div_ceil(2);
    Ok(Offset {
        boot_minus_local_us: difference(clock.boot_us, sent.saturating_add(uncertainty_us)),
        uncertainty_us,
        boot_id: clock.boot_id,
    })
}

/// Returns `a - b`, saturating.
fn difference(a: u64, b: u64) -> i64 {
    let size = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a >= b { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn clocks_may_differ_in_either_direction_and_by_any_amount() {
        assert_eq!((difference(5, 3), difference(3, 5)), (2, -2));
        assert_eq!((difference(u64::MAX, 0), difference(0, u64::MAX)), (i64::MAX, -i64::MAX));
    }
}
