//! The control room over HTTP, as a separate process: its pages, its API, logins, game days, chats and metrics. No drill is run.
#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/alerts.rs"]
mod alerts;
mod api;
mod chat;
mod fuzz;
mod gamedays;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../link/house.rs"]
mod house;
mod inventory;
mod logins;
mod metrics;
#[path = "../common/output.rs"]
mod output;
mod pages;
mod passkeys;
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../common/receiver.rs"]
mod receiver;
#[path = "../common/room.rs"]
mod room;
mod written;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use room::Room;

const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");
/// The name of the example's run in the folders of these tests.
const RUN: &str = "20261120-1402-friday-7f3a";

/// Makes a folder with the example's run, and starts a control room in it.
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

/// The log of a running run, as a coordinator writes it. This process has it locked.
struct Growing {
    log: fs::File,
    /// The lines of the complete log.
    lines: Vec<String>,
    /// Number of lines at the beginning, after which a fault is in force.
    half: usize,
}

impl Growing {
    /// Begins a run `live` next to the example's.
    fn begin(folder: &Path) -> Self {
        let example = folder.join("reports").join(RUN).join("events.jsonl");
        let lines: Vec<String> = fs::read_to_string(example).unwrap().lines().map(str::to_owned).collect();
        let half = lines.iter().position(|line| line.contains("\"to\":\"in-force\"")).unwrap() + 1;
        let live = folder.join("reports/live");
        fs::create_dir(&live).unwrap();
        let mut log = fs::File::create(live.join("events.jsonl")).unwrap();
        log.lock().unwrap();
        writeln!(log, "{}", lines[..half].join("\n")).unwrap();
        Self { log, lines, half }
    }

    /// Writes the lines from `from` on, up to the last one.
    fn end(mut self, from: usize) {
        writeln!(self.log, "{}", self.lines[from..].join("\n")).unwrap();
        self.log.unlock().unwrap();
    }
}

/// Writes a run like the example's, a day later, with an objective that is violated. Returns its name.
fn violated(folder: &Path) -> &'static str {
    let later = "20261127-0602-demo-beef";
    let reports = folder.join("reports");
    let log = fs::read_to_string(reports.join(RUN).join("events.jsonl")).unwrap();
    let id = log.split_once("\"run\":\"").unwrap().1.split('"').next().unwrap().to_owned();
    let (first, rest) = log.split_once('\n').unwrap();
    let first =
        first.replace("\"good\":\"85%\"", "\"good\":\"99.99%\"").replace("2026-11-26T", "2026-11-27T");
    fs::create_dir(reports.join(later)).unwrap();
    fs::write(reports.join(later).join("events.jsonl"), format!("{first}\n{rest}").replace(&id, later))
        .unwrap();
    later
}

/// Runs the program in a folder, and returns its output.
fn firedrill(folder: &Path, words: &[&str]) -> Output {
    Command::new(FIREDRILL).args(words).current_dir(folder).output().unwrap()
}

/// Makes a token for a day by the command line, with further options. Returns the token.
fn token(folder: &Path, name: &str, more: &[&str]) -> String {
    let made = firedrill(folder, &[&["serve", "token", "new", name, "--expires", "1d"], more].concat());
    assert_eq!(made.status.code(), Some(0), "{}", output::said(&made));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Makes a login link by the command line, and logs in. Returns the cookie of the session.
fn person(folder: &Path, room: &Room, name: &str, role: &str) -> String {
    let made = firedrill(folder, &["serve", "link", "--as", name, "--role", role]);
    let link = String::from_utf8(made.stdout).unwrap();
    let path = link.trim().strip_prefix(&format!("http://{}", room.address)).expect("a link to this room");
    assert!(path.starts_with("/login?link="), "{link}");
    room.login(path)
}
