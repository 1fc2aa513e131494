//! A lab with a scratch folder, and functions that start `firedrill` on it.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::output::said;
use crate::runs::run_folders;

pub(crate) const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");

/// The fleet of most tests.
pub(crate) const FLEET: &str = r#"
schema = 1
[defaults]
env = "test"
[[host]]
name = "edge1"
region = "one"
roles = ["edge"]
addresses = ["10.78.1.10"]
[[host]]
name = "app1"
region = "one"
roles = ["app"]
addresses = ["10.78.1.11"]
[[host]]
name = "app2"
region = "one"
roles = ["app"]
addresses = ["10.78.1.12"]
"#;

/// Returns [`scenario`] without further lines.
pub(crate) fn plain_scenario(attacks: usize, hold: &str) -> String {
    scenario(attacks, hold, "", "")
}

/// Returns a scenario with a number of short attacks on app1, one after another. The lines of `more` go to the top level,
/// and those of `attack` to each attack.
pub(crate) fn scenario(attacks: usize, hold: &str, more: &str, attack: &str) -> String {
    let mut text = format!(
        r#"
schema = 1
name = "verbs"
hypothesis = "The shop does without one of its two hosts."
{more}
[targets.app1]
where = {{ name = "app1" }}
[probes.door]
http = {{ url = "http://edge1/checkout", status = 200 }}
rate = 20
timeout = "1s"
connection = "new"
from = ["coordinator"]
[objectives.users]
probe = "door"
good = "5%"
[attack_defaults]
baseline = "1s"
hold = "{hold}"
recovery = "1s"
settle = "0s"
"#
    );
    for number in 1..=attacks {
        text += &format!(
            "[[attack]]\nname = \"stop {number}\"\non = \"app1\"\nfault.service-stop = {{ service = \"checkout\" }}\n{attack}\n"
        );
    }
    text
}

/// A lab and a scratch folder. Both are removed when this is dropped.
pub(crate) struct Bench {
    pub(crate) lab: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// Returns a lab that is not up yet: its name, and a folder with its `fleet.toml`.
    pub(crate) fn new(name: &str, fleet: &str) -> Self {
        let lab = format!("verbs-{name}-{}", std::process::id());
        let bench = Self { lab, folder: tempfile::tempdir().unwrap() };
        bench.file("fleet.toml", fleet);
        bench
    }

    /// Starts a lab with this fleet.
    pub(crate) fn with(name: &str, fleet: &str) -> Self {
        let bench = Self::new(name, fleet);
        let up = ["lab", "up", "--fleet", "fleet.toml", "--name", &bench.lab];
        assert_ends(&bench.firedrill(&up).output().unwrap(), 0, "");
        bench
    }

    /// Starts a lab with the fleet of most tests.
    pub(crate) fn up(name: &str) -> Self {
        Self::with(name, FLEET)
    }

    /// Writes a file in the scratch folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Returns the command of a verb, in the scratch folder.
    pub(crate) fn firedrill(&self, words: &[&str]) -> Command {
        let mut command = Command::new(FIREDRILL);
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Returns the command of a verb on the lab.
    pub(crate) fn on(&self, words: &[&str]) -> Command {
        let mut command = self.firedrill(words);
        command.arg(format!("--lab={}", self.lab));
        command
    }

    /// Runs a scenario on the lab with further options, up to its end.
    pub(crate) fn run(&self, text: &str, options: &[&str]) -> Output {
        self.file("scenario.toml", text);
        self.on(&[&["run", "scenario.toml"], options].concat()).output().unwrap()
    }

    /// Starts a run in the background and waits until its log shows that a fault is in force.
    pub(crate) fn until_in_force(&self, text: &str) -> (Child, PathBuf) {
        self.until_in_force_with(text, &[])
    }

    /// Does the same as [`Self::until_in_force`], with further options.
    pub(crate) fn until_in_force_with(&self, text: &str, options: &[&str]) -> (Child, PathBuf) {
        self.until_log(text, options, "\"to\":\"in-force\"")
    }

    /// Starts a run in the background with further options, and waits until its log has a text. Returns the process and the
    /// run's folder.
    pub(crate) fn until_log(&self, text: &str, options: &[&str], wanted: &str) -> (Child, PathBuf) {
        self.file("scenario.toml", text);
        let mut child = self
            .on(&[&["run", "scenario.toml"], options].concat())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            if self.logs().iter().any(|log| log.contains(wanted)) {
                break;
            }
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < end, "{}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
        let folder = run_folders(&self.reports()).remove(0);
        (child, folder)
    }

    /// Returns the folder of the lab's authority.
    pub(crate) fn pki(&self) -> PathBuf {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let uid = rustix::process::getuid().as_raw();
        base.join(format!("firedrill-lab-{uid}-{}/pki", self.lab))
    }

    /// Issues a certificate of the lab's authority to each of these people.
    pub(crate) fn issue(&self, names: &[&str]) {
        let pki = self.pki();
        for name in names {
            let words = ["pki", "--dir", pki.to_str().unwrap(), "issue", "person", name];
            assert_ends(&self.firedrill(&words).output().unwrap(), 0, "");
        }
    }

    /// Returns what the run in the background has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    /// Returns the directory of the runs.
    pub(crate) fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    /// Returns the number of waiting messages to people.
    pub(crate) fn pending(&self) -> usize {
        let files = fs::read_dir(self.reports().join(".notify/pending")).into_iter().flatten().flatten();
        files.filter(|file| !file.file_name().as_encoded_bytes().starts_with(b".")).count()
    }

    /// Returns the logs of all runs, in no particular order.
    pub(crate) fn logs(&self) -> Vec<String> {
        let runs = run_folders(&self.reports()).into_iter();
        runs.filter_map(|run| fs::read_to_string(run.join("events.jsonl")).ok()).collect()
    }

    /// Returns the scorecard of the only run.
    pub(crate) fn card(&self) -> serde_json::Value {
        let folder = run_folders(&self.reports()).remove(0);
        let report = self.firedrill(&["report", folder.to_str().unwrap(), "--json"]).output().unwrap();
        let mut read: serde_json::Value =
            serde_json::from_slice(&report.stdout).unwrap_or_else(|why| panic!("{why}: {}", said(&report)));
        read["scorecard"].take()
    }

    /// Checks that a run was refused before any fault: there are logs of runs, and no fault was armed.
    pub(crate) fn assert_untouched(&self) {
        let logs = self.logs();
        assert!(!logs.is_empty(), "a refused run has a log");
        assert!(!logs.iter().any(|log| log.contains("\"event\":\"armed\"")), "a fault was armed: {logs:#?}");
    }

    /// Checks that no fault is in force on any host.
    pub(crate) fn assert_quiet(&self) {
        let status = self.on(&["status", "--json"]).output().unwrap();
        let rows: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        for row in rows.as_array().unwrap() {
            assert_eq!(row["status"]["open"].as_array().map(Vec::len), Some(0), "{row}");
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.firedrill(&["lab", "down", "--name", &self.lab]).output();
    }
}

/// Checks the exit code of a program, and that its output has these words.
#[track_caller]
pub(crate) fn assert_ends(output: &Output, code: i32, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    // Tables and messages about files are wrapped, so all white space becomes one blank.
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(words), "no `{words}` in {said}");
}

/// Sends a signal to a process.
pub(crate) fn end(child: &mut Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits until a process has ended, at most two minutes.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "the process does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether labs can be made on this machine. If not, prints the reason.
pub(crate) fn labs() -> bool {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("/bin/true");
    // SAFETY: one system call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            let flags = nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWNET;
            Ok(nix::sched::unshare(flags)?)
        });
    }
    match command.status() {
        Ok(_) => true,
        Err(why) => {
            let _ =
                writeln!(std::io::stderr(), "skipped: the kernel lets this user make no namespaces: {why}");
            false
        }
    }
}

/// Whether the programs that a lab runs are on this machine. If not, prints those that are missing.
pub(crate) fn programs(names: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let missing: Vec<&str> = names.iter().filter(|name| !there(name)).copied().collect();
    if !missing.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this machine has no {} (tests/packages.sh metrics stores)",
            missing.join(", ")
        );
    }
    missing.is_empty()
}

/// Starts a program on a new terminal. Returns the other side of the terminal, and the process.
pub(crate) fn on_a_terminal(command: &mut Command) -> (fs::File, Child) {
    use std::os::{
        fd::AsRawFd as _,
        unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    };
    let open = |path: &str| {
        let mut options = fs::File::options();
        options.read(true).write(true).custom_flags(nix::libc::O_NOCTTY).open(path).unwrap()
    };
    let window = open("/dev/ptmx");
    let (unlock, mut number): (nix::libc::c_int, nix::libc::c_uint) = (0, 0);
    // SAFETY: the descriptor is open, and both calls read or write one integer that lives as long.
    let made = unsafe {
        nix::libc::ioctl(window.as_raw_fd(), nix::libc::TIOCSPTLCK, &raw const unlock) == 0
            && nix::libc::ioctl(window.as_raw_fd(), nix::libc::TIOCGPTN, &raw mut number) == 0
    };
    assert!(made, "no terminal: {}", std::io::Error::last_os_error());
    let inside = open(&format!("/dev/pts/{number}"));
    command.stdin(inside.try_clone().unwrap()).stdout(Stdio::null()).stderr(inside);
    // SAFETY: both are system calls that allocate nothing and take no lock.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            if nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn().unwrap();
    // The parent's copies of the program's side would keep the terminal open.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    (window, child)
}

/// Limits the size of the files that a command can write.
pub(crate) fn limit_files(command: &mut Command, bytes: u64) -> &mut Command {
    use nix::sys::{
        resource::{Resource, setrlimit},
        signal::{SigHandler, Signal, signal},
    };
    use std::os::unix::process::CommandExt as _;
    // SAFETY: all are system calls that allocate nothing and take no lock. With the signal ignored, which is inherited,
    // writing fails as it does on a full disk.
    unsafe {
        command.pre_exec(move || {
            signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
            Ok(setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes)?)
        })
    }
}
