//! The command line: parses arguments, calls a command, returns its exit code. One file per command;
//! options that several commands share are in `args.rs`. The file of a command imports another command only where it continues as that
//! command: `demo` and `collect` end like `run`, `demo --serve` goes on like `serve`.

#[cfg(not(all(feature = "lab", feature = "serve")))]
mod absent;
mod approve;
pub mod args;
mod ask;
#[cfg(feature = "serve")]
mod audit;
mod calendar;
mod channels;
pub mod check;
mod collect;
mod compare;
mod completions;
mod days;
#[cfg(feature = "lab")]
mod demo;
mod doctor;
pub mod failure;
mod findings;
mod gameday;
mod gate;
mod halted;
mod history;
mod hosts;
mod keep;
#[cfg(feature = "lab")]
pub mod lab;
mod login;
mod note;
mod notify;
mod output;
pub mod pki;
mod post;
mod push;
mod reached;
mod release;
pub mod report;
mod room_client;
mod run;
mod runs;
pub mod schema;
#[cfg(feature = "serve")]
mod serve;
mod signals;
mod slots;
mod status;
mod steer;
mod trace;
mod trend;
mod undo;
#[cfg(feature = "lab")]
mod waiting;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::verdict::Exit;

/// Runs Failure Fridays: breaks things on purpose, measures how the system recovers, and puts everything back.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, propagate_version = true, after_help = AFTER, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "\
Start here:
  firedrill demo                                     a whole drill on this machine, nothing to set up
  firedrill check scenarios/friday.toml              is the file right? asks no host
  firedrill run scenarios/friday.toml --fleet fleet.toml --plan
                                                     every effect on every host, before any harm
  firedrill undo --all --fleet fleet.toml            the panic button

Exit codes:
  0 held · 1 violated, also when a guard aborted · 2 bad usage or scenario · 3 unknown
  4 refused, nothing was touched · 5 stopped by a person (or sleep) and healed
  6 stuck or unproven: something may not have been put back
  7 all that is known was put back, but a host lost records of what was in force (undo) · 70 a bug";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check scenarios, fleets, game days and channels, without asking any host
    Check(check::Args),
    /// Run a scenario
    Run(run::Args),
    /// Sign that you agree to a run or to a scenario that asks for approval
    Approve(approve::Args),
    /// Follow a run from its log
    Watch(watch::Args),
    /// Write down what people see or decide during a run, or afterwards
    Note(note::Args),
    /// Let a run pause before its next attack
    Pause(steer::PauseArgs),
    /// Let a run that pauses go on
    Resume(steer::ResumeArgs),
    /// Let a run skip its next attack
    Skip(steer::SkipArgs),
    /// Tell a run that a step by hand is done, has failed, is left out, or is put back
    Step(steer::StepArgs),
    /// Keep a program of a step (only a run calls it)
    #[command(hide = true)]
    Keep(keep::Args),
    /// Finish a run whose coordinator died: heal, collect what agents journaled, report
    Collect(collect::Args),
    /// Show what is in force on the fleet now
    Status(status::Args),
    /// Put things back: an injection, a run, a host, or everything
    Undo(undo::Args),
    /// End a halt, so that hosts may be attacked again
    Release(release::Args),
    /// Render a run's reports again from its log
    Report(report::Args),
    /// Show the runs of the past: time, scenario, verdict, score, violated objectives
    History(history::Args),
    /// Show what drills have found and nobody has shown to be right since, and who sees to it
    Findings(findings::Args),
    /// Compare two runs, objective by objective
    Compare(compare::Args),
    /// Draw how a scenario's score and recovery went over its runs
    Trend(trend::Args),
    /// Decide whether a run passes, by itself and beside a baseline
    Gate(gate::Args),
    /// Show when game days are due and what they do, start them, and decide about their slots
    Gameday(gameday::Args),
    /// Try the channels by which people are told, and see to messages that wait
    Notify(notify::Args),
    /// The control room: pages to watch, note, pause and halt runs, with logins and an audit log
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    /// Check the control room's audit log
    #[cfg(feature = "serve")]
    Audit(audit::Args),
    #[cfg(not(feature = "serve"))]
    #[command(hide = true)]
    Serve(absent::Args),
    #[cfg(not(feature = "serve"))]
    #[command(hide = true)]
    Audit(absent::Args),
    /// Look at each host: kernel, clocks, service managers, foreign rules, policy
    Doctor(doctor::Args),
    /// Certificates of people and hosts
    Pki(pki::Args),
    /// A fleet of hosts on this machine, for rehearsals
    #[cfg(feature = "lab")]
    Lab(lab::Args),
    /// A whole drill on this machine: six hosts, six attacks, one report
    #[cfg(feature = "lab")]
    Demo(demo::Args),
    #[cfg(not(feature = "lab"))]
    #[command(hide = true)]
    Lab(absent::Args),
    #[cfg(not(feature = "lab"))]
    #[command(hide = true)]
    Demo(absent::Args),
    /// Print the JSON Schema of scenarios, fleets, game days or channels
    Schema(schema::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// Returns the command line, for man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the arguments, calls the command, and returns its exit code. Errors are printed on standard error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    bugs_say_so();
    let ended = match &cli.verb {
        Verb::Check(args) => check::run(args),
        Verb::Run(args) => run::run(args),
        Verb::Approve(args) => approve::run(args),
        Verb::Watch(args) => watch::run(args),
        Verb::Note(args) => note::run(args),
        Verb::Pause(args) => steer::pause(args),
        Verb::Resume(args) => steer::resume(args),
        Verb::Skip(args) => steer::skip(args),
        Verb::Step(args) => steer::step(args),
        Verb::Keep(args) => keep::run(args),
        Verb::Collect(args) => collect::run(args),
        Verb::Status(args) => status::run(args),
        Verb::Undo(args) => undo::run(args),
        Verb::Release(args) => release::run(args),
        Verb::Report(args) => report::run(args),
        Verb::History(args) => history::run(args),
        Verb::Findings(args) => findings::run(args),
        Verb::Compare(args) => compare::run(args),
        Verb::Trend(args) => trend::run(args),
        Verb::Gate(args) => gate::run(args),
        Verb::Gameday(args) => gameday::run(args),
        Verb::Notify(args) => notify::run(args),
        #[cfg(feature = "serve")]
        Verb::Serve(args) => serve::run(args),
        #[cfg(feature = "serve")]
        Verb::Audit(args) => audit::run(args),
        #[cfg(not(feature = "serve"))]
        Verb::Serve(_) => Err(absent::failure("serve", "serve")),
        #[cfg(not(feature = "serve"))]
        Verb::Audit(_) => Err(absent::failure("audit", "serve")),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Pki(args) => pki::run(args),
        #[cfg(feature = "lab")]
        Verb::Lab(args) => lab::run(args),
        #[cfg(feature = "lab")]
        Verb::Demo(args) => demo::run(args),
        #[cfg(not(feature = "lab"))]
        Verb::Lab(_) => Err(absent::failure("lab", "lab")),
        #[cfg(not(feature = "lab"))]
        Verb::Demo(_) => Err(absent::failure("demo", "lab")),
        Verb::Schema(args) => schema::run(args),
        Verb::Completions(args) => completions::run(args, command()),
    };
    match ended {
        Ok(Exit::Held) if crate::terminal::lost() => {
            errln!("firedrill: standard output could not be written; is its disk full?");
            Exit::Usage.into()
        }
        Ok(exit) => exit.into(),
        Err(failure) => {
            errln!("{}", failure.styled());
            Exit::Usage.into()
        }
    }
}

/// Sets the panic hook: a panic is reported as a bug, and ends the program with the exit code for bugs.
fn bugs_say_so() {
    std::panic::set_hook(Box::new(|info| {
        errln!("firedrill: this is a bug, please report it: {info}");
        errln!("what agents hold in force ends with its lease or hold; `firedrill undo --all` ends it now");
        std::process::exit(Exit::Bug as i32);
    }));
}

#[cfg(all(test, feature = "lab"))]
mod tests {
    use clap::CommandFactory as _;

    /// The help and the README count the attacks of the demo.
    #[test]
    fn the_demo_has_as_many_attacks_as_the_help_says() {
        let demo: toml::Table = super::lab::builtin::DEMO.parse().expect("the demo's scenario is TOML");
        let attacks = demo["attack"].as_array().expect("the demo has attacks").len();
        let words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
        let counted = format!("{} attacks, one report", words[attacks]);
        let command = super::Cli::command();
        let demo = command.find_subcommand("demo").expect("there is a demo");
        let help = demo.get_about().expect("it has a help").to_string();
        for (place, text) in [("the help", help.as_str()), ("README.md", include_str!("../README.md"))] {
            assert!(text.contains(&counted), "no `{counted}` in {place}");
        }
    }
}
