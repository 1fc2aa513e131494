//! The bytes of an echo request, and of the reply to it: RFC 792 and RFC 4443. Functions of bytes, but for the random token.

use std::io;

/// The length of the head of a request, in bytes: type, code, checksum, identifier, number.
const HEAD: usize = 8;
/// The type of a request over IPv4.
const REQUEST_V4: u8 = 8;
/// The type of a reply over IPv4.
const REPLY_V4: u8 = 0;
/// The type of a request over IPv6.
const REQUEST_V6: u8 = 128;
/// The type of a reply over IPv6.
const REPLY_V6: u8 = 129;
/// For [`Echo::is_answered_by`]: a raw socket received the bytes.
pub(super) const RAW: bool = true;
/// For [`Echo::is_answered_by`]: one of the kernel's sockets for echoes received the bytes.
pub(super) const NOT_RAW: bool = false;
/// The number of random bytes in a request. They tell it from all others, because every raw socket of a machine receives all replies.
const TOKEN: usize = 16;

/// A request.
pub(super) struct Echo {
    v4: bool,
    /// Its bytes, at least [`HEAD`] + [`TOKEN`].
    pub(super) request: Vec<u8>,
}

impl Echo {
    /// Makes a request with so many bytes behind its head.
    pub(super) fn new(v4: bool, number: u16, size: usize) -> io::Result<Self> {
        let mut token = [0; TOKEN];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut token).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self::of(v4, number, size, token))
    }

    fn of(v4: bool, number: u16, size: usize, token: [u8; TOKEN]) -> Self {
        let [high, low] = number.to_be_bytes();
        // The identifier is the kernel's, unless the socket is a raw one.
        let mut request =
            vec![if v4 { REQUEST_V4 } else { REQUEST_V6 }, 0, 0, 0, token[0], token[1], high, low];
        request.extend_from_slice(&token);
        request.resize(HEAD + size.max(TOKEN), b'.');
        if v4 {
            // The kernel sums up ICMPv6, whose sum has the addresses in it.
            let sum = checksum(&request).to_be_bytes();
            request.splice(2..4, sum);
        }
        Self { v4, request }
    }

    /// Whether the bytes are the reply to this request. `raw` says that a raw socket received them: over IPv4 it receives the packet's own head,
    /// too.
    pub(super) fn is_answered_by(&self, bytes: &[u8], raw: bool) -> bool {
        let head = match bytes.first() {
            Some(first) if raw && self.v4 => usize::from(first & 15) * 4,
            _ => 0,
        };
        let Some(reply) = bytes.get(head..) else { return false };
        let kind = if self.v4 { REPLY_V4 } else { REPLY_V6 };
        // The kernel has put its own identifier into the request.
        reply.starts_with(&[kind, 0]) && reply.get(6..) == self.request.get(6..)
    }
}

/// Returns the Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(u16::from_be_bytes([high, 0])),
            _ => 0,
        };
    }
    while sum >> 16 > 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request is sent over IPv4.
    const V4: bool = true;

    #[test]
    fn a_request_sums_up_to_nothing_and_only_its_own_reply_answers_it() {
        for size in [16, 17, 56, 8972] {
            let echo = Echo::of(V4, 0x0102, size, [7; TOKEN]);
            assert_eq!((checksum(&echo.request), echo.request.len()), (0, 8 + size));
        }
        for v4 in [true, false] {
            let echo = Echo::of(v4, 3, 17, [7; TOKEN]);
            assert!(!echo.is_answered_by(&echo.request, NOT_RAW), "the request itself");
            let mut reply = echo.request.clone();
            reply[0] = if v4 { REPLY_V4 } else { REPLY_V6 };
            // The identifier is the kernel's.
            reply[4] = 99;
            assert!(echo.is_answered_by(&reply, NOT_RAW));
            let packet = [vec![0x45; 20], reply.clone()].concat();
            assert_eq!(echo.is_answered_by(&packet, RAW), v4);
            for other in [
                Echo::of(v4, 4, 17, [7; TOKEN]),
                Echo::of(v4, 3, 17, [8; TOKEN]),
                Echo::of(v4, 3, 18, [7; TOKEN]),
            ] {
                assert!(!other.is_answered_by(&reply, NOT_RAW));
            }
            for length in 0..reply.len() {
                assert!(
                    !echo.is_answered_by(&reply[..length], NOT_RAW)
                        && !echo.is_answered_by(&reply[..length], RAW)
                );
            }
        }
        let one = Echo::new(V4, 1, 16).unwrap().request;
        assert_ne!(one, Echo::new(V4, 1, 16).unwrap().request, "each request is another");
    }
}
