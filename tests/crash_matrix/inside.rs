//! The roles of this program inside a host: an observer that is independent of the agent, a service, an administrator, and a helper that stops
//! the agent at a place in its code.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use firedrill_agent::{
    config::{Config, DEFAULT_FILE},
    host::link,
    journal::{FILE, Tail},
    snapshot::Snapshot,
};
use firedrill_netlink::{
    Attrs, Request, Socket,
    route::{Address, Link, Route},
};
use firedrill_wire::journal::AgentEvent;
use serde::{Deserialize, Serialize};

/// The hidden first argument that selects these roles.
pub(crate) const INSIDE: &str = "__inside";
/// The argument of `reached` in place of a pid: any process of the agent may be at the place.
pub(crate) const ANY: &str = "-";

/// The state of a host, seen from inside it but not by its agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) snapshot: Snapshot,
    pub(crate) events: Vec<AgentEvent>,
}

/// Takes the role that the arguments select; `None` if they select none.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [INSIDE, rest @ ..] => Some(run(rest)),
        _ => None,
    }
}

/// Takes a role: `words` is its name and its arguments.
fn run(words: &[&str]) -> ExitCode {
    let config = || Config::load(Path::new(DEFAULT_FILE)).unwrap();
    match words {
        ["nap"] => {
            spare();
            loop {
                sleep(Duration::from_secs(3600));
            }
        }
        ["look"] => println!("{}", serde_json::to_string(&look(&config())).unwrap()),
        ["stop-at", place] => {
            let dir = config().paths.run;
            fs::create_dir_all(&dir).unwrap();
            let _ = fs::remove_file(dir.join("crash-point.reached"));
            fs::write(dir.join("crash-point"), place).unwrap();
        }
        ["reached", not_by] => {
            let Some(pid) = reached(&config(), not_by, Duration::from_secs(20)) else {
                eprintln!("the agent did not come to that place");
                return ExitCode::FAILURE;
            };
            println!("{pid}");
        }
        ["reached-or", millis] => {
            reached(&config(), ANY, Duration::from_millis(millis.parse().unwrap()));
        }
        ["go-on"] => fs::remove_file(config().paths.run.join("crash-point")).unwrap(),
        ["control", service, letter] => {
            let supervise = Path::new("/run/service").join(service).join("supervise");
            let status = || fs::metadata(supervise.join("status")).unwrap().ino();
            let before = status();
            fs::write(supervise.join("control"), letter).unwrap();
            // The supervisor reads its pipe a little later, and then replaces the status file.
            let end = Instant::now() + Duration::from_secs(60);
            while status() == before {
                if Instant::now() > end {
                    eprintln!("the supervisor of {service} did not act on {letter}");
                    return ExitCode::FAILURE;
                }
                sleep(Duration::from_millis(5));
            }
        }
        ["machine-id", id] => fs::write("/etc/machine-id", format!("{id}\n")).unwrap(),
        ["dirt", "table"] => table(),
        ["dirt", "address"] => address(),
        other => {
            eprintln!("{other:?} is nothing to do");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Waits until a process of the agent other than `not_by` is at the place. Returns its pid; `None` after the time `at_most`.
fn reached(config: &Config, not_by: &str, at_most: Duration) -> Option<String> {
    let file = config.paths.run.join("crash-point.reached");
    let began = Instant::now();
    while began.elapsed() < at_most {
        match fs::read_to_string(&file) {
            Ok(pid) if !pid.is_empty() && pid != not_by => return Some(pid),
            _ => sleep(Duration::from_millis(5)),
        }
    }
    None
}

/// Reads the journal and takes a snapshot of the host.
fn look(config: &Config) -> Look {
    let mut tail = Tail::new(config.paths.state.join(FILE), 0);
    let mut events = Vec::new();
    while let Ok(more) = tail.next(u64::MAX)
        && !more.is_empty()
    {
        events.extend(more);
    }
    Look { snapshot: Snapshot::take(&config.host()).unwrap(), events }
}

/// Makes a cable from the host to itself, with addresses, and with routes that the kernel does not make by itself. Its
/// interface can go down while the agent is reached over another one. It is made once in each boot.
fn spare() {
    const UP: bool = true;
    let mut socket = Socket::open(libc::NETLINK_ROUTE).unwrap();
    // The hardware addresses are the same in every boot, like those of real cards.
    let card = |name: &str, last: u8| Link::named(name).hardware_address([2, 0, 0, 0x99, 0, last]);
    if card("spare0", 1).joined_to(&card("spare1", 2)).create(&mut socket, "furnish a host").is_err() {
        return; // it is there already
    }
    let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
    for name in ["spare0", "spare1"] {
        link::set(index(name), name, UP).unwrap();
    }
    for (own, prefix) in [("10.99.1.1", 24), ("fd99::1", 64)] {
        let own = Address { link: index("spare0"), address: own.parse().unwrap(), prefix };
        own.add(&mut socket, "furnish a host").unwrap();
    }
    for (to, prefix, through) in [("10.98.0.0", 16, "10.99.1.2"), ("fd98::", 32, "fd99::2")] {
        let route = Route::to(to.parse().unwrap(), prefix).through(through.parse().unwrap());
        route.add(&mut socket, "furnish a host").unwrap();
    }
}

/// Makes an nftables table as an administrator would, without an owner.
fn table() {
    const UNSPECIFIED: u8 = 0;
    const INET: u8 = 1;
    /// The subsystem of nftables in nfnetlink.
    const NFTABLES: u16 = 10;
    const BATCH_BEGIN: u16 = 0x10;
    const BATCH_END: u16 = 0x11;
    const NEW_TABLE: u16 = NFTABLES << 8;
    /// The attribute with the table's name.
    const NAME: u16 = 1;
    /// The position of the table's message, which the kernel has to acknowledge.
    const ACKNOWLEDGED: usize = 1;
    // Each message begins with the address family: unspecified for the batch, `inet` for the table.
    let message = |kind, family, resource: u16, attrs: &Attrs| Request {
        kind,
        flags: 0,
        body: attrs.after(&[&[family, 0][..], &resource.to_be_bytes()].concat()).unwrap(),
    };
    let batch = [
        message(BATCH_BEGIN, UNSPECIFIED, NFTABLES, &Attrs::new()),
        message(NEW_TABLE, INET, 0, &Attrs::new().text(NAME, "by_hand")),
        message(BATCH_END, UNSPECIFIED, NFTABLES, &Attrs::new()),
    ];
    let mut socket = Socket::open(libc::NETLINK_NETFILTER).unwrap();
    for (_, answer) in socket.batch("make a table", &batch, ACKNOWLEDGED).unwrap() {
        answer.unwrap();
    }
}

/// Adds an address as an administrator would.
fn address() {
    const LOOPBACK: u32 = 1;
    let own = Address { link: LOOPBACK, address: [10, 99, 0, 1].into(), prefix: 32 };
    own.add(&mut Socket::open(libc::NETLINK_ROUTE).unwrap(), "add an address").unwrap();
}
