//! The places in which faults are made: a single agent in fresh namespaces with its journal on this machine's disk, or
//! a lab.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use firedrill::{
    cli::lab::{
        Setup,
        files::{OPERATOR, folder as files, forget},
    },
    link::{Agent, Identity},
    pki::{HostAsk, PersonAsk, Pki, ca_file},
    plan::model::{Host, Reach},
};
use firedrill_lab::{Lab, demo::Shop};
use firedrill_wire::{DEFAULT_PORT, identity::Role};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::{Failure, say::line};

/// For [`Setup::up`]: the lab ends with this process.
const ATTACHED: bool = false;
/// The agent's unit, whose environment the agent has here, too.
const UNIT: &str = include_str!("../../packaging/firedrill-agent.service");

/// Returns the path of a program of this build that lies beside `firedrill`. `how` are the arguments of Cargo that build it.
pub(crate) fn built(name: &str, how: &str) -> Result<PathBuf, Failure> {
    let path = folder()?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "{} is not built; `cargo build --profile dist {how}` builds it, so does tests/bench.sh",
        path.display()
    )
    .into())
}

/// Runs another program of this build and returns its output.
pub(crate) fn other(name: &str, how: &str, words: &[&str]) -> Result<String, Failure> {
    let output = Command::new(built(name, how)?).args(words).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Prints a program's output under its name and target.
pub(crate) fn tell(what: &str, target: &str, said: &str) {
    line(what, "", target);
    said.lines().for_each(|said| line("", said, ""));
}

/// Returns the folder of this build's programs.
fn folder() -> Result<&'static Path, Failure> {
    Ok(Path::new(env!("CARGO_BIN_EXE_firedrill")).parent().ok_or("the program is in no folder")?)
}

/// Returns the path of the agent's program, built with the same profile as this one.
pub(crate) fn agent_program() -> Result<PathBuf, Failure> {
    built("firedrill-agent", "-p firedrill-agent")
}

/// The agent's program as a child of this process, which has moved to fresh user, network and mount
/// namespaces with it. Its state lies on this machine's disk.
pub(crate) struct Alone {
    child: Child,
    pub(crate) agent: Agent,
    /// The kind of the file system that the journal lies on.
    pub(crate) disk: String,
    dir: tempfile::TempDir,
}

impl Alone {
    /// Starts the agent. Call this while the process has one thread.
    pub(crate) fn start() -> Result<Self, Failure> {
        const NAME: &str = "bench";
        let program = agent_program()?;
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(folder()?)?;
        let at = |name: &str| dir.path().join(name);
        let pki = Pki::init(&at("pki"))?;
        let host = pki.issue_host(&HostAsk::new(NAME, 1))?;
        pki.issue_person(&PersonAsk::new(OPERATOR, Role::Operator, 1))?;
        let identity = Arc::new(Identity::load_as(pki.dir(), OPERATOR)?);
        for name in ["state", "run"] {
            fs::create_dir(at(name))?;
        }
        let config = format!(
            "host = \"{NAME}\"\nlisten = \"127.0.0.1:{DEFAULT_PORT}\"\ncert = {:?}\nkey = {:?}\nca = {:?}\n\n[paths]\n\
             state = {:?}\nrun = {:?}\nrunit = []\n",
            host.cert,
            host.key,
            ca_file(pki.dir()),
            at("state"),
            at("run"),
        );
        fs::write(at("agent.toml"), config)?;
        separate(&at("run"))?;
        let log = fs::File::create(at("log"))?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(at("agent.toml"))
            .envs(UNIT.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('=')))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM).map_err(Into::into)
            });
        }
        let child = command.spawn()?;
        let reach = Reach::Tcp(format!("127.0.0.1:{DEFAULT_PORT}"));
        let agent = Agent::new(&host_of(NAME, Ipv4Addr::LOCALHOST, reach), identity);
        let disk = file_system(&at("state"));
        Ok(Self { child, agent, disk, dir })
    }

    /// Returns the pid of the agent's first process.
    pub(crate) fn pid(&self) -> Result<i32, Failure> {
        Ok(i32::try_from(self.child.id())?)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Ok(pid) = self.pid() {
            // On this signal the agent puts everything back, as it also would after its death.
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
            let _ = self.child.wait();
        }
        let _ = nix::mount::umount(&self.dir.path().join("run"));
    }
}

/// Moves this process to namespaces of its own. They have only the loopback interface, `run` in memory, and no access
/// to the machine's syslog.
fn separate(run: &Path) -> Result<(), Failure> {
    /// The index of the loopback interface in every network namespace.
    const LOOPBACK: u32 = 1;
    const UP: bool = true;
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("no namespaces of one's own here: {error}"))?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    // Agents also keep their last good configuration in the built-in directories, which belong to this machine's own agent.
    for at in [run, Path::new("/run"), Path::new("/var/lib")] {
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, none)?;
    }
    if Path::new("/dev/log").exists() {
        mount(Some("/dev/null"), "/dev/log", none, MsFlags::MS_BIND, none)?;
    }
    firedrill_agent::host::link::set(LOOPBACK, "lo", UP)?;
    Ok(())
}

/// Returns the kind of the file system that a path lies on, by the mounts that this process sees.
fn file_system(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        path.starts_with(&at).then_some((at.len(), kind))
    };
    // Of two mounts at the same place the later one covers the other.
    mounts
        .lines()
        .filter_map(of)
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// A lab whose hosts run only an agent. This process is in the lab's network.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    pub(crate) hosts: Vec<Host>,
    /// The time that the lab took to start.
    pub(crate) took: Duration,
    identity: Arc<Identity>,
}

impl Rig {
    /// Starts the lab and enters its network. Call this while the process has one thread.
    pub(crate) fn up(what: &str, count: u8) -> Result<Self, Failure> {
        let name = format!("bench-{what}-{}", std::process::id());
        let hosts: Vec<Host> = (0..count)
            .map(|number| {
                let address = Ipv4Addr::new(10, 77, number / 64 + 1, number % 64 + 10);
                let reach = Reach::Tcp(format!("{address}:{DEFAULT_PORT}"));
                host_of(&format!("n{number}"), address, reach)
            })
            .collect();
        let setup =
            Setup::make(&name, &hosts, "", &Shop::default()).map_err(|failure| failure.to_string())?;
        let began = Instant::now();
        let lab = setup.up(ATTACHED).map_err(|failure| failure.to_string())?;
        let took = began.elapsed();
        let identity = Arc::new(Identity::load_as(&files(&name).join("pki"), OPERATOR)?);
        lab.enter()?;
        Ok(Self { lab, hosts, took, identity })
    }

    /// Returns the folder of the lab's certificates.
    pub(crate) fn pki(&self) -> PathBuf {
        files(self.lab.name()).join("pki")
    }

    /// Returns the client for a host's agent.
    pub(crate) fn agent(&self, host: &Host) -> Agent {
        Agent::new(host, Arc::clone(&self.identity))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        forget(self.lab.name());
    }
}

/// Returns a host that has only an address.
pub(crate) fn host_of(name: &str, address: Ipv4Addr, agent: Reach) -> Host {
    let (labels, roles, tags) =
        ([("region".to_owned(), address.octets()[2].to_string())].into(), Vec::new(), Vec::new());
    Host {
        name: name.to_owned(),
        addresses: vec![IpAddr::V4(address)],
        labels,
        roles,
        tags,
        agent,
        via: None,
    }
}

/// Returns the runtime of a coordinator, which has one thread.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
