//! The keeper of a program: a process of its own that leads the program's group, and ends the group when nobody listens to it any more.
//!
//! Its standard input is a socket to the coordinator. The kernel closes the other end however the coordinator dies.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::process::ExitStatusExt as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};
use serde::{Deserialize, Serialize};

/// The verb of the keeper.
pub(super) const KEEP: &str = "keep";

/// The words of a keeper about its program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// It ended with this exit code.
    Exited(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was not started, for this reason.
    NotStarted(String),
}

/// Runs a program until it ends, tells its end, and waits to be ended with all that the program left.
///
/// # Errors
/// It does not lead its process group, or has no socket: nobody but a run starts it.
pub(crate) fn keep(limit: Duration, argv: &[String]) -> io::Result<()> {
    let nobody = || io::Error::other("only a run starts this: it leads no process group of its own");
    if getpgrp() != getpid() {
        return Err(nobody());
    }
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut listens = socket.try_clone()?;
    thread::spawn(move || {
        let mut bytes = [0];
        while listens.read(&mut bytes).is_ok_and(|count| count > 0) {}
        end_all();
    });
    thread::spawn(move || {
        thread::sleep(limit);
        end_all();
    });
    let (program, rest) = argv.split_first().ok_or_else(nobody)?;
    let ended = Command::new(program).args(rest).stdin(Stdio::null()).status();
    let said = match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Said::Exited(code),
            (None, signal) => Said::Signal(signal.unwrap_or_default()),
        },
        Err(error) => Said::NotStarted(error.to_string()),
    };
    let mut line = serde_json::to_vec(&said)?;
    line.push(b'\n');
    // If nobody listens, the thread that reads the socket ends the group. Until then this process has to lead it.
    let _ = socket.write_all(&line);
    loop {
        thread::park();
    }
}

/// Ends the group, and with it this process.
fn end_all() {
    let _ = kill_current_process_group(Signal::KILL);
}
