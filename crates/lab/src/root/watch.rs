//! Intercepts a host's calls of `reboot(2)`, and holds each call until the host's cable is pulled. Never refuses a call.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, oneshot},
};

use super::event::Event;
use crate::sys::seccomp::{self, Waiting};

/// Starts a task that watches the calls of a host. `number` is the number of the listener's descriptor in the host's first process, whose
/// pidfd is `pidfd`.
pub(super) fn reboots(
    pidfd: &OwnedFd,
    number: i32,
    index: usize,
    boot: u32,
    events: &mpsc::UnboundedSender<Event>,
) {
    // Without the listener a restart works, too, but the host's connections are closed in an orderly way, so that its peers notice.
    let Ok(listener) = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) else { return };
    let events = events.clone();
    tokio::spawn(async move { attend(listener, index, boot, &events).await.ok() });
}

/// Handles the calls until the host ends.
async fn attend(
    listener: OwnedFd,
    index: usize,
    boot: u32,
    events: &mpsc::UnboundedSender<Event>,
) -> io::Result<()> {
    // SAFETY: `AsyncFd` owns the descriptor, so it stays open and the same as long as it is registered.
    let listener = unsafe { AsyncFd::register(listener) }?;
    loop {
        let mut ready = listener.readable().await?;
        // The state is checked again, because receiving when no call waits would block the whole lab.
        match seccomp::waiting(listener.get_ref())? {
            Waiting::Nothing => ready.clear_ready(),
            Waiting::Over => return Ok(()),
            Waiting::Call => {
                let Ok(call) = seccomp::receive(listener.as_fd()) else { continue };
                if call.ends_host {
                    let (pulled, done) = oneshot::channel();
                    let _ = events.send(Event::GoingDown { index, boot, pulled });
                    let _ = done.await;
                }
                seccomp::let_go_on(listener.as_fd(), call)?;
            }
        }
    }
}
