//! A program under a keeper: a process of this program that ends all that the program started, whoever goes first.
//!
//! Over its end of a socket the keeper says how the program ended. The kernel closes the other end however this process ends, and then the keeper
//! ends the program ([`keeper`]).

mod keeper;

use std::{
    io,
    os::{fd::AsRawFd as _, unix::net::UnixStream as Pair},
};

use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    process::{Child, ChildStdout},
    sync::OwnedSemaphorePermit,
};

use self::keeper::Keeping;
use super::{end::End, setup::Setup};

/// Checks that programs can be kept here: the kernel must tell which children a process has.
pub(super) fn possible() -> Result<(), String> {
    let place = keeper::CHILDREN.to_string_lossy();
    std::fs::File::open(&*place)
        .map(drop)
        .map_err(|why| format!("its children could not be ended, because {place} cannot be read: {why}"))
}

/// A program and its keeper. Both end with this, and all that the program started.
pub(super) struct Kept {
    /// The socket to the keeper. While it is there, the program may go on.
    socket: UnixStream,
    output: Option<ChildStdout>,
    _reaped: Reaped,
}

/// A keeper that is waited for when this is dropped. Its program has a place until the keeper has ended.
struct Reaped(Option<(Child, OwnedSemaphorePermit)>);

impl Kept {
    /// Starts a keeper and its program. Blocks until the program runs.
    pub(super) fn start(setup: &Setup, place: OwnedSemaphorePermit) -> io::Result<Self> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = setup.command();
        let keeping = Keeping::new(setup.account.clone());
        // SAFETY: `keep` is made for the time between fork and exec: it allocates nothing, takes no lock, and makes system calls only.
        unsafe { command.pre_exec(move || keeping.keep(theirs.as_raw_fd())) };
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        let reaped = Reaped(Some((child, place)));
        Ok(Self { socket: UnixStream::from_std(ours)?, output, _reaped: reaped })
    }

    /// Returns the program's output, if that is read.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }

    /// Waits for the program's end; `None` if that is not known, because something ended the keeper.
    pub(super) async fn ended(&mut self) -> Option<End> {
        let status = self.socket.read_i32_le().await.ok()?;
        if libc::WIFEXITED(status) {
            return u8::try_from(libc::WEXITSTATUS(status)).ok().map(End::Exit);
        }
        u8::try_from(libc::WTERMSIG(status)).ok().map(End::Signal)
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        let Some((mut child, place)) = self.0.take() else { return };
        // Without a runtime, which is so at the prober's end, the next one that waits for children finds it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _ = child.wait().await;
            drop(place);
        });
    }
}
