//! Signals that ask the program to stop.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::run::Handle;

/// Waits for a run, and forwards each signal to it: the run puts everything back before it ends.
pub(super) async fn forwarded<T>((handle, run): (Handle, impl Future<Output = T>)) -> T {
    for (kind, name) in [
        (SignalKind::interrupt(), "Ctrl-C"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::hangup(), "SIGHUP"),
    ] {
        if let Ok(mut signals) = signal(kind) {
            let handle = handle.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && handle.halt(name) {} });
        }
    }
    run.await
}
