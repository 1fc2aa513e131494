//! Netlink attributes: encodes them in order, and walks over those that the kernel sent.
//!
//! The caller chooses the byte order of numbers: nf_tables uses big-endian, rtnetlink the machine's own.

/// The flag of a kind whose value is made of attributes (`NLA_F_NESTED`).
const NESTED: u16 = 0x8000;
/// The bits of a kind without its flags (`NLA_TYPE_MASK`).
const KIND: u16 = 0x3fff;

/// Attributes, encoded in the order of the calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attrs {
    bytes: Vec<u8>,
    /// Whether an attribute was left out because it was too long.
    too_long: bool,
}

impl Attrs {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        // The length has 16 bits, and includes the 4 bytes of length and kind.
        let Ok(length) = u16::try_from(value.len() + 4) else {
            // An attribute that is too long is left out, and `after` reports it.
            self.too_long = true;
            return self;
        };
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a text with its terminating zero byte.
    #[must_use]
    pub fn text(self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Adds 32 bits, big-endian.
    #[must_use]
    pub fn be32(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// Adds 64 bits, big-endian.
    #[must_use]
    pub fn be64(self, kind: u16, number: u64) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// Adds 32 bits in the machine's own order.
    #[must_use]
    pub fn ne32(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, &number.to_ne_bytes())
    }

    /// Adds attributes inside an attribute.
    #[must_use]
    pub fn nest(mut self, kind: u16, inner: &Self) -> Self {
        self.too_long |= inner.too_long;
        self.bytes(kind | NESTED, &inner.bytes)
    }

    /// Adds a message inside an attribute: a header, then attributes.
    #[must_use]
    pub fn message(mut self, kind: u16, header: &[u8], inner: &Self) -> Self {
        self.too_long |= inner.too_long;
        self.bytes(kind, &[header, &inner.bytes].concat())
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends other attributes.
    pub fn extend(&mut self, others: &Self) {
        self.too_long |= others.too_long;
        self.bytes.extend(&others.bytes);
    }

    /// Returns the body of a message: a header, followed by the attributes. `None` if an attribute was too long.
    #[must_use]
    pub fn after(&self, header: &[u8]) -> Option<Vec<u8>> {
        (!self.too_long).then(|| [header, &self.bytes].concat())
    }
}

/// Walks over attributes: the kind and the value of each. A truncated one ends the walk.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let &[a, b, c, d] = bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & KIND, value))
    })
}

/// Returns the first attribute of a kind.
#[must_use]
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(other, _)| *other == kind).map(|(_, value)| value)
}

/// Returns a text attribute without its zero byte.
#[must_use]
pub fn text(bytes: &[u8], kind: u16) -> Option<String> {
    let value = find(bytes, kind)?;
    Some(String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned())
}

/// Returns a 32-bit attribute, big-endian.
#[must_use]
pub fn be32(bytes: &[u8], kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(find(bytes, kind)?.try_into().ok()?))
}

/// Returns a 64-bit attribute, big-endian.
#[must_use]
pub fn be64(bytes: &[u8], kind: u16) -> Option<u64> {
    Some(u64::from_be_bytes(find(bytes, kind)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The maximum length of an attribute's value, in bytes.
    const LONGEST: usize = 65_531;

    #[test]
    fn an_attribute_that_is_too_long_is_reported() {
        assert!(Attrs::new().bytes(1, &vec![0; LONGEST]).after(&[]).is_some());
        let long = Attrs::new().bytes(1, &vec![0; LONGEST + 1]);
        assert!(long.after(&[]).is_none());
        assert!(Attrs::new().nest(2, &long).after(&[]).is_none());
        assert!(Attrs::new().message(2, &[0; 16], &long).after(&[]).is_none());
    }

    proptest! {
        #[test]
        fn written_attributes_are_read_back(values in proptest::collection::vec((1_u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..10)) {
            let mut attrs = Attrs::new();
            for (kind, value) in &values {
                attrs = attrs.bytes(*kind, value);
            }
            let bytes = attrs.after(&[]).expect("short");
            let read: Vec<_> = attributes(&bytes).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = attributes(&bytes).count();
        }
    }
}
