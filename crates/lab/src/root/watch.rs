//! Intercepts a host's calls of `reboot(2)`, and holds them until its cable is pulled.

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

/// Watches through the host's own listener, a descriptor of that number in its first process.
pub(super) fn reboots(
    pidfd: &OwnedFd,
    number: i32,
    index: usize,
    boot: u32,
    events: &mpsc::UnboundedSender<Event>,
) {
    // Without it a restart still works, but peers get a farewell.
    let Ok(listener) = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) else { return };
    let events = events.clone();
    tokio::spawn(async move { attend(listener, index, boot, &events).await.ok() });
}

/// Ends with the host.
async fn attend(
    listener: OwnedFd,
    index: usize,
    boot: u32,
    events: &mpsc::UnboundedSender<Event>,
) -> io::Result<()> {
    // SAFETY: the descriptor is owned, stays the same and stays open for as long as it is registered.
    let listener = unsafe { AsyncFd::register(listener) }?;
    loop {
        let mut ready = listener.readable().await?;
        // Checked again, because receiving without a waiting call would block the whole lab.
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
