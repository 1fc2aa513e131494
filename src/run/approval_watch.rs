//! Looks for approvals, on the terminal and in the run's folder, and decides nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{input::Input, tasks::Tasks};

/// Prefix and suffix of the names of approval files in a run's folder.
pub(crate) const FILE: (&str, &str) = ("approval-", ".json");
/// Interval at which the folder is read while people are asked.
const LOOK: Duration = Duration::from_millis(250);

/// The terminal. There is one for the process: the read of an earlier run that still waits must not swallow a later run's
/// answer.
static TERMINAL: Terminal = Terminal(Mutex::new(Reading::NotYet));

/// Passes lines to the run that asked last.
struct Terminal(Mutex<Reading>);

enum Reading {
    NotYet,
    For(Tasks),
    Closed,
}

impl Terminal {
    /// Passes lines to this run from now on. Returns whether somebody has to begin to read.
    fn listen(&self, mail: Tasks) -> bool {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*reading {
            Reading::Closed => {
                mail.send(Input::TerminalClosed);
                return false;
            }
            Reading::NotYet | Reading::For(_) => {}
        }
        matches!(std::mem::replace(&mut *reading, Reading::For(mail)), Reading::NotYet)
    }

    fn read(&self, lines: impl Iterator<Item = String>) {
        for line in lines {
            self.tell(Input::Line(line));
        }
        self.tell(Input::TerminalClosed);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Reading::Closed;
    }

    fn tell(&self, input: Input) {
        if let Reading::For(mail) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            mail.send(input);
        }
    }
}

/// Reads lines for as long as the program runs. A separate thread does that, because a read from a terminal cannot be
/// cancelled, and must not keep the program from ending.
pub(super) fn terminal(mail: Tasks) {
    if TERMINAL.listen(mail) {
        std::thread::spawn(|| TERMINAL.read(std::io::stdin().lines().map_while(Result::ok)));
    }
}

/// Sends the path of each approval file that appears in the folder or changes there.
pub(super) fn folder(folder: PathBuf, tasks: &Tasks) {
    let mail = tasks.clone();
    tasks.spawn(async move {
        let mut seen: BTreeSet<(PathBuf, Option<SystemTime>)> = BTreeSet::new();
        loop {
            for path in files(&folder) {
                let changed = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
                if seen.insert((path.clone(), changed)) && !mail.send(Input::Approval(path)) {
                    return;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Returns the approval files in a run's folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(FILE.0) && name.ends_with(FILE.1))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: Option<Input>) -> String {
        match input {
            Some(Input::Line(line)) => line,
            _ => panic!("no line"),
        }
    }

    #[test]
    fn a_line_is_for_the_run_that_asked_last() {
        let terminal = Terminal(Mutex::new(Reading::NotYet));
        let (first, mut inbox) = Tasks::new();
        assert!(terminal.listen(first), "somebody has to read");
        terminal.tell(Input::Line("yes".to_owned()));
        assert_eq!(line(inbox.try_recv()), "yes");
        drop(inbox);
        let (second, mut inbox) = Tasks::new();
        assert!(!terminal.listen(second), "it is read already");
        terminal.read(["no".to_owned()].into_iter());
        assert_eq!(line(inbox.try_recv()), "no");
        assert!(matches!(inbox.try_recv(), Some(Input::TerminalClosed)));
        let (third, mut inbox) = Tasks::new();
        assert!(!terminal.listen(third));
        assert!(matches!(inbox.try_recv(), Some(Input::TerminalClosed)), "it stays closed");
    }
}
