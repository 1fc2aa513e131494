//! The machine. It has an agent, installed as by its package, a service to attack, and a peer with a separate network.

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

/// The directory of the authority, the fleet and the runs. It survives this boot.
pub(crate) const OUT: &str = "/vm-out";
/// The directory with files that will be on the disk of the next boot, as if this boot had written them.
const NEXT: &str = "/vm-out/root";
const AGENT: &str = "/usr/bin/firedrill-agent";

/// Returns the unit of the faults' target: the lab's demo service, one process. It is not enabled, so after a boot it
/// is up only if somebody starts it.
fn checkout() -> String {
    format!(
        "[Unit]\nDescription=what is broken\n\
         [Service]\nExecStart={} __lab checkout --port 8080 --book /run/checkout/orders.jsonl\nRuntimeDirectory=checkout\n\
         Restart=on-failure\nRestartSec=300ms\n\
         [Install]\nWantedBy=multi-user.target\n",
        program("firedrill").display()
    )
}

/// A unit that tries five times a second whether the service answers, and writes the result to the journal.
const SHOPPER: &str = "[Service]\n\
     ExecStart=/bin/bash -c 'while :; do if (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null; then echo fine; \
     else echo ERROR password=hunter2; fi; sleep 0.2; done'\n";

/// Prints the time since the boot and what the test does next.
pub(crate) fn step(what: &str) {
    let up = fs::read_to_string("/proc/uptime").expect("uptime");
    eprintln!("--- {:>6} s  {what}", up.split(' ').next().expect("a number"));
}

/// Runs a program, expects that it succeeds, and returns its output.
pub(crate) fn call(program: &str, words: &[&str]) -> String {
    let done = output(program, words);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {words:?}: {}\n{text}{errors}", done.status);
    text
}

/// Runs a program, and returns its output, whether it succeeds or not.
pub(crate) fn output(program: &str, words: &[&str]) -> Output {
    Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

pub(crate) fn systemctl(words: &[&str]) -> String {
    call("systemctl", words)
}

/// Returns one property of a unit.
pub(crate) fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "-p", name, unit]).trim().to_owned()
}

/// Waits until a condition holds, for a long time because this machine is emulated and slow. Returns the time that it took.
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

/// Returns the text about injections in force for people at the machine; `None` if there are none.
pub(crate) fn told() -> Option<String> {
    fs::read_to_string("/run/firedrill/active").ok()
}

/// Returns the agent's nftables tables that the kernel has.
pub(crate) fn tables() -> Vec<String> {
    let host = Host::new("vm1", Paths::default(), 7790, Vec::new());
    let tables = host.nft.our_tables().expect("the kernel answers");
    tables.into_iter().map(|table| table.name).collect()
}

/// Returns the agent's iptables rules, and the rules that jump to them, one on each line.
pub(crate) fn chains() -> Vec<String> {
    let saved = call("iptables-save", &[]);
    saved.lines().filter(|line| line.contains("fd_")).map(str::to_owned).collect()
}

/// Returns the number of the agent's ifbs.
pub(crate) fn lines() -> usize {
    let links = link::all().expect("the kernel answers");
    links.iter().filter(|link| ifb::is_our_ifb(link)).count()
}

/// Returns the injections that are open according to the agent.
pub(crate) fn open() -> Vec<Value> {
    let status: Value = serde_json::from_str(&call(AGENT, &["status", "--json"])).expect("JSON");
    status["open"].as_array().expect("a list").clone()
}

/// Repairs the machine after a failure, so that the next test can begin.
pub(crate) fn reset() {
    eprintln!("{}", String::from_utf8_lossy(&output("journalctl", &["-n", "40", "--no-pager"]).stdout));
    for words in [
        &["kill", "-s", "CONT", "systemd-journald"][..],
        &["stop", "shopper"],
        &["unmask", "checkout"],
        &["start", "dbus.socket", "dbus.service"],
        &["restart", "firedrill-agent"],
    ] {
        output("systemctl", words);
    }
    output(AGENT, &["undo", "--all", "--no-halt"]);
    output(AGENT, &["release"]);
    output("systemctl", &["start", "checkout"]);
}

/// Checks that everything is as before, and that the agent serves.
pub(crate) fn check_clean() {
    until("the agent", || is_up("firedrill-agent"));
    until("checkout", || is_up("checkout"));
    until("nobody being told of a drill", || told().is_none());
    assert_eq!(open(), Vec::<Value>::new());
    assert_eq!(tables(), Vec::<String>::new());
    assert_eq!(lines(), 0);
    assert_eq!(chains(), Vec::<String>::new());
}

/// Writes a file below a root.
fn put(root: &str, path: &str, text: &str) {
    let path = PathBuf::from(format!("{root}{path}"));
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of a file of the package.
pub(crate) fn packaging(file: &str) -> PathBuf {
    repository().join("packaging").join(file)
}

/// Returns the path of an optimised program. This machine is emulated, so a debug build would be too slow.
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("FIREDRILL_PROGRAMS").expect("the runner sets it");
    let path = Path::new(&folder).join(name);
    assert!(path.exists(), "{} is not built; `cargo build --release` does it", path.display());
    path
}

fn firedrill(words: &[&str]) -> String {
    call(&program("firedrill").display().to_string(), words)
}

/// Installs the agent by hand, as root.
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
        // The shipped example with two changes: the host's name, and the logs that may be read.
        let mut config = read(&packaging("agent.toml"));
        for (begins, line) in [
            ("# host = \"app-1\"", "host = \"vm1\""),
            // The rest of the line in the example is about the key.
            ("# logs = [", "logs = [\"unit:shopper.service\"]"),
        ] {
            let old = config.lines().find(|line| line.starts_with(begins)).map(str::to_owned);
            let old = old.unwrap_or_else(|| panic!("the example has no line that begins with {begins}"));
            config = config.replacen(&old, line, 1);
        }
        put(root, "/etc/firedrill/agent.toml", &config);
        for unit in ["firedrill-agent.service", "firedrill-sweep.service"] {
            put(root, &format!("/usr/lib/systemd/system/{unit}"), &read(&packaging(unit)));
        }
        put(root, "/usr/lib/systemd/system/checkout.service", &checkout());
        put(root, "/usr/lib/systemd/system/shopper.service", SHOPPER);
        put(root, "/usr/bin/.keep", "");
        symlink(program("firedrill-agent"), format!("{root}{AGENT}")).expect("the program");
    }
    // Does the same as `systemctl enable`, for the target to which this machine boots.
    let wants = format!("{NEXT}/etc/systemd/system/vm.target.wants");
    fs::create_dir_all(&wants).expect("folder");
    for unit in ["firedrill-agent.service", "firedrill-sweep.service"] {
        symlink(format!("/usr/lib/systemd/system/{unit}"), format!("{wants}/{unit}")).expect("link");
    }
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "checkout", "firedrill-sweep", "firedrill-agent"]);
    check_clean();
}

/// Makes a link to a peer, where the coordinator runs, and another link without connections.
pub(crate) fn link() {
    let ip = |words: &str| call("ip", &words.split(' ').collect::<Vec<_>>());
    ip("netns add peer");
    ip("link add fd0 type veth peer name fd1 netns peer");
    ip("addr add 10.9.0.1/24 dev fd0");
    ip("link set fd0 up");
    ip("-n peer addr add 10.9.0.2/24 dev fd1");
    ip("-n peer link set fd1 up");
    ip("-n peer link set lo up");
    ip("link add fd2 type veth peer name fd3 netns peer");
    ip("link set fd2 up");
    ip("-n peer link set fd3 up");
}
