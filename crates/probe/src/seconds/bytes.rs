//! Numbers and texts as bytes: LEB128, zigzag for what may be below zero, texts with their length; and sorted cells as bits.

/// Writes bytes.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    /// Writes a number, seven bits a byte, the lowest first. The highest bit of a byte says that more bytes follow.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 128 {
            self.0.push(low_byte(number) | 128);
            number >>= 7;
        }
        self.0.push(low_byte(number));
    }

    /// Writes a number that may be below zero. Numbers near 0 stay small whatever their sign: 0, -1, 1, -2, …
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Writes sorted cells: the number of the first one, then bits. From there on each cell has a 1 for each value that is in it, and a 0 for
    /// going on to the next cell. The lowest bits of a byte come first, and the last byte is filled up.
    pub(super) fn cells(&mut self, cells: &[u16]) {
        let Some(first) = cells.first() else { return };
        self.number(u64::from(*first));
        let (mut at, mut bit, mut byte) = (*first, 0_u32, 0_u8);
        for cell in cells {
            while at < *cell {
                (at, bit) = (at + 1, bit + 1);
                if bit == 8 {
                    self.0.push(std::mem::take(&mut byte));
                    bit = 0;
                }
            }
            byte |= 1 << bit;
            bit += 1;
            if bit == 8 {
                self.0.push(std::mem::take(&mut byte));
                bit = 0;
            }
        }
        if bit > 0 {
            self.0.push(byte);
        }
    }
}

/// Returns the lowest seven bits.
const fn low_byte(number: u64) -> u8 {
    (number & 127) as u8
}

/// Reads bytes. Each value is `None` if bytes are missing or invalid.
#[derive(Debug)]
pub(super) struct In<'a> {
    rest: &'a [u8],
    /// The bytes of memory that may still be taken for what is read.
    left: usize,
    /// Whether more memory was needed.
    pub(super) spent: bool,
}

impl<'a> In<'a> {
    /// Reads `bytes` into at most `most` bytes of memory.
    pub(super) const fn new(bytes: &'a [u8], most: usize) -> Self {
        Self { rest: bytes, left: most, spent: false }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes memory for `count` items of a type; `None` if that is too much.
    pub(super) fn take<T>(&mut self, count: usize) -> Option<()> {
        let left = count.checked_mul(size_of::<T>()).and_then(|bytes| self.left.checked_sub(bytes));
        self.spent |= left.is_none();
        self.left = left?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a number of things. Each of these takes a byte at least, so that there cannot be more than bytes.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    /// Reads `count` sorted cells.
    pub(super) fn cells(&mut self, count: usize) -> Option<Vec<u16>> {
        // Each cell takes a bit at least.
        if count == 0 || count / 8 > self.rest.len() {
            return (count == 0).then(Vec::new);
        }
        self.take::<u16>(count)?;
        let mut cells = Vec::with_capacity(count);
        let mut cell = u32::try_from(self.number()?).ok()?;
        while cells.len() < count {
            let mut byte = self.byte()?;
            let mut left = 8;
            // A run of ones is in one cell; each 0 goes on to the next.
            while byte != 0 {
                let zeros = byte.trailing_zeros();
                cell += zeros;
                byte >>= zeros;
                left -= zeros;
                cells.push(u16::try_from(cell).ok()?);
                byte >>= 1;
                left -= 1;
            }
            cell += left;
        }
        (cells.len() == count).then_some(cells)
    }
}
