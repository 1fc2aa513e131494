//! The agent's local socket, for root on the host: shows what is in force, undoes everything, ends a halt.
//!
//! Request and answer are one line of JSON each, on a Unix socket that only its owner may open. Cannot inject anything.

use std::{
    fs::Permissions,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    time::Duration,
};

use firedrill_wire::{
    api::{AgentStatus, Undo, UndoAnswer, UndoScope},
    text::{self, Breaks},
};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Request, undone},
    control::{Caller, Control},
    host::Paths,
    supervisor::Supervisor,
};

/// Maximum length of a line, in bytes.
const LINE_MOST: u64 = 16 * 1024 * 1024;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Return the present state of the host.
    Status,
    /// Undo everything.
    UndoAll {
        /// Whether to refuse every further injection until the halt is ended.
        halt: bool,
    },
    /// End a halt.
    Release,
}

/// An answer to a [`Call`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The answer to `status`.
    Status(Box<AgentStatus>),
    /// The answer to `undo-all`.
    Undone(UndoAnswer),
    /// The answer to `release`.
    Released,
    /// The request failed.
    Refused(String),
}

/// Returns the path of the socket.
fn path(paths: &Paths) -> PathBuf {
    paths.run.join("control.sock")
}

/// Starts a thread that answers requests.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(paths: &Paths, supervisor: Supervisor) -> io::Result<()> {
    let path = path(paths);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    std::thread::Builder::new().name("local".into()).stack_size(1 << 20).spawn(move || {
        for stream in listener.incoming().flatten() {
            let supervisor = supervisor.clone();
            let serve_call = move || {
                if let Err(error) = answer(&stream, &supervisor) {
                    tracing::debug!("local call: {error}");
                }
            };
            // A thread for each call, because an undo may take long, and other callers must get answers meanwhile.
            let thread =
                std::thread::Builder::new().name("local call".into()).stack_size(1 << 20).spawn(serve_call);
            if let Err(error) = thread {
                tracing::warn!("local call: a thread cannot be started: {error}");
            }
        }
    })?;
    Ok(())
}

/// Reads one request, carries it out, and writes the answer.
fn answer(stream: &UnixStream, supervisor: &Supervisor) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let root = || Caller {
        name: format!("root@{}", supervisor.status().host),
        team: None,
        environments: Vec::new(),
        may_harm: false,
        certificate: None,
    };
    let answer = match serde_json::from_str(&read_line(stream)?) {
        Ok(Call::Status) => Answer::Status(Box::new(supervisor.status())),
        Ok(Call::UndoAll { halt }) => {
            let (root, undo) = (root(), Undo { scope: UndoScope::All, halt });
            let answer = supervisor.undo(&root, &undo);
            supervisor.audit(Request::by(&root, "undo").detail(&undone(&undo, &answer)));
            Answer::Undone(answer)
        }
        // The policy is not checked, because root on this host could change it.
        Ok(Call::Release) => {
            let root = root();
            supervisor.end_halt(&root.name);
            supervisor.audit(Request::by(&root, "release"));
            Answer::Released
        }
        Err(error) => Answer::Refused(error.to_string()),
    };
    write_line(stream, &answer)
}

/// Whether an agent listens on the socket in the run directory of these paths.
#[must_use]
pub fn listens(paths: &Paths) -> bool {
    UnixStream::connect(path(paths)).is_ok()
}

/// Sends a request to the running agent. Returns `None` if no agent listens.
///
/// # Errors
/// An agent listens and does not answer within the time `patience`, or its answer cannot be read.
pub fn ask(paths: &Paths, call: Call, patience: Duration) -> io::Result<Option<Answer>> {
    let Ok(stream) = UnixStream::connect(path(paths)) else { return Ok(None) };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    write_line(&stream, &call)?;
    Ok(Some(text::from_json(read_line(&stream)?.as_bytes(), Breaks::None)?))
}

/// Reads one line, of at most [`LINE_MOST`] bytes.
fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MOST)).read_line(&mut line)?;
    Ok(line)
}

/// Writes a value as one line of JSON.
fn write_line(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}
