//! The host of one trial: fresh namespaces, links, a supervised service, and the comparison of its state without the agent.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use firedrill_agent::{
    config::Config,
    snapshot::{Snapshot, compare},
    testing::{Netns, address, join, leave_for, route},
};
use nix::{
    mount::{MsFlags, mount},
    sched::CloneFlags,
};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::{
    harness::AGENT,
    runsv::{Supervised, Which},
};

/// Starts a program as the first process of fresh namespaces; it ends with this process.
pub(crate) fn in_fresh_namespaces(mut program: Command) -> io::Result<std::process::Output> {
    leave_for(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )?;
    // SAFETY: between fork and exec this makes one system call.
    unsafe {
        program.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    program.output()
}

/// The directory of the trial's files.
pub(crate) fn root() -> PathBuf {
    PathBuf::from("/run/trial")
}

/// The host of a trial, for a process in its namespaces.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) victim: Supervised,
    before: Snapshot,
    _peer: Netns,
}

/// Short pauses. A start may be late, because the machine may be busy.
const TIMINGS: &str = "
[timings]
start_tolerance = \"20s\"
look_every = \"100ms\"
stale_after = \"700ms\"
grace = \"300ms\"
undo_tries = 5
undo_pause = \"20ms\"
undo_pause_most = \"200ms\"
undo_budget = \"3s\"
";

impl Host {
    /// Sets up the namespaces whose first process this is. `more` comes first in the agent's configuration.
    pub(crate) fn new(iptables: bool, more: &str) -> Self {
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).unwrap();
        for dir in ["/run", "/var/lib"] {
            mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        }
        let root = root();
        for dir in ["run", "state"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        // A separate small disk, which can be filled.
        let size = Some("size=2m");
        mount(Some("tmpfs"), &root.join("state"), Some("tmpfs"), MsFlags::empty(), size).unwrap();
        let id = root.join("machine-id");
        fs::write(&id, "5eed0000000000000000000000000000\n").unwrap();
        mount(Some(&id), "/etc/machine-id", none, MsFlags::MS_BIND, none).unwrap();
        let here = Netns::current();
        here.settle();
        let peer = Netns::fresh();
        join(&here, "eth0", &peer, "peer0");
        join(&here, "spare0", &peer, "spare1");
        for (link, network) in [("eth0", "10.9.0.1/24"), ("eth0", "fd09::1/64"), ("spare0", "10.99.1.1/24")] {
            address(&here, link, network);
        }
        route(&here, "10.98.0.0/16", "10.99.1.2");
        if iptables {
            make_builtin_chains();
        }
        let victim = Supervised::start(Which::Double, &root, "victim", "exec sleep 100000");
        fs::write(root.join("agent.toml"), text(&root, more)).unwrap();
        let config = Config::load(&root.join("agent.toml")).unwrap();
        let before = quiet(&config);
        Self { config, victim, before, _peer: peer }
    }

    /// Returns all differences from the host before the trial, and the agent's note in `/run` if it still says that a drill is on.
    pub(crate) fn differences(&self) -> Vec<String> {
        let mut differences = self.effects();
        let active = self.config.paths.run.join("active");
        if fs::read_to_string(&active).is_ok_and(|text| !text.is_empty()) {
            differences.push(format!("{} says that a drill is on", active.display()));
        }
        differences
    }

    /// Returns the differences that the host's users could notice.
    pub(crate) fn effects(&self) -> Vec<String> {
        let now = match Snapshot::take(&self.config.host()) {
            Ok(now) => now,
            Err(why) => return vec![format!("the host cannot be looked at: {why}")],
        };
        let difference = compare(&self.before, &now, &[]);
        let mut effects = [difference.ours, difference.foreign].concat();
        effects.retain(|line| !is_agent(line));
        if self.victim.main().is_none() {
            effects.push("the service is down".to_owned());
        }
        effects
    }
}

/// Whether a difference is a process of the agent that the trial itself has stopped.
fn is_agent(difference: &str) -> bool {
    let pid = difference.strip_prefix("stopped:").and_then(|rest| rest.split_once('@')).map(|(pid, _)| pid);
    pid.and_then(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok())
        .is_some_and(|words| words.split(|&byte| byte == 0).any(|word| word == AGENT.as_bytes()))
}

/// Makes the tables and chains that iptables makes with its first rule and never removes, by a rule that is added and deleted.
fn make_builtin_chains() {
    for program in ["iptables", "ip6tables"] {
        for (table, chains) in
            [("filter", &["INPUT", "FORWARD", "OUTPUT"][..]), ("raw", &["PREROUTING", "OUTPUT"])]
        {
            for (chain, verb) in chains.iter().flat_map(|chain| [(chain, "-A"), (chain, "-D")]) {
                let words = ["-w", "-t", table, verb, chain, "-i", "lo", "-j", "ACCEPT"];
                let words = words.map(|word| if word == "-i" && *chain == "OUTPUT" { "-o" } else { word });
                let done = Command::new(program).env("PATH", "/usr/sbin:/sbin").args(words).status();
                assert!(done.unwrap().success(), "{program} {words:?}");
            }
        }
    }
}

/// Returns the text of the agent's configuration.
fn text(root: &Path, more: &str) -> String {
    format!(
        "{more}host = \"h\"\nlisten = \"127.0.0.1:0\"\nssh_ports = [22]\n\
         paths = {{ state = \"{0}/state\", run = \"{0}/run\", runit = [\"{0}/service\"] }}\n{TIMINGS}",
        root.display()
    )
}

/// Returns a snapshot once it does not change by itself any more: some time after links were made, the kernel adds addresses and routes
/// to them.
fn quiet(config: &Config) -> Snapshot {
    let mut last = Snapshot::default();
    loop {
        let now = Snapshot::take(&config.host()).unwrap();
        let has = |start: &str| now.seen.keys().filter(|key| key.starts_with(start)).count();
        let own = has("route:ip6 table 255 fe80::") >= 2 && has("route:ip6 table 255 fd09::1/128") == 1;
        if own && now == last {
            return now;
        }
        last = now;
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
