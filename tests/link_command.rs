//! Agents that are reached through a program's standard streams. This test is also that program, so it has a `main`: `--pipe ADDRESS` joins
//! the standard streams to a TCP connection, as `ssh -W` does; `--complain` writes an error and exits.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    process::ExitCode,
};

use firedrill::{
    link::{Agent, LinkError},
    plan::model::Reach,
};
use firedrill_wire::identity::Role;
use futures_util::StreamExt as _;

#[path = "link/house.rs"]
#[expect(dead_code, reason = "shared with the other tests of the link, which use the rest")]
mod house;
#[path = "common/own_main.rs"]
mod own_main;

use house::{HOST, House, agent, until};

const TESTS: &[(&str, fn())] = &[
    ("a_program_can_be_the_link", a_program_can_be_the_link),
    ("the_last_words_of_a_program_are_in_the_error", the_last_words_of_a_program_are_in_the_error),
    ("programs_end_with_their_agent", programs_end_with_their_agent),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let plain: Vec<&str> = args.iter().map(String::as_str).collect();
    match plain.as_slice() {
        ["--pipe", address] => {
            pipe(address);
            return ExitCode::SUCCESS;
        }
        ["--complain", ..] => {
            eprintln!("olga@bastion: Permission denied (publickey).");
            // ssh ends with this code after an error of its own.
            return ExitCode::from(255);
        }
        _ => {}
    }
    own_main::run(&plain, TESTS)
}

/// Joins the standard streams to a TCP connection.
fn pipe(address: &str) {
    let mut near = TcpStream::connect(address).unwrap();
    let mut far = near.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            near.write_all(&buffer[..count]).unwrap();
        }
        let _ = near.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        io::stdout().write_all(&buffer[..count]).unwrap();
        io::stdout().flush().unwrap();
    }
}

/// Returns the way to an agent through this program, with these arguments.
fn itself(args: &[&str]) -> Reach {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    Reach::Command(std::iter::once(program).chain(args.iter().map(|&arg| arg.to_owned())).collect())
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

fn a_program_can_be_the_link() {
    block_on(async {
        let house = House::new();
        let served = house.serve().await;
        let olga = house.person("olga", Role::Operator);
        let agent = agent(HOST, itself(&["--pipe", &served.at.to_string()]), &olga);
        agent.arm(&house::run(), &house::arm()).await.unwrap();
        served.control.events.send_replace(200);
        let events: Vec<_> = agent.events(0).take(200).map(|event| event.unwrap().seq).collect().await;
        assert_eq!(events, (1..=200).collect::<Vec<u64>>());
        // Coordinator and agent check each other's certificates also over a program.
        let stranger = House::new().person("olga", Role::Operator);
        let wrong = house::agent(HOST, itself(&["--pipe", &served.at.to_string()]), &stranger);
        assert!(matches!(wrong.status().await, Err(LinkError::Tls { .. })));
    });
}

fn the_last_words_of_a_program_are_in_the_error() {
    block_on(async {
        let olga = House::new().person("olga", Role::Operator);
        for (reach, says) in [
            (itself(&["--complain"]), "Permission denied (publickey)"),
            (itself(&["--complain", "--token", "hunter2"]), "--token ***`"),
            (Reach::Command(vec!["/nowhere/ssh".to_owned()]), "No such file"),
            (Reach::Command(Vec::new()), "the command is empty"),
        ] {
            match agent(HOST, reach, &olga).status().await {
                Err(error @ LinkError::Unreachable { .. }) => {
                    let error = error.to_string();
                    assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Returns the children of this process.
fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = stat(*pid).unwrap_or_default();
        stat.rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1))
            .is_some_and(|parent| parent == own)
    })
    .collect()
}

fn programs_end_with_their_agent() {
    block_on(async {
        let house = House::new();
        let served = house.serve().await;
        let olga = house.person("olga", Role::Operator);
        let agent: Agent = agent(HOST, itself(&["--pipe", &served.at.to_string()]), &olga);
        agent.status().await.unwrap();
        let mut events = Box::pin(agent.events(0));
        served.control.events.send_replace(1);
        events.next().await.unwrap().unwrap();
        assert_eq!(children().len(), 2, "there are not two programs: one for commands, one for streams");
        drop((agent, events));
        until("no program is left", || children().is_empty()).await;
    });
}
