//! The control room over HTTP, in a process of its own: logins, roles, notes, the audit log, and folders that are no runs.
#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/alerts.rs"]
mod alerts;
mod api;
mod gamedays;
mod logins;
mod metrics;
#[path = "../common/output.rs"]
mod output;
mod pages;
#[path = "../common/room.rs"]
mod room;
mod written;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use room::Room;

const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");
const RUN: &str = "20261120-1402-friday-7f3a";

/// A folder with the example's run, and a control room over it.
fn start() -> (tempfile::TempDir, Room) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("reports").join(RUN);
    fs::create_dir_all(&run).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example");
    for file in ["events.jsonl", "report.html"] {
        fs::copy(example.join(file), run.join(file)).unwrap();
    }
    let room = Room::start(FIREDRILL, folder.path(), &[]);
    (folder, room)
}

fn firedrill(folder: &Path, words: &[&str]) -> Output {
    Command::new(FIREDRILL).args(words).current_dir(folder).output().unwrap()
}

/// Makes a login link by the command line, and logs in.
fn person(folder: &Path, room: &Room, name: &str, role: &str) -> String {
    let made = firedrill(folder, &["serve", "link", "--as", name, "--role", role]);
    let link = String::from_utf8(made.stdout).unwrap();
    let start = format!("http://{}/login?link=", room.address);
    assert!(link.starts_with(&start), "{link}");
    room.login(link[start.len() - "/login?link=".len()..].trim())
}
