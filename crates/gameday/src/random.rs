//! Random-looking numbers that are computed only from a game day's name and a slot, so that everybody can know them beforehand.

use ring::digest::{SHA256, digest};

/// Returns a number of 64 bits. `what` is its purpose; numbers for different purposes are independent.
pub(crate) fn number(what: &str, gameday: &str, slot: &str) -> u64 {
    let hash = digest(&SHA256, format!("firedrill {what} v1 {gameday} {slot}").as_bytes());
    hash.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns the upper 32 bits of [`number`]: they are short enough to type, and any JSON reader keeps them exactly.
pub(crate) fn short(what: &str, gameday: &str, slot: &str) -> u32 {
    u32::try_from(number(what, gameday, slot) >> 32).unwrap_or(u32::MAX)
}
