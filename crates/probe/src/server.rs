//! A server to which connections are opened, plain or over TLS.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{
    connect::Connector,
    handshake::Handshake,
    outcome::{Failure, Phases},
};

/// A server, and the handshake with it if there is TLS.
#[expect(missing_debug_implementations, reason = "a connector of TLS has none")]
pub struct Server {
    /// Opens connections.
    pub connector: Connector,
    /// Makes the handshake; `None` without TLS.
    pub tls: Option<Handshake>,
}

/// An open connection, plain or over TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Server {
    /// Opens a connection, and makes the handshake if there is TLS.
    ///
    /// # Errors
    /// No connection could be opened in time, or the handshake failed.
    pub async fn open(&self, until: Instant, phases: &mut Phases) -> Result<Box<dyn Stream>, Failure> {
        let stream = self.connector.open(until, phases).await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.over(stream, phases).await?)),
        }
    }
}
