//! The agent's server for coordinators: HTTP/2, JSON and server-sent events over mutual TLS 1.3. It offers no other protocol.
//!
//! The server handles certificates, limits and bytes; [`Control`] handles the calls. The server never speaks without
//! TLS. It accepts a fault only from a caller whose certificate it has fully verified. It accepts an undo even if the
//! certificate or the revocation list has expired.
//!
//! | what | limit |
//! |---|---|
//! | a TLS handshake | 5 s; 64 at the same time; at the limit, a new handshake closes the oldest one |
//! | connections of authenticated peers | 256; at the limit, a new one closes one of the peer that has most: the longest idle, or the oldest if none is idle |
//! | a connection without a call | 60 s |
//! | calls at the same time on a connection | 64; headers 16 KiB |
//! | the unread body of a refused request | 4 MiB or 2 s are read and discarded |
//! | a body | 1 MiB (calls that harm) or 64 KiB, within 10 s |
//! | a peer that does not answer an HTTP/2 ping | 1 s to the ping, 2 s for the answer |
//!
//! Slow calls have separate lanes (bounded numbers of calls at a time), so that renewals, reads of the clock and undos never wait behind them.
//! The caller gives the runtime 40 blocking threads or more (tokio's default is 512).

mod accept;
mod app;
mod approvals;
mod audited;
mod body;
mod calls;
mod identity;
mod lanes;
mod limits;
mod problem;
mod registry;
mod rest;
mod routes;
mod stream;
mod tls;
mod verify;
mod watch;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::control::Control;

pub(crate) use tls::CRL_FILE;
pub use tls::{Tls, TlsError};

/// Serves until `stop` is cancelled; then accepts nothing new, ends the streams, waits at most 2 s for calls in
/// progress, and returns. A call that was passed to `control` is completed even if its caller disconnects.
pub async fn serve(listener: TcpListener, tls: Tls, control: Arc<dyn Control>, stop: CancellationToken) {
    accept::run(&listener, &tls, control, &stop).await;
}
