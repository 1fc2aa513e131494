//! Metrics in the OpenMetrics text format. They are off by default. They are not encrypted, and so never served on another address than a
//! loopback address or a Unix socket.

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use axum::{Router, http::header, routing::get};
use firedrill_wire::journal::State;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio_util::sync::CancellationToken;

use crate::{config::MetricsAt, journal::remove_if_there};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    outcome: &'static str,
}

/// The agent's counters.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    injections: Family<Labels, Counter>,
    undo: Histogram,
    lease_age: Gauge<f64, AtomicU64>,
    open: Gauge,
    stuck: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("firedrill"),
            injections: Family::default(),
            undo: Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 90.0]),
            lease_age: Gauge::default(),
            open: Gauge::default(),
            stuck: Gauge::default(),
        };
        let registry = &mut new.registry;
        registry.register("injections", "Injections that ended, by kind and how", new.injections.clone());
        registry.register_with_unit(
            "undo",
            "Time that putting one injection back took",
            Unit::Seconds,
            new.undo.clone(),
        );
        registry.register_with_unit(
            "lease_age",
            "Time since the oldest run in force was heard from; 0 where none is",
            Unit::Seconds,
            new.lease_age.clone(),
        );
        registry.register(
            "injections_open",
            "Injections that are armed, in force or being undone",
            new.open.clone(),
        );
        registry.register("injections_stuck", "Injections that could not be put back", new.stuck.clone());
        new
    }
}

impl Metrics {
    /// Counts an injection whose new state is its end, or that it is stuck. Other states are not counted.
    pub fn ended(&self, kind: &'static str, state: State) {
        let outcome = match state {
            State::Undone => "undone",
            State::Done => "done",
            State::Disarmed => "disarmed",
            State::Stuck => "stuck",
            State::Armed | State::Injecting | State::InForce | State::Undoing => return,
        };
        self.injections.get_or_create(&Labels { kind, outcome }).inc();
    }

    /// Records the duration of an undo.
    pub fn undo_took(&self, time: Duration) {
        self.undo.observe(time.as_secs_f64());
    }

    /// Returns all metrics as text. The arguments are the present values of the gauges.
    #[must_use]
    pub fn text(&self, open: usize, stuck: usize, lease_age: Duration) -> String {
        self.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        self.lease_age.set(lease_age.as_secs_f64());
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Serves a text at `/metrics` until `stop` is cancelled.
///
/// # Errors
/// The address or the socket is not available.
pub async fn serve(
    at: MetricsAt,
    text: Arc<dyn Fn() -> String + Send + Sync>,
    stop: CancellationToken,
) -> io::Result<()> {
    let answer = move || {
        let text = text();
        async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], text) }
    };
    let router = Router::new().route("/metrics", get(answer));
    match at {
        MetricsAt::Listen(address) if !address.ip().is_loopback() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{address} is not a loopback address")))
        }
        MetricsAt::Listen(address) => {
            let listener = tokio::net::TcpListener::bind(address).await?;
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        }
        MetricsAt::Socket(path) => {
            remove_if_there(&path)?;
            let listener = tokio::net::UnixListener::bind(&path)?;
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_scrape_over_a_unix_socket_reads_openmetrics() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.sock");
        let metrics = Metrics::default();
        metrics.ended("net-block", State::Undone);
        metrics.ended("net-block", State::InForce);
        metrics.undo_took(Duration::from_millis(3));
        let stop = CancellationToken::new();
        let text: Arc<dyn Fn() -> String + Send + Sync> =
            Arc::new(move || metrics.text(2, 1, Duration::from_secs(4)));
        let server = tokio::spawn(serve(MetricsAt::Socket(path.clone()), text, stop.clone()));
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        let mut socket = tokio::net::UnixStream::connect(&path).await.unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        for wanted in [
            CONTENT_TYPE,
            "firedrill_injections_total{kind=\"net-block\",outcome=\"undone\"} 1",
            "firedrill_undo_seconds_count 1",
            "firedrill_lease_age_seconds 4",
            "firedrill_injections_stuck 1",
            "# EOF",
        ] {
            assert!(answer.contains(wanted), "{wanted} in {answer}");
        }
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn other_addresses_than_loopback_are_refused() {
        let at = MetricsAt::Listen("0.0.0.0:0".parse().unwrap());
        assert!(serve(at, Arc::new(String::new), CancellationToken::new()).await.is_err());
    }
}
