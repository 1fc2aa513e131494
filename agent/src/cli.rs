//! The agent's command line: parse, call, exit code.
//!
//! Exit codes: 0 done · 1 the worker died, all was put back · 2 bad usage or configuration, it could not serve, or a
//! halt or release could not be journaled · 3 `doctor` found something wrong · 6 something is stuck · 7 all that is
//! known was put back, and records of what was in force are damaged or lost. Where several apply, 6 counts before 7
//! and 7 before the others. A configuration that cannot be used keeps nothing from being put back, looked at or
//! released.

mod check_config;
mod doctor;
mod log;
mod serve;

use std::{borrow::Cow, ffi::OsString, io, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use firedrill_probe::clock;
use firedrill_wire::{
    api::{AgentStatus, Clock, OpenOne, Undo, UndoAnswer, UndoScope},
    journal::{HealReason, State, What},
    text::{TEXT_MOST, clean},
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    audit, built_in,
    config::{Config, DEFAULT_FILE, Usable},
    guardian::{EXIT_LOST, EXIT_STUCK, Lock},
    heal::Healed,
    identity::Identity,
    journal::{Replayed, read_any},
    local::{Answer, Call, ask, listens},
    supervisor::heal,
    wiring::Wiring,
};

const EXIT_USAGE: u8 = 2;
/// The longest line of a log, in characters.
const LOG_MOST: usize = 16_000;
/// Where records are damaged, nothing open is not the same as nothing in force.
const NONE_KNOWN: &str = "nothing is known to be in force, but more may be than the records tell";
/// An agent that lives says how it is within that time.
const ALIVE: Duration = Duration::from_secs(3);
/// So long a dying agent may still put things back before somebody else does it too.
const DYING: Duration = Duration::from_secs(60);
/// One that listens and does not answer is given only so long to die.
const HUNG: Duration = Duration::from_secs(2);

/// Injects faults on this host for drills, and always puts them back.
#[derive(Debug, Parser)]
#[command(name = "firedrill-agent", version, about)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The configuration; without it /etc/firedrill/agent.toml, or what is built in where that does not exist.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent.
    Serve,
    /// Put everything back, with or without a running agent.
    Undo {
        /// Everything; the coordinator's `firedrill undo` can do less.
        #[arg(long, required = true)]
        all: bool,
        /// Do not refuse further injections afterwards (for service managers).
        #[arg(long)]
        no_halt: bool,
    },
    /// End a halt, so that faults may be injected again.
    Release,
    /// Say what is in force.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Say what this host can do, what is missing for the rest, and what to install. Needs no running agent.
    #[command(
        after_help = "Examples:\n  firedrill-agent doctor\n  firedrill-agent doctor --json | jq '.findings[] | select(.grade == \"missing\")'\n\nExit codes: 0 all is well, or some kinds will be refused · 3 something is wrong"
    )]
    Doctor {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Say who asked this host for what, and what happened then. Needs no running agent.
    #[command(
        after_help = "Examples:\n  firedrill-agent log --on friday\n  firedrill-agent log --since 2026-11-20 --until 2026-11-27 --who alice\n  firedrill-agent log --since 7d --refused --json | jq -r .request.detail\n\nExit codes: 0 done, also where there is nothing · 2 the records cannot be read"
    )]
    Log(log::Args),
    /// Say whether a configuration can be used, and where not. Touches nothing.
    #[command(
        after_help = "Examples:\n  firedrill-agent check-config /etc/firedrill/agent.toml\n  firedrill-agent check-config new.toml && install -m 0644 new.toml /etc/firedrill/agent.toml\n\nExit codes: 0 it can be used · 2 it cannot; the place and the reason are on stderr"
    )]
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Put back what was left over, quietly where nothing was. For boot.
    Sweep,
}

/// Returns the command line, for man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs the command line with what this build is put together from. Call it from a process with one thread.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    run(args, built_in::wiring())
}

/// Runs the command line with other ports to the host.
pub fn run(args: impl IntoIterator<Item = OsString>, wiring: Wiring) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(help) => {
            let _ = help.print();
            return ExitCode::from(u8::try_from(help.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    log_to_stderr();
    if let Verb::CheckConfig { file } = &args.verb {
        return check_config::run(file);
    }
    let optional = args.config.is_none();
    let usable = Usable::find(&args.config.unwrap_or_else(|| DEFAULT_FILE.into()), optional);
    if let Some(trouble) = &usable.trouble {
        eprintln!("firedrill-agent: {trouble}");
    }
    let result = match args.verb {
        Verb::Serve => serve::run(usable, wiring),
        Verb::Undo { all: _, no_halt } => undo_everywhere(&usable, wiring, !no_halt, true),
        Verb::Sweep => undo_everywhere(&usable, wiring, false, false),
        Verb::Release => release(usable.of_whoever_lives()),
        Verb::Status { json } => status(&usable, json),
        Verb::Log(asked) => log::run(&usable, &asked),
        Verb::Doctor { json } => doctor::run(&usable, &wiring, json),
        Verb::CheckConfig { file } => Ok(check_config::run(&file)),
    };
    result.unwrap_or_else(|error| fail(&error.to_string()))
}

/// What is said, by `FIREDRILL_LOG`: `debug`, or `info,hyper=warn`.
fn log_to_stderr() {
    let wanted = std::env::var("FIREDRILL_LOG").ok().and_then(|text| text.parse().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Plain(io::stderr())).with_ansi(false);
    // A second one, in a process that has one already, is no matter.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Standard error, for whole lines of a log: each stays one line, whatever names and messages it has in it.
struct Plain(io::Stderr);

impl io::Write for Plain {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let cleaned = clean(text.trim_end_matches('\n'), LOG_MOST);
        self.0.lock().write_all(format!("{cleaned}\n").as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A text of somebody else in one line, as it may be shown on a terminal.
fn plain(text: &str) -> Cow<'_, str> {
    clean(text, TEXT_MOST)
}

fn fail(what: &str) -> ExitCode {
    eprintln!("firedrill-agent: {what}");
    ExitCode::from(EXIT_USAGE)
}

/// Undo with the configuration of the agent that lives, and where an agent with other paths may have left something.
fn undo_everywhere(usable: &Usable, wiring: Wiring, halt: bool, loud: bool) -> io::Result<ExitCode> {
    let config = usable.of_whoever_lives();
    let left = usable.before.as_ref().filter(|before| before.paths != config.paths);
    let before = left.map(|before| {
        put_back_without_agent(before, Some(config), wiring, DYING, &HealReason::FoundAtStart, false)
    });
    let none_before = before.as_ref().is_none_or(PutBack::found_none);
    let code_before = before.map_or(0, |done| done.said(false));
    let code = undo(config, left, wiring, halt, loud && none_before, loud);
    Ok(ExitCode::from(worst(code, code_before)))
}

/// Of two exit codes the one that counts.
fn worst(one: u8, other: u8) -> u8 {
    let known = [EXIT_STUCK, EXIT_LOST, EXIT_USAGE];
    known.into_iter().find(|code| *code == one || *code == other).unwrap_or(one)
}

fn undo(
    config: &Config,
    left: Option<&Config>,
    wiring: Wiring,
    halt: bool,
    tell_none: bool,
    loud: bool,
) -> u8 {
    let paths = config.paths();
    let patience = Duration::from(config.timings.undo_budget) + Duration::from_secs(5);
    // One that does not even say how it is hangs, or was stopped: it is not waited for while things stay broken.
    let asked = ask(&paths, Call::Status, ALIVE).and_then(|alive| match alive {
        Some(_) => ask(&paths, Call::UndoAll { halt }, patience),
        None => Ok(None),
    });
    let dying = match asked {
        Ok(Some(Answer::Undone(answer))) => return said(&answer, tell_none),
        Ok(None) => DYING,
        Ok(Some(answer)) => {
            tracing::warn!("the running agent answered {answer:?}; putting back without it");
            HUNG
        }
        Err(error) => {
            tracing::warn!("the running agent does not answer ({error}); putting back without it");
            HUNG
        }
    };
    // Without a halt it is systemd or the package that asks, when the agent has ended or goes.
    let reason = match (loud, halt) {
        (true, true) => HealReason::Asked { by: root(config) },
        (true, false) => HealReason::AgentStopping,
        (false, _) => HealReason::FoundAtStart,
    };
    put_back_without_agent(config, left, wiring, dying, &reason, halt).said(tell_none)
}

fn root(config: &Config) -> String {
    format!("root@{}", config.host)
}

/// The result of putting back without a running agent.
struct PutBack {
    answer: UndoAnswer,
    /// A halt was asked for, and nobody will remember it.
    halt_lost: bool,
}

impl PutBack {
    /// Whether nothing was in force, and all records could be read.
    fn found_none(&self) -> bool {
        self.answer.injections.is_empty() && self.answer.lost.is_empty()
    }

    /// Says it; the exit code.
    fn said(&self, tell_none: bool) -> u8 {
        worst(said(&self.answer, tell_none), if self.halt_lost { EXIT_USAGE } else { 0 })
    }
}

/// Puts back all that is open, when no agent answers; one that is dying is given that time for it. Nothing that is
/// wrong with the state directory keeps it from that. What is in force by the journal of the configuration
/// `elsewhere` is not swept.
fn put_back_without_agent(
    config: &Config,
    elsewhere: Option<&Config>,
    wiring: Wiring,
    dying: Duration,
    reason: &HealReason,
    halt: bool,
) -> PutBack {
    let paths = config.paths();
    let lock = Lock::replace(&paths, dying);
    let healing = heal(config, &config.host(), &wiring, elsewhere, || {});
    let answer = UndoAnswer {
        swept: healing.swept.removed.clone(),
        lost: healing.replayed.damage.clone(),
        ..answer_of(healing.healed.clone())
    };
    let journaled = match lock {
        Ok(_lock) => healing.journal(config, reason).map_err(|error| error.chain()).map(|mut done| {
            if halt {
                done.journal.event(What::Halted { by: root(config) });
                done.journal.sync();
            }
            !done.journal.is_behind()
        }),
        Err(error) => {
            // Somebody holds on and does nothing. Putting back twice does no harm; writing to one journal would.
            if error.kind() != io::ErrorKind::WouldBlock && !listens(&paths) {
                healing.keep(config);
            }
            Err(error.to_string())
        }
    };
    if let Err(error) = &journaled {
        tracing::error!("{error}; what could be read was put back without journaling it");
    }
    if matches!(reason, HealReason::Asked { .. }) {
        let undo = Undo { scope: UndoScope::All, halt };
        let request = audit::Request::accepted(&root(config), "undo").detail(&audit::undone(&undo, &answer));
        audit::request_now(&paths.state, request);
    }
    let halt_lost = halt && journaled != Ok(true);
    if halt_lost {
        tracing::error!(
            "the halt could not be journaled in {}: an agent that starts would inject again; mend that directory, \
             then `firedrill-agent undo --all` again",
            paths.state.display()
        );
    }
    PutBack { answer, halt_lost }
}

fn answer_of(healed: Vec<Healed>) -> UndoAnswer {
    let stuck = healed
        .iter()
        .filter(|one| one.state == State::Stuck)
        .map(|one| format!("{}: {}", one.intent.id(), one.detail))
        .collect();
    let injections = healed
        .into_iter()
        .map(|one| OpenOne {
            id: one.intent.id().clone(),
            run: one.intent.run,
            kind: one.intent.live.ask.fault.kind().to_owned(),
            state: one.state,
            ends_boot_us: one.intent.live.ends_boot_us,
            effects: one.intent.live.prepared.effects,
            about: one.intent.about,
            due: false,
        })
        .collect();
    UndoAnswer { injections, runs: Vec::new(), stuck, swept: Vec::new(), lost: Vec::new() }
}

/// Says what was put back; the exit code.
fn said(answer: &UndoAnswer, loud: bool) -> u8 {
    for one in &answer.injections {
        println!("{} ({}, run {}): {:?}", one.id, plain(&one.kind), one.run, one.state);
    }
    for stuck in &answer.stuck {
        eprintln!("could NOT be put back: {}", plain(stuck));
    }
    for what in &answer.swept {
        println!("removed, because it belonged to no live injection: {}", plain(what));
    }
    for lost in &answer.lost {
        eprintln!("records of drills are damaged or lost: {}", plain(lost));
    }
    match (answer.lost.is_empty(), answer.injections.is_empty()) {
        (false, true) => eprintln!("{NONE_KNOWN}; look at services, processes and rules by hand"),
        (true, true) if loud => println!("nothing was in force"),
        _ => {}
    }
    match (answer.stuck.is_empty(), answer.lost.is_empty()) {
        (false, _) => EXIT_STUCK,
        (true, false) => EXIT_LOST,
        (true, true) => 0,
    }
}

fn release(config: &Config) -> io::Result<ExitCode> {
    let paths = config.paths();
    match ask(&paths, Call::Release, Duration::from_secs(10))? {
        Some(Answer::Released) => {}
        Some(answer) => return Err(io::Error::other(format!("the running agent answered {answer:?}"))),
        None => {
            let _lock = Lock::take(&paths, DYING)?;
            let journal = crate::journal::Journal::open(&paths, &Identity::here());
            let (mut journal, _) = journal.map_err(|error| io::Error::other(error.chain()))?;
            journal.event(What::Released { by: root(config) });
            journal.sync();
            if journal.is_behind() {
                let state = paths.state.display();
                return Err(io::Error::other(format!(
                    "the release could not be journaled in {state}, so the halt stays; make room there and try again"
                )));
            }
            audit::request_now(&paths.state, audit::Request::accepted(&root(config), "release"));
        }
    }
    println!("faults may be injected again");
    Ok(ExitCode::SUCCESS)
}

fn status(usable: &Usable, json: bool) -> io::Result<ExitCode> {
    let config = usable.of_whoever_lives();
    let (status, serves, damaged) = match ask(&config.paths(), Call::Status, Duration::from_secs(5))? {
        Some(Answer::Status(status)) => (*status, true, false),
        Some(answer) => return Err(io::Error::other(format!("the running agent answered {answer:?}"))),
        None => {
            let (replayed, _) = read_any(&config.paths(), &Identity::here());
            let damaged = !replayed.damage.is_empty();
            let mut status = from_journal(config, replayed);
            let wrong = usable.trouble.iter().map(|trouble| trouble.error.one_line());
            let left = usable
                .before
                .iter()
                .filter(|before| before.paths != config.paths)
                .filter(|before| read_any(&before.paths(), &Identity::here()).0.open().next().is_some());
            let left = left.map(|before| {
                format!(
                    "something is in force by the journal in {}, which the configuration named before; \
                     `firedrill-agent undo --all` puts it back",
                    before.paths.state.display()
                )
            });
            status.warnings.extend(wrong.chain(left));
            (status, false, damaged)
        }
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} {}: {}", status.host, status.version, if serves { "serves" } else { "no agent runs" });
    if let Some(by) = &status.halted_by {
        println!("halted by {}; `firedrill-agent release` ends that", plain(by));
    }
    for one in &status.open {
        let (kind, by) = (plain(&one.kind), plain(&one.about.operator));
        println!("{} ({kind}, run {}, by {by}): {:?}", one.id, one.run, one.state);
        one.effects.iter().for_each(|effect| println!("  {}", plain(effect)));
    }
    if status.open.is_empty() {
        println!("{}", if damaged { NONE_KNOWN } else { "nothing is in force" });
    }
    status.warnings.iter().for_each(|warning| println!("warning: {}", plain(warning)));
    Ok(ExitCode::SUCCESS)
}

fn from_journal(config: &Config, replayed: Replayed) -> AgentStatus {
    let open = replayed.open().map(|found| Healed {
        intent: found.intent.clone(),
        state: found.state,
        detail: String::new(),
        foreign: Vec::new(),
        touched: true,
    });
    AgentStatus {
        host: config.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: Clock { boot_us: clock::boot_us(), boot_id: clock::boot_id(), wall_us: clock::wall_us() },
        open: answer_of(open.collect()).injections,
        halted_by: replayed.halted_by,
        last_seq: replayed.last_seq,
        warnings: replayed.damage,
    }
}
