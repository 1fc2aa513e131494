//! Runs a program of a step: with a time limit, in a process group of its own, without a shell, with what it writes bounded.
//!
//! A keeper stands between the coordinator and the program (`keeper.rs`). It ends the whole group when its socket closes, so that nothing of
//! the program goes on if the coordinator is killed.

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

/// Time for what the program has written before it ended. A process that left its group may hold the pipe longer.
const DRAIN: Duration = Duration::from_secs(2);
/// Time after the limit in which the keeper ends the group by itself, if the coordinator does not.
const LATER: Duration = Duration::from_secs(2);

/// The end of a program: the outcome of its step, the reason, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) outcome: StepOutcome,
    pub(crate) why: String,
    pub(crate) program: Option<ProgramEnd>,
}

/// A program to be run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    /// The folder in which it runs.
    pub(crate) folder: PathBuf,
    pub(crate) limit: Span,
    /// The run's id, which the program gets as `FIREDRILL_RUN`.
    pub(crate) run: String,
}

/// A keeper and its group, which ends when this is dropped.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Ends the group. The keeper was not waited for, so no other process has its number.
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
    /// Runs it until it ends, or until its time is over. If the future is dropped, the program is ended.
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
        let said = timeout(self.limit.into(), BufReader::new(socket).read_line(&mut text)).await;
        group.end();
        if timeout(DRAIN, &mut read).await.is_err() {
            read.abort();
        }
        let _ = group.child.wait().await;
        if said.is_err() {
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

/// Returns the folder in which the programs of a scenario run: that of its file.
pub(crate) fn folder(scenario: &str) -> PathBuf {
    let folder = Path::new(scenario).parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Returns the reason why a program cannot be run here, as far as its name shows it.
pub(crate) fn lacking(program: &str, folder: &Path) -> Option<String> {
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if !folder.is_dir() {
        return Some(format!("the scenario's folder ({}) is not there", folder.display()));
    }
    if program.contains('/') {
        let shown = folder.display();
        let why = || format!("`{program}` is no file that can be run from the scenario's folder ({shown})");
        return (!runs(&folder.join(program))).then(why);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| runs(&folder.join(program)));
    (!found).then(|| format!("no folder of PATH has a program `{program}`"))
}
