//! Faults on traffic by iptables: the same traffic is reached and spared as with nftables, with each installed build of
//! iptables, and an administrator's rules are unchanged afterwards.

mod others;
mod reach;
mod refusals;
mod switches;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use firedrill_agent::{
    host::{Firewall, Host},
    testing::{host, skip},
};
use firedrill_wire::Fault;
use nix::mount::{MsFlags, mount};

use super::{trip::fault, world::World};

/// Shortened rules of Docker and ufw for IPv4: user-defined chains, counters, and comments that look like rules.
const BEFORE4: &str = r#"*filter
:INPUT DROP [12:3456]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [77:8888]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-user-input
-A INPUT -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -m comment --comment "not -j fd_00000000_i, only a word" -j RETURN
-A ufw-before-input -i lo -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment "\'dapp_OpenSSH\'" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"#;
/// The same for IPv6, shorter.
const BEFORE6: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw6-user-input - [0:0]\n\
    -A INPUT -j ufw6-user-input\n-A ufw6-user-input -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";

/// The programs of one build, as tests use them by hand.
#[derive(Clone, Copy)]
pub(crate) struct Build(pub(crate) &'static str);

impl Build {
    pub(crate) fn run(self, v6: bool, what: &str, arguments: &[&str], text: &str) -> Result<String, String> {
        let name = if v6 { self.0.replacen("iptables", "ip6tables", 1) } else { self.0.to_owned() };
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let mut child = Command::new(format!("{name}{what}"))
            .args(arguments)
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}{what}: {error}"))?;
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(String::from_utf8(output.stdout).unwrap()) } else { Err(error) }
    }

    fn restore(self, v6: bool, text: &str) {
        self.run(v6, "-restore", &["--noflush"], text).unwrap();
    }

    /// Returns all rules of both families, without counters and the time of day.
    pub(crate) fn saved(self) -> String {
        let both = [false, true].map(|v6| self.run(v6, "-save", &[], "").unwrap());
        let lines = both.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(" [").next().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

/// Returns the host as another process of an agent has it, with the same programs.
pub(super) fn another(world: &World) -> Host {
    let mut other = host(Path::new("/nonexistent"));
    other.iptables.program.clone_from(&world.host.iptables.program);
    other
}

/// Whether this sandbox belongs to the machine's own root: only that may write to the kernel's lists.
pub(crate) fn may_open_gates(test: &str) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let may = map.split_whitespace().nth(1) == Some("0");
    if !may {
        skip(&format!("{test}: lists of xt_recent can be written to by the machine's root only"));
    }
    may
}

/// Runs a test with each installed build, on a host whose administrator has rules.
pub(crate) fn on_builds(test: &str, body: impl Fn(&World, Build)) {
    if !may_open_gates(test) {
        return;
    }
    // The lock of the old build; the machine's own one is not used.
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let mut found = false;
    let mut world = World::new();
    // In the emulated machine one build is enough: the one whose modules a stock kernel has to load.
    let builds: &[_] = if std::env::var_os("FIREDRILL_VM").is_some() {
        &["iptables-legacy"]
    } else {
        &["iptables-legacy", "iptables-nft"]
    };
    for build in builds.iter().copied().map(Build) {
        if let Err(why) = build.run(false, "-save", &[], "").and(build.run(true, "-save", &[], "")) {
            skip(&format!("{test} by {}: {why}", build.0));
            continue;
        }
        found = true;
        build.restore(false, BEFORE4);
        build.restore(true, BEFORE6);
        world.host = host(Path::new("/nonexistent"));
        world.host.firewall = Firewall::Iptables;
        build.0.clone_into(&mut world.host.iptables.program);
        body(&world, build);
        // The rules are removed: they would still judge packets while the next build is tried.
        for v6 in [false, true] {
            for table in ["filter", "nat"] {
                let flush = format!("*{table}\nCOMMIT\n");
                build.run(v6, "-restore", &[], &flush).unwrap();
                for chain in ["INPUT", "FORWARD", "OUTPUT"] {
                    let _ = build.run(v6, "", &["-t", table, "-P", chain, "ACCEPT"], "");
                }
            }
        }
    }
    if !found {
        skip(&format!("{test}: no iptables is installed"));
    }
}

pub(super) fn block(json: &str) -> Fault {
    fault(&format!(r#"{{"net-block":{json}}}"#))
}
