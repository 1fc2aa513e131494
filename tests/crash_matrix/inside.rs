//! What this program does inside a host: look at it from outside of the agent, be a service, be an administrator, stop
//! the agent at a place.

use std::{fs, path::Path, process::ExitCode, thread::sleep, time::Duration};

use firedrill_agent::{
    config::{Config, DEFAULT_FILE},
    host::{
        link,
        netlink::{Attrs, Request, Socket},
    },
    journal::{FILE, Tail},
    snapshot::Snapshot,
};
use firedrill_wire::journal::AgentEvent;
use serde::{Deserialize, Serialize};

/// The hidden first argument.
pub(crate) const INSIDE: &str = "__inside";

/// Families of netlink, by number.
const ROUTE: i32 = 0;
const NETFILTER: i32 = 12;

/// A host as seen from inside it, but not by its agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) snapshot: Snapshot,
    pub(crate) events: Vec<AgentEvent>,
}

pub(crate) fn dispatch() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [INSIDE, rest @ ..] => Some(run(rest)),
        _ => None,
    }
}

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
            let file = config().paths.run.join("crash-point.reached");
            for _ in 0..4000 {
                match fs::read_to_string(&file) {
                    Ok(pid) if !pid.is_empty() && pid != *not_by => {
                        println!("{pid}");
                        return ExitCode::SUCCESS;
                    }
                    _ => sleep(Duration::from_millis(5)),
                }
            }
            eprintln!("the agent did not come to that place");
            return ExitCode::FAILURE;
        }
        ["go-on"] => fs::remove_file(config().paths.run.join("crash-point")).unwrap(),
        ["control", service, letter] => {
            fs::write(format!("/run/service/{service}/supervise/control"), letter).unwrap();
        }
        ["dirt", "table"] => table(),
        ["dirt", "address"] => address(),
        other => {
            eprintln!("{other:?} is nothing to do");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

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

/// A cable from the host to itself, with addresses and with routes that the kernel does not make by itself: an interface
/// that can go down while the agent is reached over the other one. Made once in each boot.
fn spare() {
    let mut socket = Socket::open(ROUTE).unwrap();
    let mut ask = |kind: u16, header: &[u8], attrs: &Attrs| {
        let request = Request { kind, flags: 0x600, body: attrs.after(header).unwrap() };
        socket.request("furnish a host", &request)
    };
    // The same in every boot, as of real cards.
    let card = |name: &str, last: u8| Attrs::new().text(3, name).bytes(1, &[2, 0, 0, 0x99, 0, last]);
    let far = card("spare1", 2).after(&[0; 16]).unwrap();
    let info = Attrs::new().text(1, "veth").nest(2, &Attrs::new().bytes(1, &far));
    if ask(16, &[0; 16], &card("spare0", 1).nest(18, &info)).is_err() {
        return; // it is there already
    }
    let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap();
    for name in ["spare0", "spare1"] {
        link::set(index(name), name, true).unwrap();
    }
    let six = |last: u8| [&[0xfd, 0x99][..], &[0; 13], &[last]].concat();
    for (family, length, own) in [(2, 24, vec![10, 99, 1, 1]), (10, 64, six(1))] {
        let header = [&[family, length, 2, 0][..], &index("spare0").to_ne_bytes()].concat();
        ask(20, &header, &Attrs::new().bytes(2, &own).bytes(1, &own)).unwrap();
    }
    for (family, length, to, through) in [
        (2, 16, vec![10, 98, 0, 0], vec![10, 99, 1, 2]),
        (10, 32, [&[0xfd, 0x98][..], &[0; 14]].concat(), six(2)),
    ] {
        // Table main, protocol static, scope universe, a unicast route.
        let header = [family, length, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        ask(24, &header, &Attrs::new().bytes(1, &to).bytes(5, &through)).unwrap();
    }
}

/// An administrator's table, which nobody owns.
fn table() {
    // Each begins with the family: unspecified for the batch, `inet` for the table.
    let message = |kind, family, resource: u16, attrs: &Attrs| Request {
        kind,
        flags: 0,
        body: attrs.after(&[&[family, 0][..], &resource.to_be_bytes()].concat()).unwrap(),
    };
    let batch = [
        message(0x10, 0, 10, &Attrs::new()),
        message(0x0a00, 1, 0, &Attrs::new().text(1, "by_hand")),
        message(0x11, 0, 10, &Attrs::new()),
    ];
    let mut socket = Socket::open(NETFILTER).unwrap();
    for (_, answer) in socket.batch("make a table", &batch, 1).unwrap() {
        answer.unwrap();
    }
}

fn address() {
    // IPv4, a whole-host prefix, of the loopback interface.
    let header = [&[2, 32, 0, 0][..], &1_u32.to_ne_bytes()].concat();
    let here = [10, 99, 0, 1];
    let body = Attrs::new().bytes(2, &here).bytes(1, &here).after(&header).unwrap();
    let request = Request { kind: 20, flags: 0x600, body };
    Socket::open(ROUTE).unwrap().request("add an address", &request).unwrap();
}
