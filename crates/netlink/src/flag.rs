//! Flags of messages, as the header has them.

/// Converts flags of libc, which are `c_int`, to the 16 bits of the header.
#[must_use]
pub const fn flag(bits: libc::c_int) -> u16 {
    let [low, high, ..] = bits.to_le_bytes();
    u16::from_le_bytes([low, high])
}
