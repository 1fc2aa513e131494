//! The agent's socket for whoever is root on the host: what is in force, put everything back, release a halt.
//!
//! A line of JSON each way, on a Unix socket that only its owner may open. Cannot inject anything.

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

/// The longest line that is read, in bytes.
const LINE_MOST: u64 = 16 * 1024 * 1024;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// What is on this host now.
    Status,
    /// Put everything back.
    UndoAll {
        /// And refuse every further injection until somebody releases it.
        halt: bool,
    },
    /// End a halt.
    Release,
}

/// What was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To `status`.
    Status(Box<AgentStatus>),
    /// To `undo-all`.
    Undone(UndoAnswer),
    /// To `release`.
    Released,
    /// It was not done.
    Refused(String),
}

fn path(paths: &Paths) -> PathBuf {
    paths.run.join("control.sock")
}

/// Answers on a thread of its own from now on.
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
            let answer = move || {
                if let Err(error) = answer(&stream, &supervisor) {
                    tracing::debug!("local call: {error}");
                }
            };
            // An undo may take long; others must hear meanwhile that the agent lives.
            let answered =
                std::thread::Builder::new().name("local call".into()).stack_size(1 << 20).spawn(answer);
            if let Err(error) = answered {
                tracing::warn!("local call: no thread is left: {error}");
            }
        }
    })?;
    Ok(())
}

fn answer(stream: &UnixStream, supervisor: &Supervisor) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let by = || Caller {
        name: format!("root@{}", supervisor.status().host),
        team: None,
        environments: Vec::new(),
        may_harm: false,
        certificate: None,
    };
    let answer = match serde_json::from_str(&read_line(stream)?) {
        Ok(Call::Status) => Answer::Status(Box::new(supervisor.status())),
        Ok(Call::UndoAll { halt }) => {
            let (by, undo) = (by(), Undo { scope: UndoScope::All, halt });
            let answer = supervisor.undo(&by, &undo);
            supervisor.audit(Request::by(&by, "undo").detail(&undone(&undo, &answer)));
            Answer::Undone(answer)
        }
        // Who is root here could change the policy as well.
        Ok(Call::Release) => {
            let by = by();
            supervisor.end_halt(&by.name);
            supervisor.audit(Request::by(&by, "release"));
            Answer::Released
        }
        Err(error) => Answer::Refused(error.to_string()),
    };
    write_line(stream, &answer)
}

/// Whether an agent listens there.
#[must_use]
pub fn listens(paths: &Paths) -> bool {
    UnixStream::connect(path(paths)).is_ok()
}

/// Asks the agent that runs; `None` where none listens.
///
/// # Errors
/// One listens and does not answer within that time.
pub fn ask(paths: &Paths, call: Call, patience: Duration) -> io::Result<Option<Answer>> {
    let Ok(stream) = UnixStream::connect(path(paths)) else { return Ok(None) };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    write_line(&stream, &call)?;
    Ok(Some(text::from_json(read_line(&stream)?.as_bytes(), Breaks::None)?))
}

fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MOST)).read_line(&mut line)?;
    Ok(line)
}

fn write_line(mut stream: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}
