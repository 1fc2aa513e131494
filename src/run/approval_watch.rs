//! Looks for approvals, on the terminal and in the run's folder, and decides nothing.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{input::Input, tasks::Tasks};

/// Prefix and suffix of the names of approval files in a run's folder.
pub(crate) const FILE: (&str, &str) = ("approval-", ".json");
/// Interval at which the folder is read while people are asked.
const LOOK: Duration = Duration::from_millis(250);

/// Reads lines for as long as the program runs. A separate thread does that, because a read from a terminal cannot be
/// cancelled: a pending read must neither keep the program from ending nor swallow the next answer.
pub(super) fn terminal(mail: Tasks) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if !mail.send(Input::Line(line)) {
                return;
            }
        }
        mail.send(Input::TerminalClosed);
    });
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
