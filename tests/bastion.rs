//! Tests `undo` and other verbs through a bastion, and with a fleet file that has invalid entries. They run the program against servers of
//! agents. This test has a `main`, because it is also the program that fleets name in `connect`: `--bastion GATE ADDRESS` asks the gate for
//! a connection to the address. The gate takes the place of sshd with its `MaxStartups`.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    process::{Command, ExitCode, Output},
    time::Duration,
};

use firedrill::pki::HostAsk;
use firedrill_wire::identity::Role;
use serde_json::Value;

#[path = "bastion/gate.rs"]
mod gate;
#[path = "link/house.rs"]
#[expect(dead_code, reason = "shared with the other tests of the link, which use the rest")]
mod house;
#[path = "common/output.rs"]
mod output;
#[path = "common/own_main.rs"]
mod own_main;

use gate::Gate;
use house::{House, Recorder, Served};
use output::said;

const FIREDRILL: &str = env!("CARGO_BIN_EXE_firedrill");

/// Returns a list of tests, each with its name.
macro_rules! named {
    ($($test:ident,)*) => { &[$((stringify!($test), $test)),*] };
}

const TESTS: &[(&str, fn())] = named![
    every_host_is_reached_through_a_bastion_that_drops_newcomers,
    a_refused_link_is_tried_again_and_undo_tries_longest,
    a_link_that_is_being_opened_outlives_the_call_that_waited_for_it,
    all_valid_hosts_are_healed_despite_an_invalid_entry,
    valid_entries_of_a_command_are_used_too,
    with_few_open_files_hosts_are_asked_in_turns_and_a_run_is_refused,
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plain: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["--bastion", gate, address] = plain.as_slice() {
        return through(gate, address);
    }
    own_main::run(&plain, TESTS)
}

/// Joins the standard streams to the address through the gate, as `ssh -W` does.
fn through(gate: &str, address: &str) -> ExitCode {
    let mut near = TcpStream::connect(gate).unwrap();
    let mut far = near.try_clone().unwrap();
    near.write_all(format!("{address}\n").as_bytes()).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            if near.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
        let _ = near.shutdown(Shutdown::Write);
    });
    // Like ssh, it ends with 255 if the bastion closes the connection at once.
    let (mut buffer, mut heard) = ([0; 8192], false);
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        heard = true;
        io::stdout().write_all(&buffer[..count]).unwrap();
        io::stdout().flush().unwrap();
    }
    if !heard {
        eprintln!("kex_exchange_identification: Connection closed by remote host");
        return ExitCode::from(255);
    }
    ExitCode::SUCCESS
}

/// Agents of many hosts, and a person who may call them.
struct Fleet {
    house: House,
    agents: Vec<(String, Served)>,
    runtime: tokio::runtime::Runtime,
}

impl Fleet {
    /// Starts the agents of a number of hosts, and issues the person's certificate.
    fn new(hosts: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (runtime, house) = (runtime.unwrap(), House::new());
        house.person("olga", Role::Operator);
        let agents = (1..=hosts).map(|number| {
            let name = format!("app{number}");
            let issued = house.pki.issue_host(&HostAsk::new(&name, 1)).unwrap();
            let tls = house.tls_of(&issued.cert, None);
            (name, runtime.block_on(Served::new(tls, Recorder::new())))
        });
        let agents = agents.collect();
        Self { agents, house, runtime }
    }

    /// Writes a file in the authority's directory.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.house.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Returns the hosts for a fleet's file, each with another port.
    fn hosts(&self) -> String {
        let host = |(number, (name, served)): (usize, &(String, Served))| {
            format!(
                "[[host]]\nname = \"{name}\"\nroles = \"app\"\naddress = \"10.1.0.{number}\"\nagent = \"{}\"\n",
                served.at
            )
        };
        self.agents.iter().enumerate().map(host).collect()
    }

    /// Writes a fleet's file whose hosts are behind a gate.
    fn behind(&self, gate: &Gate) -> PathBuf {
        self.file("fleet.toml", &format!("schema = 1\n[defaults]\n{}\n{}", gate.connect(), self.hosts()))
    }

    /// Returns the command of a verb, with the person's certificate.
    fn firedrill(&self, words: &[&str]) -> Command {
        let mut command = Command::new(FIREDRILL);
        command.args(words).args(["--pki", self.house.dir.path().to_str().unwrap()]);
        command.current_dir(self.house.dir.path());
        command
    }

    /// Returns the calls that a host's agent has taken since the last time.
    fn calls(&self, host: usize) -> Vec<String> {
        self.agents[host - 1].1.control.taken()
    }
}

/// Checks the exit code of a verb, and returns the rows that it printed.
#[track_caller]
fn rows(output: &Output, code: i32) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

/// Checks that a verb succeeded on every host, and returns its rows. Runs it again if a link broke, as on a busy machine.
#[track_caller]
fn rows_of_all(mut command: Command) -> Vec<Value> {
    let mut output = command.output().unwrap();
    for _ in 0..5 {
        if said(&output).contains("no answer to a ping") {
            output = command.output().unwrap();
        }
    }
    rows(&output, 0)
}

fn every_host_is_reached_through_a_bastion_that_drops_newcomers() {
    let fleet = Fleet::new(25);
    let gate = Gate::sshd();
    let file = fleet.behind(&gate);
    let file = file.to_str().unwrap();
    for verb in [&["status"][..], &["undo", "--all"], &["doctor"], &["release"]] {
        let rows = rows_of_all(fleet.firedrill(&[verb, &["--json", "--fleet", file]].concat()));
        assert_eq!(rows.len(), 25, "{verb:?}");
    }
    assert!(gate.most() <= 8, "{} links were being opened at a time", gate.most());
    assert_eq!(gate.dropped(), 0);

    // A fleet can set how many connections are opened at once.
    let text = fs::read_to_string(file).unwrap().replace("[defaults]", "[defaults]\nconnect_at_once = 2");
    let gate = Gate::sshd();
    let text = text.replace(
        &text.lines().find(|line| line.starts_with("connect =")).unwrap().to_owned(),
        &gate.connect(),
    );
    let file = fleet.file("two.toml", &text);
    rows_of_all(fleet.firedrill(&["status", "--json", "--fleet", file.to_str().unwrap()]));
    assert_eq!(gate.most(), 2);
    let none = fleet.file("none.toml", &text.replace("connect_at_once = 2", "connect_at_once = 0"));
    let output = fleet.firedrill(&["doctor", "--fleet", none.to_str().unwrap()]).output().unwrap();
    assert!(output.status.code() == Some(2) && said(&output).contains("nonzero"), "{}", said(&output));
}

fn a_refused_link_is_tried_again_and_undo_tries_longest() {
    let fleet = Fleet::new(4);
    // The gate drops the connections to each host twice. Those to the third host it drops six times: `status` gives up
    // before, because a person waits for its table, and `undo` does not.
    let often = fleet.agents[2].1.at.to_string();
    let gate = Gate::dropping(move |address, before| before < if address == often { 6 } else { 2 });
    let file = fleet.behind(&gate);
    let file = file.to_str().unwrap();
    let status = fleet.firedrill(&["status", "--json", "--fleet", file]).output().unwrap();
    let found = rows(&status, 3);
    let heard: Vec<bool> = found.iter().map(|row| row["status"].is_object()).collect();
    assert_eq!(heard, [true, true, false, true], "{}", said(&status));
    let why = found[2]["error"].as_str().unwrap();
    assert!(why.contains("kex_exchange_identification"), "{why}");
    gate.forget();
    let undo = fleet.firedrill(&["undo", "--all", "--json", "--fleet", file]).output().unwrap();
    assert_eq!(rows(&undo, 0).len(), 4);
    assert_eq!(fleet.calls(3), ["undo by olga may_harm=true"]);
}

fn a_link_that_is_being_opened_outlives_the_call_that_waited_for_it() {
    let fleet = Fleet::new(1);
    // The login takes longer than the wait of a renewal.
    let gate = Gate::slow(Duration::from_millis(1500));
    fleet.runtime.block_on(async {
        let (name, served) = &fleet.agents[0];
        let olga = fleet.house.identity("olga");
        let agent = house::agent(name, gate.reach(&served.at.to_string()), &olga);
        let mut tries = 0;
        while tokio::time::timeout(Duration::from_millis(400), agent.renew(&house::run(), &house::renew()))
            .await
            .is_err()
        {
            tries += 1;
            assert!(tries < 20, "no renewal ever comes through");
        }
        assert_eq!(gate.opened(), 1, "each renewal opened another link");
    });
}

fn all_valid_hosts_are_healed_despite_an_invalid_entry() {
    let fleet = Fleet::new(3);
    let gate = Gate::slow(Duration::ZERO);
    let wrong = r#"
[[host]]
name = "typo"
adress = "10.0.0.9"
[[host]]
name = "nowhere"
address = "10.0.0.10"
agent = "10.0.0.10"
[[host]]
address = "10.0.0.11"
[[host]]
name = "odd"
address = "10.0.0.12"
connect = ["/no/such/program"]
"#;
    // Two hosts behind different bastions may have the same private address.
    let (name, served) = &fleet.agents[0];
    let twin = format!(
        "[[host]]\nname = \"{name}-twin\"\naddress = \"10.1.0.0\"\nagent = \"{}\"\n{}\n",
        served.at,
        gate.connect()
    );
    let text = format!("schema = 1\n{}{twin}", fleet.hosts());
    let file = fleet.file("twins.toml", &text);
    let doctor = fleet.firedrill(&["doctor", "--fleet", file.to_str().unwrap()]).output().unwrap();
    assert!(!said(&doctor).contains("has the address"), "{}", said(&doctor));

    for broken in
        [format!("{text}{wrong}"), format!("{text}{wrong}\n[[host]]\nname = \"cut\"\naddress = 10.0\n")]
    {
        let file = fleet.file("fleet.toml", &broken);
        let file = file.to_str().unwrap();
        let run = |words: &[&str]| fleet.firedrill(&[words, &["--fleet", file]].concat()).output().unwrap();
        // Verbs other than `undo`, `status` and `release` refuse the whole fleet file.
        assert_eq!(run(&["doctor"]).status.code(), Some(2));
        // Calls from before do not count.
        (1..=3).for_each(|host| drop(fleet.calls(host)));
        let undo = run(&["undo", "--all", "--json"]);
        let found = rows(&undo, 6);
        for host in 1..=3 {
            assert_eq!(fleet.calls(host), ["undo by olga may_harm=true"], "app{host}: {}", said(&undo));
        }
        for (name, why) in
            [("typo", "no address"), ("nowhere", "not host:port"), ("host 7", "cannot be read")]
        {
            let row =
                found.iter().find(|row| row["host"] == name).unwrap_or_else(|| panic!("{}", said(&undo)));
            assert!(row["error"].as_str().unwrap().contains(why), "{row}");
        }
        assert!(said(&undo).contains("adress"), "the wrong key is not shown: {}", said(&undo));
        rows(&run(&["status", "--json"]), 3);
        rows(&run(&["release", "--json"]), 3);
        // If a person names only valid hosts, the invalid ones do not matter.
        assert_eq!(rows(&run(&["undo", "--all", "--host", "app2", "--json"]), 0).len(), 1);
        for host in 1..=3 {
            let calls = fleet.calls(host);
            assert!(calls.contains(&"release by olga".to_owned()), "app{host}: {calls:?}");
        }
    }
}

fn valid_entries_of_a_command_are_used_too() {
    let fleet = Fleet::new(2);
    let host = |(name, served): &(String, Served)| {
        format!(
            r#"{{"name": "{name}", "address": "10.1.0.{}", "agent": "{}", "rack": 7}}"#,
            name.len(),
            served.at
        )
    };
    let good: Vec<String> = fleet.agents.iter().map(host).collect();
    let text = format!(
        r#"{{"schema": 1, "defaults": {{"agent_port": "no"}}, "host": [{}, {{"name": "typo", "address": "10.0.0."}}, {{}}]}}"#,
        good.join(",")
    );
    let file = fleet.file("fleet.json", &text);
    let command = format!("cat {}", file.display());
    let undo = fleet.firedrill(&["undo", "--all", "--json", "--fleet-command", &command]).output().unwrap();
    let names: Vec<String> =
        rows(&undo, 6).iter().map(|row| row["host"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["app1", "app2", "host 4", "typo"]);
    for host in 1..=2 {
        assert_eq!(fleet.calls(host), ["undo by olga may_harm=true"], "{}", said(&undo));
    }
}

fn with_few_open_files_hosts_are_asked_in_turns_and_a_run_is_refused() {
    let fleet = Fleet::new(25);
    let gate = Gate::slow(Duration::ZERO);
    let file = fleet.behind(&gate);
    let limited = |words: &[&str], files: u32| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\"")).arg(FIREDRILL).args(words);
        command.args(["--pki", fleet.house.dir.path().to_str().unwrap()]);
        command.args(["--fleet", file.to_str().unwrap()]).current_dir(fleet.house.dir.path());
        command.output().unwrap()
    };
    // 60 files are too few for links to all hosts at once.
    let status = limited(&["status", "--json"], 60);
    assert_eq!(rows(&status, 0).len(), 25);
    assert!(said(&status).contains("in turns") && said(&status).contains("ulimit -Hn"), "{}", said(&status));
    let scenario = r#"
schema = 1
name = "files"
hypothesis = "x"
[targets.all]
where = { role = "app" }
[probes.p]
http = { url = "http://app1/" }
rate = 20
timeout = "100ms"
[objectives.o]
probe = "p"
good = "50%"
[[attack]]
name = "a"
on = "all"
fault.service-stop = { service = "x" }
hold = "5s"
"#;
    fleet.file("files.toml", scenario);
    let run = limited(&["run", "files.toml"], 310);
    let text = said(&run);
    assert!(run.status.code() == Some(4) && text.contains("links to 25 hosts need"), "{text}");
    assert!(fleet.calls(1).iter().all(|call| call == "status"), "a host was asked to prepare");
}
