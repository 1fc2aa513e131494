//! One entry of a write record as 40 bytes, little-endian. Pure: opens no file.

/// The length of an entry in bytes.
pub const LENGTH: usize = 40;

/// The code of an entry that has no cause.
pub const NO_CAUSE: u32 = 0;

/// The length without the sum at the end.
const SUMMED: usize = LENGTH - 4;

/// The event that an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The write is about to be sent.
    Intent,
    /// The store said that it has the record.
    Acked,
    /// The store certainly does not have the record by this attempt.
    Refused,
    /// The store may have the record or not.
    Unknown,
    /// A read-back told that the store acknowledged the write and lacks the record.
    Missed,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Intent => 1,
            Self::Acked => 2,
            Self::Refused => 3,
            Self::Unknown => 4,
            Self::Missed => 5,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Intent),
            2 => Some(Self::Acked),
            3 => Some(Self::Refused),
            4 => Some(Self::Unknown),
            5 => Some(Self::Missed),
            _ => None,
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub kind: Kind,
    /// The cause of a refused or unknown write, by [`code`](crate::outcome::Cause::code); [`NO_CAUSE`] without one.
    pub code: u32,
    /// The number of earlier attempts.
    pub attempt: u8,
    /// The number of the write.
    pub seq: u64,
    /// The time at which the write was due, by the vantage's CLOCK_BOOTTIME, in microseconds.
    pub due_us: u64,
    /// The time of the event by the same clock, in microseconds.
    pub at_us: u64,
}

impl Entry {
    /// Returns its bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; LENGTH] {
        let Self { kind, code, attempt, seq, due_us, at_us } = *self;
        let mut bytes = [0; LENGTH];
        let mut put = Put { bytes: &mut bytes, at: 0 };
        put.next(&[kind.byte()]);
        put.next(&[attempt]);
        put.next(&0_u16.to_le_bytes());
        put.next(&code.to_le_bytes());
        put.next(&seq.to_le_bytes());
        put.next(&due_us.to_le_bytes());
        put.next(&at_us.to_le_bytes());
        put.next(&0_u32.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..SUMMED]);
        bytes[SUMMED..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads an entry; `None` for bytes that are not those of a whole entry.
    #[must_use]
    pub fn read(bytes: &[u8; LENGTH]) -> Option<Self> {
        let mut take = Take(bytes);
        let kind = Kind::of(u8::from_le_bytes(take.next()));
        let attempt = u8::from_le_bytes(take.next());
        let _unused: [u8; 2] = take.next();
        let code = u32::from_le_bytes(take.next());
        let seq = u64::from_le_bytes(take.next());
        let due_us = u64::from_le_bytes(take.next());
        let at_us = u64::from_le_bytes(take.next());
        let _unused: [u8; 4] = take.next();
        let sum = u32::from_le_bytes(take.next());
        (sum == crc32fast::hash(&bytes[..SUMMED])).then_some(())?;
        Some(Self { kind: kind?, code, attempt, seq, due_us, at_us })
    }
}

/// Fills bytes from the front.
struct Put<'b> {
    bytes: &'b mut [u8; LENGTH],
    at: usize,
}

impl Put<'_> {
    fn next(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

/// Takes bytes from the front.
struct Take<'b>(&'b [u8]);

impl Take<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let mut part = [0; N];
        if let Some((first, rest)) = self.0.split_at_checked(N) {
            part.copy_from_slice(first);
            self.0 = rest;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Entry = Entry {
        kind: Kind::Unknown,
        code: 503,
        attempt: 2,
        seq: 0x0102_0304_0506,
        due_us: 7,
        at_us: u64::MAX,
    };

    #[test]
    fn an_entry_is_forty_bytes_that_read_back() {
        for kind in [Kind::Intent, Kind::Acked, Kind::Refused, Kind::Unknown, Kind::Missed] {
            let entry = Entry { kind, ..ONE };
            assert_eq!(Entry::read(&entry.bytes()), Some(entry));
        }
        assert_eq!(ONE.bytes()[..16], [4, 2, 0, 0, 0xf7, 1, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0]);
    }

    #[test]
    fn no_bit_can_change_unseen() {
        let bytes = ONE.bytes();
        for bit in 0..LENGTH * 8 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Entry::read(&other), None, "bit {bit}");
        }
        assert_eq!(Entry::read(&[0; LENGTH]), None, "zeros that a file system left");
    }
}
