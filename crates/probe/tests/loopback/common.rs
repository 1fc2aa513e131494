//! Servers on loopback that misbehave on purpose, and what probes measured of them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use firedrill_probe::{ProbeError, histogram, start};
use firedrill_wire::{
    Span,
    probe::{Arrivals, Bin, Connection, HttpProbe, ProbeKind, ProbeSpec},
};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Returns an answer whose head has the length of its body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads one request's head; `None` where the connection has ended.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(seen).ok()
}

/// Gives the same answer to every request, keeping connections.
pub(crate) async fn always(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: String) {
    while head(&mut stream).await.is_some() {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Starts a server that serves each connection with `serve`. Returns its address, and the number of its connections so far.
pub(crate) async fn server<F, S>(serve: S) -> (SocketAddr, Arc<AtomicUsize>)
where
    S: Fn(TcpStream, usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, counted.fetch_add(1, Ordering::SeqCst)));
        }
    });
    (address, count)
}

/// An HTTP probe of 50 requests a second.
pub(crate) fn http(url: impl Into<String>) -> ProbeSpec {
    ProbeSpec {
        name: "users".to_owned(),
        kind: ProbeKind::Http(HttpProbe::get(url)),
        rate: 50.0,
        arrivals: Arrivals::Even,
        key: 0,
        timeout: Span::millis(400),
        connection: Connection::New,
        names: [].into(),
    }
}

/// The HTTP part of a probe.
pub(crate) fn part(spec: &mut ProbeSpec) -> &mut HttpProbe {
    match &mut spec.kind {
        ProbeKind::Http(probe) => probe,
        _ => unreachable!("made as http"),
    }
}

/// Returns all that a probe measured in the time `length`.
pub(crate) async fn measure(spec: ProbeSpec, length: Duration) -> Result<Vec<Bin>, ProbeError> {
    let running = start(vec![spec], length)?;
    let bins = running.spool.feed(0).collect::<Vec<_>>().await;
    for bin in &bins {
        assert_eq!(bin.due, bin.good + bin.bad_total() + bin.slipped, "{bin:?}");
        assert_eq!(histogram(bin).expect("readable").len(), bin.good);
    }
    Ok(bins)
}

/// Returns the outcomes of the requests of half a second: the number of good ones, and the causes of the bad ones.
///
/// On a machine that is too busy some requests slip, but never all of them.
pub(crate) async fn outcome(spec: ProbeSpec) -> (u64, Vec<String>) {
    let bins = measure(spec, Duration::from_millis(500)).await.expect("starts");
    let due: u64 = bins.iter().map(|bin| bin.due).sum();
    let slipped: u64 = bins.iter().map(|bin| bin.slipped).sum();
    assert!((24..=26).contains(&due), "{due}");
    assert!(slipped < due, "{bins:?}");
    let causes: std::collections::BTreeSet<String> =
        bins.iter().flat_map(|bin| bin.bad.keys().cloned()).collect();
    (bins.iter().map(|bin| bin.good).sum(), causes.into_iter().collect())
}
