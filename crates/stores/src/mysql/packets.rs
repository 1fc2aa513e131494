//! Packets of MySQL's protocol: a length of three bytes, a number, a body. Nothing of a body is trusted.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use firedrill_probe::client::{Cause, Failure, Stream, failure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

/// The most that is kept of a packet, in bytes. The rest is read and dropped.
const KEPT: usize = 1024 * 1024;
/// The first byte of a value that is NULL.
const NULL: u8 = 0xfb;
/// A packet of this length goes on in the next one.
const FULL: usize = 0xff_ff_ff;

/// A connection, packet by packet.
pub(super) struct Packets<S> {
    pub(super) stream: S,
    /// The number that the next packet has, in either direction.
    next: u8,
}

impl<S: Stream> Packets<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, next: 0 }
    }

    /// Begins an exchange: the next packet has the number 0.
    pub(super) const fn begin(&mut self) {
        self.next = 0;
    }

    /// Goes on over another stream, which is made of this one.
    pub(super) async fn over<T>(
        self,
        other: impl AsyncFnOnce(S) -> Result<T, Failure>,
    ) -> Result<Packets<T>, Failure> {
        Ok(Packets { stream: other(self.stream).await?, next: self.next })
    }

    /// Reads a packet. Its first MiB is kept.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head).await.map_err(|why| failure(&why))?;
            let [low, middle, high, number] = head;
            if number != self.next {
                return Err(Cause::Protocol.into());
            }
            self.next = self.next.wrapping_add(1);
            let length = u32::from_le_bytes([low, middle, high, 0]);
            let mut rest = (&mut self.stream).take(u64::from(length));
            let room = KEPT.saturating_sub(body.len());
            let kept = (&mut rest).take(room as u64).read_to_end(&mut body).await;
            kept.map_err(|why| failure(&why))?;
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(|why| failure(&why))?;
            if rest.limit() > 0 {
                return Err(Cause::Reset.into());
            }
            if usize::try_from(length) != Ok(FULL) {
                return Ok(body);
            }
        }
    }

    /// Sends a packet, which is shorter than 16 MiB.
    pub(super) async fn send(&mut self, body: &[u8]) -> Result<(), Failure> {
        let packet = self.framed(body);
        self.stream.write_all(&packet).await.map_err(|why| failure(&why))?;
        self.stream.flush().await.map_err(|why| failure(&why))
    }

    fn framed(&mut self, body: &[u8]) -> Vec<u8> {
        let [low, middle, high, ..] = u32::try_from(body.len()).unwrap_or(0).to_le_bytes();
        let packet = [&[low, middle, high, self.next], body].concat();
        self.next = self.next.wrapping_add(1);
        packet
    }

    /// Whether nothing came, not even the end. Waits for nothing.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut into).is_pending()
    }

    /// Sends as much of a packet as can be sent at once. Waits for nothing.
    pub(super) fn send_now(&mut self, body: &[u8]) {
        let packet = self.framed(body);
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(_)) = Pin::new(&mut self.stream).poll_write(&mut cx, &packet) {
            let _ = Pin::new(&mut self.stream).poll_flush(&mut cx);
        }
    }
}

/// Reads values from the beginning of a packet. A value for which the packet is too short is `None`.
pub(super) struct Reader<'p>(pub(super) &'p [u8]);

impl<'p> Reader<'p> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'p [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// Reads a text up to a NUL, which may be missing at the end of the packet.
    pub(super) fn text(&mut self) -> &'p [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = self.bytes(end).unwrap_or_default();
        let _ = self.byte();
        text
    }

    /// Reads a number of variable length.
    pub(super) fn number(&mut self) -> Option<u64> {
        // The first byte is the number itself, or says how many bytes the number has.
        let more = match self.byte()? {
            small @ 0..=0xfa => return Some(small.into()),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        let mut all = [0; 8];
        all.get_mut(..more)?.copy_from_slice(self.bytes(more)?);
        Some(u64::from_le_bytes(all))
    }

    /// Reads a value of a row; the inner `None` is NULL.
    pub(super) fn value(&mut self) -> Option<Option<&'p [u8]>> {
        if self.0.first() == Some(&NULL) {
            let _ = self.byte();
            return Some(None);
        }
        let length = usize::try_from(self.number()?).ok()?;
        self.bytes(length).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_what_is_cut_is_nothing() {
        let mut reader = Reader(b"\x01\x34\x12ab\0\xfa\xfc\x01\x02\xfd\x01\x02\x03");
        assert_eq!((reader.byte(), reader.short(), reader.text()), (Some(1), Some(0x1234), &b"ab"[..]));
        assert_eq!((reader.number(), reader.number()), (Some(0xfa), Some(0x201)));
        assert_eq!((reader.number(), reader.number()), (Some(0x03_02_01), None));
        assert_eq!(Reader(b"\xfe\x01\0\0\0\0\0\0\x80").number(), Some(1 | 1 << 63));
        let mut row = Reader(b"\x02ab\xfb\0\x05abc");
        assert_eq!(
            (row.value(), row.value(), row.value()),
            (Some(Some(&b"ab"[..])), Some(None), Some(Some(&b""[..])))
        );
        assert_eq!(row.value(), None);
        assert_eq!(Reader(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff").value(), None);
    }

    #[tokio::test]
    async fn a_packet_in_parts_is_one_and_a_wrong_number_is_told() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut packets = Packets::new(ours);
        assert!(packets.is_quiet());
        tokio::spawn(async move {
            let mut sent = [&[0xff, 0xff, 0xff, 0][..], &vec![7; FULL], &[1, 0, 0, 1, 8]].concat();
            sent.extend_from_slice(&[1, 0, 0, 9, 9]);
            let _ = theirs.write_all(&sent).await;
        });
        assert_eq!(packets.read().await.map(|body| (body.len(), body[0])), Ok((KEPT, 7)));
        assert_eq!(packets.read().await, Err(Cause::Protocol.into()));
        assert_eq!(packets.read().await, Err(Cause::Reset.into()));
    }
}
