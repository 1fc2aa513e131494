//! Frames of HTTP/2 that tests send one by one.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;

// Flags of frames.
pub(crate) const NO_FLAGS: u8 = 0;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The number that frames about the whole connection have in place of a stream's.
pub(crate) const CONNECTION: u32 = 0;
/// The number of a client's first stream.
pub(crate) const FIRST: u32 = 1;

// Reasons of a RESET frame.
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const CANCEL: u32 = 8;

/// The first bytes that a client sends.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, flags: u8, stream: u32, body: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, body: body.into() }
    }

    /// Returns the HEADERS frame of a request or an answer, with the fields as they are given.
    pub(crate) fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Self {
        let mut block = Vec::new();
        for (name, value) in fields {
            // The field is a literal with a new name, and is not added to the dynamic table (HPACK).
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend_from_slice(text.as_bytes());
            }
        }
        Self::new(HEADERS, flags | END_HEADERS, stream, block)
    }

    /// Returns the frame that resets a stream for a reason.
    pub(crate) fn reset(stream: u32, code: u32) -> Self {
        Self::new(RESET, NO_FLAGS, stream, code.to_be_bytes())
    }

    /// Returns an empty SETTINGS frame, which both sides send first.
    pub(crate) fn settings() -> Self {
        Self::new(SETTINGS, NO_FLAGS, CONNECTION, [])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.body);
        bytes
    }

    pub(crate) async fn send(&self, to: &mut (impl AsyncWrite + Unpin)) {
        to.write_all(&self.bytes()).await.unwrap();
        to.flush().await.unwrap();
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Self> {
        let mut head = [0; 9];
        from.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length).unwrap()];
        from.read_exact(&mut body).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Self { kind: head[3], flags: head[4], stream, body })
    }
}
