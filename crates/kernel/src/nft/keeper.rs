//! Keeps one gate of a table open as long as a loop runs: the loop renews the gate, and so proves that it is alive. Never opens a gate that
//! has closed.

use std::{
    sync::{Mutex, PoisonError, TryLockError, Weak},
    time::Instant,
};

use firedrill_netlink::{NetlinkError, Request, Socket};

use super::{
    Owner,
    requests::too_long,
    table::{self, Gate, Of},
    transact::transact,
};

/// Renews a gate at each call. A gate that has closed stays closed.
#[derive(Debug)]
pub struct Keeper {
    /// The socket that owns the table. The reference is weak, so that this object does not keep the tables alive.
    owner: Weak<Owner>,
    /// The action, for errors.
    what: String,
    requests: Vec<Request>,
    gate: Gate,
    /// The time of the last renewal.
    kept: Instant,
}

impl Keeper {
    pub(super) fn new(owner: Weak<Owner>, table: &str, gate: Gate) -> Result<Self, NetlinkError> {
        let what = format!("keep gate {} of nftables table inet {table} open", gate.set);
        let requests = table::keep_open(&[Of::Traffic], table, gate).ok_or_else(|| too_long(&what))?;
        Ok(Self { owner, what, requests, gate, kept: Instant::now() })
    }

    /// Renews the gate for its whole time, if it is open. Waits for other users of the socket only if more than half of the gate's time has
    /// passed.
    pub fn keep(&mut self) {
        let Some(owner) = self.owner.upgrade() else { return };
        let Some(socket) = owner.get() else { return };
        let urgent = self.kept.elapsed() > self.gate.left / 2;
        let kept = match lock(socket, urgent) {
            Some(mut socket) => transact(&mut socket, &self.what, self.requests.clone(), true),
            None => return,
        };
        match kept {
            Ok(()) => self.kept = Instant::now(),
            // The gate was not opened yet, or it has closed.
            Err(error) if error.errno() == Some(libc::ENOENT) => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

/// Locks the socket. `None` if it is in use and `wait` is false.
fn lock(socket: &Mutex<Socket>, wait: bool) -> Option<std::sync::MutexGuard<'_, Socket>> {
    if wait {
        return Some(socket.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match socket.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
