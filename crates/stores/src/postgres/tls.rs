//! The prober's handshake, as the client of PostgreSQL calls it.

use std::{
    error, fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use firedrill_probe::client::{Failure, Handshake, Phases};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use tokio_rustls::client::TlsStream;

/// A handshake that is due.
pub(super) struct Over<'h> {
    pub(super) handshake: &'h Handshake,
    pub(super) phases: &'h mut Phases,
}

impl<'h> TlsConnect<TcpStream> for Over<'h> {
    type Stream = Encrypted;
    type Error = Failed;
    type Future = BoxFuture<'h, Result<Encrypted, Failed>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        let Self { handshake, phases } = self;
        Box::pin(async move { handshake.over(stream, phases).await.map(Encrypted).map_err(Failed) })
    }
}

/// A handshake that failed.
#[derive(Debug)]
pub(super) struct Failed(pub(super) Failure);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handshake failed")
    }
}

impl error::Error for Failed {}

/// An encrypted connection.
pub(super) struct Encrypted(TlsStream<TcpStream>);

impl tokio_postgres::tls::TlsStream for Encrypted {
    /// The certificate was checked by its authority and name, so the channel is not bound to the login once more.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
