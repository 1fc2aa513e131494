//! Measures the numbers that Firedrill promises on this machine, and prints each beside its target. It never judges
//! them.
//!
//! Run `cargo bench --bench numbers [-- NAME…]`, or `tests/bench.sh [NAME…]`, which also builds the programs that are
//! measured. It needs no root if the kernel lets users make namespaces. Faults are made in namespaces only.

mod check;
mod deaths;
mod drill;
mod fleet;
mod history;
mod idle;
mod inject;
mod live;
mod logs;
mod packets;
mod place;
mod prober;
mod procs;
#[expect(dead_code, clippy::unwrap_used, reason = "a helper of tests, of which a part is used")]
#[path = "../../tests/common/receiver.rs"]
mod receiver;
#[expect(dead_code, clippy::unwrap_used, reason = "a helper of tests, of which a part is measured")]
#[path = "../../tests/common/room.rs"]
mod room;
mod say;
mod scale;
mod serve;
mod statsd;

use std::process::{Command, ExitCode};

/// An error of a bench. It is only printed, so its type does not matter.
type Failure = Box<dyn std::error::Error>;

/// One group of numbers.
struct Section {
    /// The word by which people choose it.
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<(), Failure>,
}

const SECTIONS: [Section; 15] = [
    Section { name: "check", about: "firedrill check, the whole process", run: check::run },
    Section { name: "scale", about: "firedrill check on large fleets, the whole process", run: scale::run },
    Section { name: "inject", about: "net-block on one host, and back", run: inject::run },
    Section { name: "fleet", about: "200 agents on one machine", run: fleet::run },
    Section { name: "idle", about: "an agent that waits", run: idle::run },
    Section { name: "deaths", about: "who dies, and how long a block outlives them", run: deaths::run },
    Section { name: "lines", about: "packets by a detour in the kernel", run: packets::lines },
    Section { name: "queues", about: "packets by a queue in user space", run: packets::queues },
    Section { name: "logs", about: "the log of a long game day, and its report", run: logs::run },
    Section { name: "history", about: "the history of 10,000 runs", run: history::run },
    Section { name: "serve", about: "the control room over 10,000 runs", run: serve::run },
    Section { name: "live", about: "a run of 200 hosts, watched and halted", run: live::run },
    Section { name: "kills", about: "a control room that is killed 200 times", run: live::kills },
    Section { name: "prober", about: "5,000 requests a second", run: prober::run },
    Section { name: "statsd", about: "packets of StatsD that are heard", run: statsd::run },
];

/// The hidden first argument of a process that measures one section.
const SECTION: &str = "__section";

fn main() -> ExitCode {
    // This program is also the lab's hosts, and their code must start before any thread exists.
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [SECTION, name] => {
            ended(SECTIONS.iter().find(|one| one.name == *name).map_or(Ok(()), |one| (one.run)()))
        }
        [deaths::COORDINATOR, rest @ ..] => ended(deaths::coordinator(rest)),
        names => all(names),
    }
}

/// Returns the exit code of a result, and prints its error.
fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("  not measured: {}", say::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs each section in a process of its own, because some change their namespaces, and because memory of one must not
/// count for another.
fn all(names: &[&str]) -> ExitCode {
    let known = |name: &&&str| SECTIONS.iter().any(|section| section.name == **name);
    if let Some(odd) = names.iter().find(|name| !known(name)) {
        let there = SECTIONS.map(|section| section.name).join(", ");
        eprintln!("there is no `{odd}`; there are {there}");
        return ExitCode::from(2);
    }
    say::machine();
    let mut code = ExitCode::SUCCESS;
    for section in SECTIONS.iter().filter(|one| names.is_empty() || names.contains(&one.name)) {
        println!("\n{}: {}", section.name, section.about);
        let run = std::env::current_exe()
            .and_then(|program| Command::new(program).args([SECTION, section.name]).status());
        match run {
            Ok(status) if status.success() => {}
            Ok(status) => {
                println!("  ended early: {status}");
                code = ExitCode::FAILURE;
            }
            Err(error) => {
                println!("  not measured: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
