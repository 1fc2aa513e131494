//! The keeper of a program: a separate process that leads the program's process group, and kills the group when the coordinator is gone.
//!
//! Its standard input is a socket to the coordinator. The kernel closes the other end of the socket, whatever the coordinator dies of.

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

/// The command that starts the keeper.
pub(super) const KEEP: &str = "keep";

/// The report of a keeper about its program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// The program ended with this exit code.
    Exited(i32),
    /// This signal ended the program.
    Signal(i32),
    /// The program could not be started; with the reason.
    NotStarted(String),
}

/// Runs a program until it ends, reports its end, and then waits to be killed, together with all processes that the program left. After
/// `limit` it kills the group by itself.
///
/// # Errors
/// This process does not lead its process group, or has no socket, which means that no run started it.
pub(crate) fn keep(limit: Duration, argv: &[String]) -> io::Result<()> {
    let not_by_a_run = || io::Error::other("only a run starts this: it leads no process group of its own");
    if getpgrp() != getpid() {
        return Err(not_by_a_run());
    }
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut reading = socket.try_clone()?;
    // The coordinator sends nothing, so a read returns only when the other end is closed.
    thread::spawn(move || {
        let mut bytes = [0];
        while reading.read(&mut bytes).is_ok_and(|count| count > 0) {}
        kill_group();
    });
    thread::spawn(move || {
        thread::sleep(limit);
        kill_group();
    });
    let (program, args) = argv.split_first().ok_or_else(not_by_a_run)?;
    let ended = Command::new(program).args(args).stdin(Stdio::null()).status();
    let said = match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Said::Exited(code),
            (None, signal) => Said::Signal(signal.unwrap_or_default()),
        },
        Err(error) => Said::NotStarted(error.to_string()),
    };
    let mut line = serde_json::to_vec(&said)?;
    line.push(b'\n');
    // An error means that the coordinator is gone, and then the thread that reads kills the group. This process does not exit before, because
    // it has to lead the group.
    let _ = socket.write_all(&line);
    loop {
        thread::park();
    }
}

/// Kills the process group, and with it this process.
fn kill_group() {
    let _ = kill_current_process_group(Signal::KILL);
}
