//! The machine: the agent installed as its package does it, a service to break, and a peer with a network of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

use firedrill_agent::host::{Host, Paths, ifb, link};
use serde_json::Value;

/// Where the authority, the fleet and the runs lie; survives this boot.
pub(crate) const OUT: &str = "/vm-out";
/// The content of the disk that the next boot finds, as if this one had written it.
const NEXT: &str = "/vm-out/root";
const AGENT: &str = "/usr/bin/firedrill-agent";

/// The target of faults: the lab's demo service, one process. It is not enabled: after a boot it is up only if somebody
/// starts it.
fn checkout() -> String {
    format!(
        "[Unit]\nDescription=what is broken\n\
         [Service]\nExecStart={} __lab checkout --port 8080 --book /run/checkout/orders.jsonl\nRuntimeDirectory=checkout\n\
         Restart=on-failure\nRestartSec=300ms\n\
         [Install]\nWantedBy=multi-user.target\n",
        program("firedrill").display()
    )
}

pub(crate) fn step(what: &str) {
    let up = fs::read_to_string("/proc/uptime").expect("uptime");
    eprintln!("--- {:>6} s  {what}", up.split(' ').next().expect("a number"));
}

/// Runs a program and expects that it goes well; what it printed.
pub(crate) fn call(program: &str, words: &[&str]) -> String {
    let done = output(program, words);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {words:?}: {}\n{text}{errors}", done.status);
    text
}

pub(crate) fn output(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

pub(crate) fn systemctl(words: &[&str]) -> String {
    call("systemctl", words)
}

/// One property of a unit.
pub(crate) fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "-p", name, unit]).trim().to_owned()
}

/// Waits for something that should come about soon; this machine is emulated and slow.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let from = Instant::now();
    while !condition() {
        if from.elapsed() > Duration::from_secs(120) {
            eprintln!(
                "{}",
                String::from_utf8_lossy(&output("journalctl", &["-n", "60", "--no-pager"]).stdout)
            );
            panic!("waited in vain for {what}");
        }
        sleep(Duration::from_millis(50));
    }
    from.elapsed()
}

pub(crate) fn is_up(unit: &str) -> bool {
    property(unit, "ActiveState") == "active"
}

/// The injections in force, as people at the machine are told.
pub(crate) fn told() -> Option<String> {
    fs::read_to_string("/run/firedrill/active").ok()
}

/// The firewall's tables that are the agent's, by what the kernel says.
pub(crate) fn tables() -> Vec<String> {
    let host = Host::new("vm1", Paths::default(), 7790, Vec::new());
    let tables = host.nft.our_tables().expect("the kernel answers");
    tables.into_iter().map(|table| table.name).collect()
}

/// Rules of the agent's that iptables has, and what leads to them, a line each.
pub(crate) fn chains() -> Vec<String> {
    let saved = call("iptables-save", &[]);
    saved.lines().filter(|line| line.contains("fd_")).map(str::to_owned).collect()
}

/// How many interfaces of the agent's there are.
pub(crate) fn lines() -> usize {
    let all = link::all().expect("the kernel answers");
    all.iter().filter(|one| ifb::is_ifb(one)).count()
}

/// The agent's own word on what is in force.
pub(crate) fn open() -> Vec<Value> {
    let status: Value = serde_json::from_str(&call(AGENT, &["status", "--json"])).expect("JSON");
    status["open"].as_array().expect("a list").clone()
}

/// After a failure: as it was, so that the next test can begin.
pub(crate) fn reset() {
    eprintln!("{}", String::from_utf8_lossy(&output("journalctl", &["-n", "40", "--no-pager"]).stdout));
    for words in [
        &["unmask", "checkout"][..],
        &["start", "dbus.socket", "dbus.service"],
        &["restart", "firedrill-agent"],
    ] {
        output("systemctl", words);
    }
    output(AGENT, &["undo", "--all", "--no-halt"]);
    output(AGENT, &["release"]);
    output("systemctl", &["start", "checkout"]);
}

/// Everything is as it was, and the agent serves.
pub(crate) fn check_clean() {
    until("the agent", || is_up("firedrill-agent"));
    until("checkout", || is_up("checkout"));
    until("nobody being told of a drill", || told().is_none());
    assert_eq!(open(), Vec::<Value>::new());
    assert_eq!(tables(), Vec::<String>::new());
    assert_eq!(lines(), 0);
    assert_eq!(chains(), Vec::<String>::new());
}

fn put(root: &str, path: &str, text: &str) {
    let path = PathBuf::from(format!("{root}{path}"));
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn packaging(file: &str) -> PathBuf {
    repository().join("packaging").join(file)
}

/// A program as it is installed: this machine is emulated, a debug build would be too slow for its own promises.
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("FIREDRILL_PROGRAMS").expect("the runner says where they lie");
    let path = Path::new(&folder).join(name);
    assert!(path.exists(), "{} is not built; `cargo build --release` does it", path.display());
    path
}

fn firedrill(words: &[&str]) -> String {
    call(&program("firedrill").display().to_string(), words)
}

/// As a person with root does it by hand.
pub(crate) fn install() {
    step("a peer, a service, certificates");
    link();
    let pki = "/vm-out/pki";
    firedrill(&["pki", "--dir", pki, "init"]);
    firedrill(&["pki", "--dir", pki, "issue", "host", "vm1", "--address", "10.9.0.1"]);
    firedrill(&["pki", "--dir", pki, "issue", "person", "alice", "--role", "operator"]);
    fs::write("/vm-out/fleet.toml", "[[host]]\nname = \"vm1\"\naddress = \"10.9.0.1\"\nroles = [\"app\"]\n")
        .expect("fleet");
    let read =
        |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for root in ["", NEXT] {
        for (from, to) in
            [("ca.pem", "ca.pem"), ("hosts/vm1.pem", "agent.pem"), ("hosts/vm1.key", "agent.key")]
        {
            put(root, &format!("/etc/firedrill/{to}"), &read(&Path::new(pki).join(from)));
        }
        // The example as it is shipped, with the one thing that each host has of its own.
        let example = read(&packaging("agent.toml"));
        let named = example.replace("# host = \"app-1\"", "host = \"vm1\"");
        assert_ne!(example, named, "the example names no host");
        put(root, "/etc/firedrill/agent.toml", &named);
        for unit in ["firedrill-agent.service", "firedrill-sweep.service"] {
            put(root, &format!("/usr/lib/systemd/system/{unit}"), &read(&packaging(unit)));
        }
        put(root, "/usr/lib/systemd/system/checkout.service", &checkout());
        put(root, "/usr/bin/.keep", "");
        symlink(program("firedrill-agent"), format!("{root}{AGENT}")).expect("the program");
    }
    // What `systemctl enable` does, for the target that this machine boots to.
    let wants = format!("{NEXT}/etc/systemd/system/vm.target.wants");
    fs::create_dir_all(&wants).expect("folder");
    for unit in ["firedrill-agent.service", "firedrill-sweep.service"] {
        symlink(format!("/usr/lib/systemd/system/{unit}"), format!("{wants}/{unit}")).expect("link");
    }
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "checkout", "firedrill-sweep", "firedrill-agent"]);
    check_clean();
}

/// A link to a peer, from which the coordinator works.
pub(crate) fn link() {
    let ip = |words: &str| call("ip", &words.split(' ').collect::<Vec<_>>());
    ip("netns add peer");
    ip("link add fd0 type veth peer name fd1 netns peer");
    ip("addr add 10.9.0.1/24 dev fd0");
    ip("link set fd0 up");
    ip("-n peer addr add 10.9.0.2/24 dev fd1");
    ip("-n peer link set fd1 up");
    ip("-n peer link set lo up");
}
