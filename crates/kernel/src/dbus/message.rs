//! D-Bus messages: encodes a call, and decodes the values of an answer. Reads and writes no sockets.

use super::{
    error::DbusError,
    value::{Reader, Value, nonsense},
};

/// Kinds of messages, by number.
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Header fields, by number.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Maximum length of a message by the specification, in bytes.
const LONGEST: usize = 128 << 20;

/// The object and interface whose methods are called.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service's bus name.
    pub destination: &'a str,
    /// The object's path.
    pub path: &'a str,
    /// The interface that has the methods.
    pub interface: &'a str,
}

/// A method call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) serial: u32,
    pub(super) target: &'a Target<'a>,
    pub(super) method: &'a str,
    pub(super) arguments: &'a [&'a str],
}

impl Call<'_> {
    /// Encodes the message, little-endian.
    pub(super) fn encode(&self) -> Result<Vec<u8>, DbusError> {
        let mut body = Vec::new();
        for argument in self.arguments {
            put_text(&mut body, argument)?;
        }
        let mut bytes = vec![b'l', METHOD_CALL, 0, 1];
        bytes.extend(length(body.len())?.to_le_bytes());
        bytes.extend(self.serial.to_le_bytes());
        let fields_length_at = bytes.len();
        bytes.extend(0_u32.to_le_bytes());
        let signature = "s".repeat(self.arguments.len());
        for (number, kind, text) in [
            (PATH, b'o', self.target.path),
            (INTERFACE, b's', self.target.interface),
            (MEMBER, b's', self.method),
            (DESTINATION, b's', self.target.destination),
            (SIGNATURE, b'g', &signature),
        ] {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes.extend([number, 1, kind, 0]);
            if kind == b'g' {
                bytes.push(u8::try_from(text.len()).map_err(|_| nonsense("too many arguments"))?);
                bytes.extend(text.as_bytes());
                bytes.push(0);
            } else {
                put_text(&mut bytes, text)?;
            }
        }
        let fields = length(bytes.len() - fields_length_at - 4)?;
        bytes[fields_length_at..fields_length_at + 4].copy_from_slice(&fields.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        Ok(bytes)
    }
}

/// Appends a text at its alignment, with its length in front and a zero byte at the end.
fn put_text(bytes: &mut Vec<u8>, text: &str) -> Result<(), DbusError> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(length(text.len())?.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
    Ok(())
}

/// Converts a length to the form in a message.
fn length(bytes: usize) -> Result<u32, DbusError> {
    let fits = u32::try_from(bytes).ok().filter(|_| bytes < LONGEST);
    fits.ok_or_else(|| DbusError::Io(std::io::Error::other("the call is too long for a message")))
}

/// The first bytes of a message, which contain its length.
#[derive(Debug)]
pub(super) struct Header {
    big_endian: bool,
    kind: u8,
    /// Length of the header fields in bytes, without padding.
    fields: usize,
    /// Number of bytes of the message that follow the header.
    pub(super) rest: usize,
}

impl Header {
    /// Length of a header in bytes.
    pub(super) const LENGTH: usize = 16;

    pub(super) fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, DbusError> {
        let big_endian = match (bytes[0], bytes[3]) {
            (b'l', 1) => false,
            (b'B', 1) => true,
            _ => return Err(nonsense("what is not a message")),
        };
        let mut numbers = Reader::new(&bytes[4..], big_endian);
        let (body, _serial, fields) = (numbers.u32()?, numbers.u32()?, numbers.u32()?);
        let size = |length: u32| usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let (Some(body), Some(fields)) = (size(body), size(fields)) else {
            return Err(nonsense("a message that is too long"));
        };
        let rest = fields.next_multiple_of(8) + body;
        if rest > LONGEST {
            return Err(nonsense("a message that is too long"));
        }
        Ok(Self { big_endian, kind: bytes[1], fields, rest })
    }

    /// Decodes the message from the bytes that followed the header.
    pub(super) fn complete(self, mut rest: Vec<u8>) -> Result<Message, DbusError> {
        let body = self.fields.next_multiple_of(8);
        if rest.len() < body {
            return Err(nonsense("a message that ends early"));
        }
        // The header fields are an array of structures, whose length is in the header. The reader needs that length in front of them.
        let length = length(self.fields)?;
        let mut array = if self.big_endian { length.to_be_bytes() } else { length.to_le_bytes() }.to_vec();
        array.extend([0; 4]);
        array.extend(&rest[..self.fields]);
        let fields = Reader::new(&array, self.big_endian).values("a(yv)")?;
        rest.drain(..body);
        let mut message = Message {
            big_endian: self.big_endian,
            kind: self.kind,
            reply_to: None,
            error: String::new(),
            signature: String::new(),
            body: rest,
        };
        for field in fields.iter().flat_map(Value::parts) {
            match field.parts() {
                [Value::Byte(REPLY_SERIAL), Value::Unsigned(serial)] => message.reply_to = Some(*serial),
                [Value::Byte(ERROR_NAME), Value::Text(name)] => message.error.clone_from(name),
                [Value::Byte(SIGNATURE), Value::Text(signature)] => message.signature.clone_from(signature),
                _ => {}
            }
        }
        Ok(message)
    }
}

/// A message as it was received.
#[derive(Debug)]
pub(super) struct Message {
    big_endian: bool,
    kind: u8,
    /// The number of the call that the message answers, if it is an answer.
    reply_to: Option<u64>,
    /// The name of the error, if it is one.
    error: String,
    /// The types of the values in the body.
    signature: String,
    body: Vec<u8>,
}

/// The answer to a call.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The values that the method returned.
    Values(Vec<Value>),
    /// An error that the service returned.
    Error { name: String, text: Option<String> },
}

impl Message {
    /// Returns the answer to the call with this number; `None` if the message is not an answer to it.
    pub(super) fn answer_to(&self, serial: u32) -> Result<Option<Answer>, DbusError> {
        if self.reply_to != Some(serial.into()) {
            return Ok(None);
        }
        let values = Reader::new(&self.body, self.big_endian).values(&self.signature)?;
        Ok(match self.kind {
            METHOD_RETURN => Some(Answer::Values(values)),
            ERROR => {
                let text = values.first().and_then(Value::text).map(str::to_owned);
                Some(Answer::Error { name: self.error.clone(), text })
            }
            _ => None,
        })
    }
}
