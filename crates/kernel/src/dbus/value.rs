//! D-Bus values: decodes every type of the specification by its signature.
//!
//! The bytes come from a bus and are not trusted. Lengths are checked against the bytes that exist, and signatures and depths against the
//! specification. Decoding never panics.

use super::error::DbusError;

/// Maximum depth of nesting by the specification: 32 arrays and 32 structures.
const DEEPEST: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`, `i` or `x`
    Signed(i64),
    /// `q`, `u`, `t`, or `h`, an index of a file descriptor
    Unsigned(u64),
    /// `d`
    Double(f64),
    /// `s`, `o` or `g`
    Text(String),
    /// `a…`; a dictionary is an array of structures with two fields
    Array(Vec<Self>),
    /// `(…)`
    Struct(Vec<Self>),
}

impl Value {
    /// Returns the text; `None` if the value is not a text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number; `None` if the value is not an unsigned number.
    #[must_use]
    pub const fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the elements of an array or the fields of a structure; empty for everything else.
    #[must_use]
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Array(parts) | Self::Struct(parts) => parts,
            _ => &[],
        }
    }
}

/// Reads values from bytes. Positions, and so alignments, are relative to the first byte.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

/// Defines the function that reads a number of a type at its alignment.
macro_rules! number {
    ($type:ident) => {
        pub(super) fn $type(&mut self) -> Result<$type, DbusError> {
            const LENGTH: usize = size_of::<$type>();
            self.align(LENGTH)?;
            let mut bytes = [0; LENGTH];
            bytes.copy_from_slice(self.take(LENGTH)?);
            Ok(if self.big_endian { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) })
        }
    };
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    number!(u16);
    number!(u32);
    number!(u64);

    /// Reads one value for each complete type of a signature.
    pub(super) fn values(&mut self, signature: &str) -> Result<Vec<Value>, DbusError> {
        self.sequence(signature.as_bytes(), 0)
    }

    fn sequence(&mut self, mut signature: &[u8], depth: usize) -> Result<Vec<Value>, DbusError> {
        let mut values = Vec::new();
        while !signature.is_empty() {
            let (first, rest) = split(signature)?;
            values.push(self.value(first, depth)?);
            signature = rest;
        }
        Ok(values)
    }

    /// Reads a value of one complete type.
    fn value(&mut self, signature: &[u8], depth: usize) -> Result<Value, DbusError> {
        if depth > DEEPEST {
            return Err(nonsense("values nested too deep"));
        }
        Ok(match signature {
            [b'y'] => Value::Byte(self.take(1)?[0]),
            [b'b'] => Value::Bool(self.u32()? != 0),
            [b'n'] => Value::Signed(self.u16()?.cast_signed().into()),
            [b'i'] => Value::Signed(self.u32()?.cast_signed().into()),
            [b'x'] => Value::Signed(self.u64()?.cast_signed()),
            [b'q'] => Value::Unsigned(self.u16()?.into()),
            [b'u' | b'h'] => Value::Unsigned(self.u32()?.into()),
            [b't'] => Value::Unsigned(self.u64()?),
            [b'd'] => Value::Double(f64::from_bits(self.u64()?)),
            [b's' | b'o'] => {
                let length = self.u32()?;
                Value::Text(self.text(length)?)
            }
            [b'g'] => Value::Text(self.signature()?),
            [b'v'] => {
                let signature = self.signature()?;
                let (inner, rest) = split(signature.as_bytes())?;
                if !rest.is_empty() {
                    return Err(nonsense("a variant of several values"));
                }
                self.value(inner, depth + 1)?
            }
            [b'a', element @ ..] => self.array(element, depth + 1)?,
            [b'(', fields @ .., b')'] | [b'{', fields @ .., b'}'] => {
                self.align(8)?;
                Value::Struct(self.sequence(fields, depth + 1)?)
            }
            _ => return Err(nonsense("a value of an unknown type")),
        })
    }

    fn array(&mut self, element: &[u8], depth: usize) -> Result<Value, DbusError> {
        let length = usize::try_from(self.u32()?).map_err(|_| nonsense("an array without an end"))?;
        self.align(alignment(element))?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| nonsense("an array that is longer than its message"))?;
        let mut values = Vec::new();
        while self.at < end {
            let before = self.at;
            values.push(self.value(element, depth)?);
            if self.at == before {
                return Err(nonsense("an array of nothing"));
            }
        }
        if self.at == end { Ok(Value::Array(values)) } else { Err(nonsense("an array of another length")) }
    }

    fn signature(&mut self) -> Result<String, DbusError> {
        let length = self.take(1)?[0];
        self.text(length.into())
    }

    /// Reads a text with this length and its terminating zero byte.
    fn text(&mut self, length: u32) -> Result<String, DbusError> {
        let length = usize::try_from(length).map_err(|_| nonsense("a text without an end"))?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| nonsense("text that is not UTF-8"))?;
        let text = text.to_owned();
        if self.take(1)? == [0] { Ok(text) } else { Err(nonsense("a text without its end")) }
    }

    fn align(&mut self, to: usize) -> Result<(), DbusError> {
        self.take(self.at.next_multiple_of(to) - self.at).map(drop)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DbusError> {
        let end = self.at.checked_add(length).ok_or_else(|| nonsense("a length beyond memory"))?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| nonsense("a message that ends early"))?;
        self.at = end;
        Ok(taken)
    }
}

/// Makes the error that the bus sent `sent`.
pub(super) fn nonsense(sent: &str) -> DbusError {
    DbusError::Nonsense(sent.to_owned())
}

/// Returns the alignment of values of a type, in bytes.
const fn alignment(signature: &[u8]) -> usize {
    match signature {
        [b'n' | b'q', ..] => 2,
        [b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a', ..] => 4,
        [b'x' | b't' | b'd' | b'(' | b'{', ..] => 8,
        _ => 1,
    }
}

/// Splits a signature after its first complete type.
fn split(signature: &[u8]) -> Result<(&[u8], &[u8]), DbusError> {
    let arrays = signature.iter().take_while(|c| **c == b'a').count();
    let mut open = 0_usize;
    for (at, c) in signature.iter().enumerate().skip(arrays) {
        match c {
            b'(' | b'{' => open += 1,
            b')' | b'}' => open = open.checked_sub(1).ok_or_else(|| nonsense("a torn signature"))?,
            _ => {}
        }
        if open == 0 {
            return Ok(signature.split_at(at + 1));
        }
    }
    Err(nonsense("a torn signature"))
}
