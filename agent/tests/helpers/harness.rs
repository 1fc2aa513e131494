//! A test harness for agents that fork. An agent has to begin in a process with one thread, so the test program starts
//! itself again as an agent. Supports `--list` and filters by name, as test runners use them.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{cli, control::Control, host::process::Stat, testing::leave_for, wiring::Wiring};
use firedrill_wire::{Span, api::Renew};
use nix::{
    mount::{MsFlags, mount},
    sched::CloneFlags,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::fakes::{alice, run_id};

/// The first argument that makes the program an agent.
pub(crate) const AGENT: &str = "be-an-agent";

/// The part for which the program was started.
pub(crate) enum Part<T: 'static> {
    /// Nothing is left to do: it was an agent, or has listed its tests.
    Done(ExitCode),
    /// Run these tests.
    Tests(Vec<&'static (&'static str, T)>),
}

/// Runs the agent if this program was started as one; otherwise selects the tests to run.
pub(crate) fn begin<T>(tests: &'static [(&'static str, T)], wiring: impl FnOnce() -> Wiring) -> Part<T> {
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == AGENT) {
        let args = args.into_iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, arg)| arg);
        return Part::Done(cli::run(args, wiring()));
    }
    if nix::unistd::geteuid().is_root()
        && let Err(why) = own_directories()
    {
        eprintln!("copies of configurations go to this machine's own /run and /var/lib: {why}");
    }
    let words: Vec<String> = args.into_iter().skip(1).filter_map(|arg| arg.into_string().ok()).collect();
    if words.iter().any(|word| word == "--list") {
        if !words.iter().any(|word| word == "--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return Part::Done(ExitCode::SUCCESS);
    }
    let exact = words.iter().any(|word| word == "--exact");
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|wanted| if exact { name == *wanted } else { name.contains(*wanted) })
    };
    Part::Tests(tests.iter().filter(|(name, _)| wanted(name)).collect())
}

/// Gives this program and its agents an empty `/run` and `/var/lib`, where agents keep copies of their configuration.
/// Makes a user namespace too, unless this is root. Has to be called while the program has one thread.
pub(crate) fn own_directories() -> io::Result<()> {
    leave_for(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for dir in ["/run", "/var/lib"] {
        mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), none)?;
    }
    Ok(())
}

/// Returns a command with an agent's verb and the configuration in a folder; its stderr goes to a file `stderr` there.
pub(crate) fn command(dir: impl AsRef<Path>, verb: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let dir = dir.as_ref();
    let log = File::options().create(true).append(true).open(dir.join("stderr")).unwrap();
    command
        .arg(AGENT)
        .args(verb)
        .arg("--config")
        .arg(dir.join("agent.toml"))
        .stderr(log)
        .stdin(Stdio::null());
    command
}

/// A process of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Guardian,
    Worker,
    Helper,
}

/// The three processes of an agent, each held by a descriptor; dropping this kills them.
#[derive(Default)]
pub(crate) struct Processes(Vec<(Who, OwnedFd)>);

impl Processes {
    pub(crate) const ALL: [Who; 3] = [Who::Helper, Who::Guardian, Who::Worker];

    /// Finds the processes of an agent that serves, by its guardian.
    pub(crate) fn of(guardian: u32) -> Self {
        let hold = |number: &str| {
            let pid = Pid::from_raw(number.parse().unwrap()).unwrap();
            pidfd_open(pid, PidfdFlags::empty()).unwrap()
        };
        let guardian = guardian.to_string();
        let mut processes = vec![(Who::Guardian, hold(&guardian))];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
            let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
            if field("PPid:") == Some(guardian.as_str()) {
                // The helper has one thread only.
                let who = if field("Threads:") == Some("1") { Who::Helper } else { Who::Worker };
                processes.push((who, hold(&entry.file_name().into_string().unwrap())));
            }
        }
        assert_eq!(processes.len(), 3, "guardian, worker and helper");
        Self(processes)
    }

    /// Sends a signal. After SIGSTOP, waits until the process is stopped: each of its threads stops only when it next leaves the
    /// kernel, and until then the process looks as if it ran.
    pub(crate) fn signal(&self, who: Who, signal: Signal) {
        // The process may be gone already.
        let _ = pidfd_send_signal(self.held(who), signal);
        let end = Instant::now() + Duration::from_secs(5);
        while signal == Signal::STOP && !self.is_gone(who) && !self.is_stopped(who) && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops these processes together, so that none of them sees another stopped for long, and waits until all are stopped.
    pub(crate) fn stop(&self, whom: &[Who]) {
        for who in whom {
            let _ = pidfd_send_signal(self.held(*who), Signal::STOP);
        }
        whom.iter().for_each(|who| self.signal(*who, Signal::STOP));
    }

    fn is_stopped(&self, who: Who) -> bool {
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.held(who).as_raw_fd()));
        let about = about.unwrap_or_default();
        let pid = about.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
        pid.is_some_and(|pid| Stat::read(pid).is_ok_and(|stat| stat.is_some_and(|stat| stat.is_stopped())))
    }

    pub(crate) fn is_gone(&self, who: Who) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(self.held(who), PollFlags::IN)], Some(&now)) == Ok(1)
    }

    fn held(&self, who: Who) -> &OwnedFd {
        let (_, fd) = self.0.iter().find(|(other, _)| *other == who).unwrap();
        fd
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, fd) in &self.0 {
            let _ = pidfd_send_signal(fd, Signal::KILL);
        }
    }
}

/// Renews the lease of the run `r1`, like a coordinator, while `is_there` returns true and the agent accepts it.
pub(crate) fn renew_while(control: &dyn Control, lease: Span, is_there: impl Fn() -> bool) {
    while is_there() && control.renew(&alice(), &run_id(), &Renew { lease }).is_ok() {
        thread::sleep(Duration::from_millis(50));
    }
}
