//! Runs a program of a step: with a time limit, in a separate process group, without a shell, and with a limit for the output that is kept.
//!
//! The coordinator starts a keeper, which starts the program (`keeper.rs`). The keeper kills the whole process group when its socket to the
//! coordinator closes, so that no process of the program goes on if the coordinator is killed.

mod keeper;
mod lines;

use std::{
    env, io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixStream as Pair},
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use firedrill_wire::Span;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
    time::{Instant, timeout},
};

pub(crate) use keeper::keep;

use crate::{
    log::{ProgramEnd, StepOutcome},
    own,
};
use keeper::{KEEP, Said};
use lines::Lines;

/// Maximum time to read the output that is left after the program has ended. A process that left the group may keep the pipe open longer.
const DRAIN: Duration = Duration::from_secs(2);
/// Time after the limit at which the keeper kills the group by itself, if the coordinator has not.
const LATER: Duration = Duration::from_secs(2);

/// The end of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The outcome of the program's step.
    pub(crate) outcome: StepOutcome,
    /// The reason, if the step is not done; otherwise empty.
    pub(crate) why: String,
    /// The exit code and the output; `None` if it is unknown how the program ended.
    pub(crate) program: Option<ProgramEnd>,
}

/// A program to run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    /// The folder in which it runs.
    pub(crate) folder: PathBuf,
    /// The longest time that it may take.
    pub(crate) limit: Span,
    /// The run's id, which the program gets as `FIREDRILL_RUN`.
    pub(crate) run: String,
}

/// A keeper and its process group, which is killed when this is dropped.
struct Group {
    /// The keeper.
    child: Child,
    /// The id of the keeper and of the group; `None` after the group was killed.
    id: Option<Pid>,
}

impl Group {
    /// Kills the group. The keeper was not waited for yet, so the id cannot belong to another process.
    fn end(&mut self) {
        if let Some(id) = self.id.take() {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

impl Program {
    /// Runs the program until it ends, or until its time is over. If the future is dropped, the program is killed.
    pub(crate) async fn run(self) -> End {
        let began = Instant::now();
        let lines = Arc::new(Lines::default());
        let (outcome, exit, why) = match self.begin() {
            Err(error) => (StepOutcome::Unknown, None, format!("it cannot be started: {error}")),
            Ok((group, socket)) => self.until_over(group, socket, &lines).await,
        };
        let took_us = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let (lines, left_out) = lines.take();
        End { outcome, why, program: Some(ProgramEnd { exit, took_us, lines, left_out }) }
    }

    /// Starts the keeper. Returns its group, and the socket on which it reports the end of the program.
    fn begin(&self) -> io::Result<(Group, UnixStream)> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let limit = Duration::from(self.limit) + LATER;
        let mut command = Command::new(own::program());
        command
            .arg(KEEP)
            .arg(limit.as_millis().to_string())
            .arg("--")
            .args(&self.argv)
            .current_dir(&self.folder)
            .env("FIREDRILL_RUN", &self.run)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((Group { child, id }, UnixStream::from_std(ours)?))
    }

    /// Waits for the end of the program, then kills the rest of the group. Returns the outcome, the exit code and the reason.
    async fn until_over(
        &self,
        mut group: Group,
        socket: UnixStream,
        lines: &Arc<Lines>,
    ) -> (StepOutcome, Option<i32>, String) {
        let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
        let mut read = tokio::spawn({
            let lines = Arc::clone(lines);
            async move { tokio::join!(lines.read(out), lines.read(err)) }
        });
        let mut text = String::new();
        let reported = timeout(self.limit.into(), BufReader::new(socket).read_line(&mut text)).await;
        group.end();
        if timeout(DRAIN, &mut read).await.is_err() {
            read.abort();
        }
        let _ = group.child.wait().await;
        if reported.is_err() {
            let why = format!("it took longer than {}, and was ended", self.limit);
            return (StepOutcome::Unknown, None, why);
        }
        match serde_json::from_str(&text) {
            Ok(Said::Exited(0)) => (StepOutcome::Done, Some(0), String::new()),
            Ok(Said::Exited(code)) => (StepOutcome::Failed, Some(code), format!("exit code {code}")),
            Ok(Said::Signal(signal)) => (StepOutcome::Unknown, None, format!("signal {signal} ended it")),
            Ok(Said::NotStarted(why)) => (StepOutcome::Unknown, None, format!("it cannot be started: {why}")),
            Err(_) => (StepOutcome::Unknown, None, "it was ended from outside".to_owned()),
        }
    }
}

/// Returns the folder in which the programs of a scenario run: the folder of the scenario's file.
pub(crate) fn folder(scenario: &str) -> PathBuf {
    let folder = Path::new(scenario).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns the reason why a program cannot be run here: there is no such executable file. `None` if there is.
pub(crate) fn lacking(program: &str, folder: &Path) -> Option<String> {
    let is_executable = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if !folder.is_dir() {
        return Some(format!("the scenario's folder ({}) is not there", folder.display()));
    }
    if program.contains('/') {
        let shown = folder.display();
        let why = || format!("`{program}` is no file that can be run from the scenario's folder ({shown})");
        return (!is_executable(&folder.join(program))).then(why);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| is_executable(&folder.join(program)));
    (!found).then(|| format!("no folder of PATH has a program `{program}`"))
}
