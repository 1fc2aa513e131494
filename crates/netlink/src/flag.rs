//! Flags of messages, as the header has them.

/// Netlink's flags are 16 bits wide; libc has them as `c_int`.
#[must_use]
pub const fn flag(bits: libc::c_int) -> u16 {
    let [low, high, ..] = bits.to_le_bytes();
    u16::from_le_bytes([low, high])
}
