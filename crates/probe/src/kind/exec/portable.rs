//! A program in a process group of its own, for systems on which a process cannot keep programs that left their group. The group is ended with the
//! request.

use std::{io, os::unix::process::ExitStatusExt as _};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, ChildStdout},
    sync::OwnedSemaphorePermit,
};

use super::{end::End, setup::Setup};

/// Whether programs can be run here.
pub(super) fn possible() -> Result<(), String> {
    Ok(())
}

/// A program and its group, which end with this.
pub(super) struct Kept {
    child: Child,
    group: Option<Pid>,
    _place: OwnedSemaphorePermit,
}

impl Kept {
    /// Starts a program. Blocks until it runs.
    pub(super) fn start(setup: &Setup, place: OwnedSemaphorePermit) -> io::Result<Self> {
        if setup.account.is_some() {
            return Err(io::Error::other("no program is run as another user on this system"));
        }
        let child = setup.command().process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group, _place: place })
    }

    /// Returns the program's output, if that is read.
    pub(super) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for the program's end; `None` if that is not known. All that the program left in its group is ended then.
    pub(super) async fn ended(&mut self) -> Option<End> {
        let status = self.child.wait().await.ok();
        self.end();
        let status = status?;
        let code = status.code().and_then(|code| u8::try_from(code).ok()).map(End::Exit);
        code.or_else(|| Some(End::Signal(u8::try_from(status.signal()?).ok()?)))
    }

    fn end(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}
