//! The signals that ask the program to stop: SIGINT, SIGTERM and SIGHUP. Forwards them to runs, and stops nothing itself.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::run::Handle;

/// The signals, with their names for people.
fn kinds() -> [(SignalKind, &'static str); 3] {
    [
        (SignalKind::interrupt(), "Ctrl-C"),
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::hangup(), "SIGHUP"),
    ]
}

/// The name of the first signal that came, if one came.
pub(super) type First = OnceLock<&'static str>;

/// Waits for a run, and forwards each signal to it: the run then puts everything back and ends. If `noted` has a signal that came before the
/// run began, the run is halted at once.
pub(super) async fn forwarded<T>((handle, run): (Handle, impl Future<Output = T>), noted: &First) -> T {
    for (kind, name) in kinds() {
        if let Ok(mut signals) = signal(kind) {
            let handle = handle.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && handle.halt(name) {} });
        }
    }
    if let Some(signal) = noted.get() {
        handle.halt(signal);
    }
    run.await
}

/// Returns a receiver of the names of all signals from now on.
pub(super) fn heard(runtime: &Runtime) -> UnboundedReceiver<&'static str> {
    let (tell, hear) = unbounded_channel();
    let _inside = runtime.enter();
    for (kind, name) in kinds() {
        if let Ok(mut signals) = signal(kind) {
            let tell = tell.clone();
            runtime.spawn(async move { while signals.recv().await.is_some() && tell.send(name).is_ok() {} });
        }
    }
    hear
}

/// Notes the first signal from now on, also between two runs. Runs get signals as well, by [`forwarded`].
pub(super) fn noted(runtime: &Runtime) -> Arc<First> {
    let first = Arc::new(OnceLock::new());
    let (noted, mut signals) = (Arc::clone(&first), heard(runtime));
    runtime.spawn(async move {
        if let Some(name) = signals.recv().await {
            let _later = noted.set(name);
        }
    });
    first
}
