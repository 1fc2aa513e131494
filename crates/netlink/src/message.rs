//! Messages as sent and received, with netlink's own header (`struct nlmsghdr`).

use libc::NLM_F_REQUEST;

use crate::{Attrs, NetlinkError, Reason, flag::flag};

/// The length of netlink's own header, in bytes.
const HEADER: usize = 16;

/// One message of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// The part after netlink's own header: the family's header, then attributes.
    pub body: Vec<u8>,
}

/// A request: its type, its flags, and the part after netlink's own header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its type.
    pub kind: u16,
    /// `NLM_F_…` beyond those that the socket sets.
    pub flags: u16,
    /// The family's header, then attributes.
    pub body: Vec<u8>,
}

impl Request {
    /// Makes a message of a family's header and attributes. `flags` are libc's `NLM_F_…`; `what` completes "could not".
    ///
    /// # Errors
    /// An attribute is too long.
    pub fn new(
        what: &str,
        kind: u16,
        flags: libc::c_int,
        header: &[u8],
        attrs: &Attrs,
    ) -> Result<Self, NetlinkError> {
        let too_long =
            || NetlinkError { what: what.to_owned(), reason: Reason::TooLong("an attribute".to_owned()) };
        Ok(Self { kind, flags: flag(flags), body: attrs.after(header).ok_or_else(too_long)? })
    }
}

/// Encodes a message, padded to a multiple of 4 bytes; several make up a batch.
#[must_use]
pub fn encode(request: &Request, seq: u32) -> Vec<u8> {
    let length = HEADER + request.body.len();
    let mut bytes = Vec::with_capacity(length + 3);
    // A body beyond 4 GiB cannot be sent anyway: the kernel refuses the length.
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend(request.kind.to_ne_bytes());
    bytes.extend((request.flags | flag(NLM_F_REQUEST)).to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(&request.body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A message within a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its type.
    pub kind: u16,
    /// `NLM_F_…`.
    pub flags: u16,
    /// The sequence number of the request that it answers.
    pub seq: u32,
    /// The part after netlink's own header.
    pub body: &'a [u8],
}

/// Walks over the messages of a datagram; a truncated one ends the walk.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let header: [u8; HEADER] = datagram.get(..HEADER)?.try_into().ok()?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = header;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
        let body = datagram.get(HEADER..length)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Part {
            kind: u16::from_ne_bytes([e, f]),
            flags: u16::from_ne_bytes([g, h]),
            seq: u32::from_ne_bytes([i, j, k, l]),
            body,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_of_a_batch_are_read_as_they_were_encoded(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            kind: u16,
        ) {
            let request = |body: &Vec<u8>| Request { kind, flags: 0x600, body: body.clone() };
            let datagram: Vec<u8> =
                (7..).zip(&bodies).flat_map(|(seq, body)| encode(&request(body), seq)).collect();
            let read: Vec<_> = messages(&datagram).map(|part| (part.seq, part.flags, part.body.to_vec())).collect();
            let sent: Vec<_> = (7..).zip(bodies).map(|(seq, body)| (seq, 0x601, body)).collect();
            prop_assert_eq!(read, sent);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = messages(&bytes).count();
        }
    }

    #[test]
    fn a_request_that_is_too_long_is_an_error() {
        let long = Attrs::new().bytes(1, &[0; 1 << 16]);
        let refused = Request::new("make something", 1, 0, &[0; 4], &long);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "could not make something: the request is too long (an attribute)"
        );
    }
}
