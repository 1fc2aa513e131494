//! Cases about packets between hosts: partitions, connections that are reset, and a host that is cut off.

use std::{process::ExitCode, time::Duration};

use super::{
    Case,
    ground::{APP1, Drill, Ground, Report, by_lab, said},
};

pub(crate) const CASES: &[Case] = &[
    ("partition", sides_of_a_partition_do_not_reach_each_other),
    ("ring", hosts_in_a_ring_reach_two_neighbours_each),
    ("once", connections_that_are_kept_and_reset_once),
    ("resets", connections_that_are_reset_throughout),
    ("unreachable", a_host_that_is_cut_off_on_purpose),
];

/// A port on which no program of the lab listens.
const CLOSED_PORT: u16 = 9;

/// Finds out inside a host whether each address answers. No program listens on [`CLOSED_PORT`], so a refused connection is an answer.
pub(crate) fn knock() -> Option<ExitCode> {
    let mut words = std::env::args().skip(1);
    if words.next()? != "__knock" {
        return None;
    }
    for word in words {
        let at = std::net::SocketAddr::new(word.parse().unwrap(), CLOSED_PORT);
        let tried = std::net::TcpStream::connect_timeout(&at, Duration::from_secs(1));
        let answers = tried.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        println!("{}", u8::from(answers));
    }
    Some(ExitCode::SUCCESS)
}

/// The hosts of the lab, each with the last part of its addresses.
const HOSTS: [(&str, u8); 4] = [("edge1", 10), ("app1", 11), ("app2", 12), ("client1", 20)];

/// Returns the hosts that a host reaches. Checks that it reaches another host in both address families or in none.
fn reached(lab: &firedrill_lab::Lab, from: &str) -> Vec<&'static str> {
    let others = || HOSTS.into_iter().filter(|(name, _)| *name != from);
    let addresses = others().flat_map(|(_, n)| [format!("10.78.1.{n}"), format!("fd78:1::{n}")]);
    let words = [firedrill_lab::SELF_EXE, "__knock"].map(str::to_owned);
    let argv: Vec<std::ffi::OsString> = words.into_iter().chain(addresses).map(Into::into).collect();
    let output = lab.output(from, &argv).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = text.lines().collect();
    assert_eq!(answers.len(), 2 * (HOSTS.len() - 1), "{}", String::from_utf8_lossy(&output.stderr));
    let both = |pair: &[&str]| {
        assert_eq!(pair[0], pair[1], "only one address family answers, from {from}: {text}");
        pair[0] == "1"
    };
    others().zip(answers.chunks(2)).filter(|(_, pair)| both(pair)).map(|((name, _), _)| name).collect()
}

/// Runs a drill on a target with that many hosts. Returns the hosts that each host reaches during the fault, and the report.
fn parted(
    ground: &Ground,
    (on, hosts): (&'static str, usize),
    fault: &'static str,
) -> (Vec<Vec<&'static str>>, Report) {
    let lab = ground.lab();
    // All hosts try at once, because the faults hold only for some seconds and a silent host takes time.
    let all = || {
        std::thread::scope(|scope| {
            let tries = HOSTS.map(|(name, _)| scope.spawn(|| reached(&lab, name)));
            tries.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        })
    };
    assert!(all().iter().all(|reached| reached.len() == 3), "before: {:?}", all());
    let drill = Drill { on, fault, hold: "15s", share: "100%", ..Drill::new() };
    let mut run = ground.start(&drill);
    run.in_force_on(hosts);
    let meanwhile = all();
    let report = run.report();
    assert!(all().iter().all(|reached| reached.len() == 3), "afterwards: {:?}", all());
    (meanwhile, report)
}

fn sides_of_a_partition_do_not_reach_each_other(ground: &Ground) {
    let (reached, report) = parted(ground, ("shop", 3), r#"net-partition = { groups = ["app1", "rest"] }"#);
    let wanted = [&["app2", "client1"][..], &["client1"], &["edge1", "client1"], &["edge1", "app1", "app2"]];
    assert_eq!(reached, wanted);
    // app1 and edge1 dropped the same traffic. app2 and app1 exchange no packets by themselves.
    report.expect("held", 0, "were partitioned").clean();
    let sides = "no packet passes between app1 | edge1, app2";
    assert!(report.pages.contains(sides), "{}", report.pages);
}

fn hosts_in_a_ring_reach_two_neighbours_each(ground: &Ground) {
    let (reached, report) = parted(ground, ("everybody", 4), r#"net-partition = { shape = "ring" }"#);
    assert!(reached.iter().all(|reached| reached.len() == 2), "{reached:?}");
    for ((name, _), neighbours) in HOSTS.iter().zip(&reached) {
        for neighbour in neighbours {
            let back = HOSTS.iter().position(|(other, _)| other == neighbour).unwrap();
            assert!(reached[back].contains(name), "{reached:?}");
        }
    }
    report.expect("held", 0, "west was partitioned").clean();
    let ring = "each reaches only its two neighbours in the ring";
    assert!(report.pages.contains(ring), "{}", report.pages);
}

/// The fault cannot be undone, so the report must not wait for an undo.
fn connections_that_are_kept_and_reset_once(ground: &Ground) {
    let fault = r#"net-reset = { local_ports = 8080 }"#;
    let drill = Drill { url: APP1, connection: "reuse", fault, ..Drill::new() };
    ground.start(&drill).report().expect("held", 0, "connections of app1 were reset").clean();
}

fn connections_that_are_reset_throughout(ground: &Ground) {
    let fault = r#"net-reset = { local_ports = 8080, how = "throughout" }"#;
    let drill = Drill { url: APP1, connection: "reuse", good: "20%", fault, ..Drill::new() };
    let report = ground.start(&drill).report();
    report.expect("held", 0, "connections of app1 were reset").clean();
    let injection = &report.card["attacks"][0]["injections"][0];
    assert!(injection["count"].as_u64().unwrap() > 3, "one after another: {injection}");
    assert!(injection["undoing_us"].is_i64(), "it ends with the hold: {injection}");
}

/// While the host is cut off, it gets no calls. It comes back by itself. The events that it journaled in the meantime count.
fn a_host_that_is_cut_off_on_purpose(ground: &Ground) {
    let refused = ground.check(&Drill { fault: DOWN, hold: "15s", ..Drill::new() });
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("nobody can renew the lease of 10s"), "{}", said(&refused));
    let unmeant = Drill { fault: r#"net-down = { interface = "eth0" }"#, ..Drill::new() };
    assert_eq!(ground.check(&unmeant).status.code(), Some(0));
    let planned = ground.firedrill(&["run", &by_lab(ground.lab().name()), "drill.toml", "--plan"]);
    assert_eq!(planned.status.code(), Some(4), "{}", said(&planned));
    assert!(said(&planned).contains("the agent's connection with"), "{}", said(&planned));
    let report = ground.start(&Drill { fault: DOWN, hold: "5s", lease: "20s", ..Drill::new() }).report();
    report.expect("held", 0, "an interface of app1 was down").clean();
}

const DOWN: &str = r#"net-down = { interface = "eth0", cut_off = true }"#;
