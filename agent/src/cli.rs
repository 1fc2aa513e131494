//! The agent's command line: parse, call, exit code.
//!
//! Exit codes: 0 done · 1 the worker died, all was put back · 2 bad usage or configuration, it could not serve, or a
//! halt or release could not be journaled · 3 `doctor` found something wrong · 6 something is stuck · 7 all that is
//! known was put back, and records of what was in force are damaged or lost. Where several apply, 6 counts before 7
//! and 7 before the others. An unusable configuration does not prevent `undo`, `sweep`, `status`, `log` and `release`.

mod check_config;
mod doctor;
mod log;
mod serve;
mod shared;
mod undo;

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use firedrill_probe::{Stores, clock};
use firedrill_wire::{
    api::{AgentStatus, Clock},
    journal::What,
    text::clean,
};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use shared::{DYING_TIME, EXIT_USAGE, NONE_KNOWN, fail, plain};
use undo::{answer_of, root, undo_everywhere};

use crate::{
    audit, built_in,
    config::{Config, DEFAULT_FILE, Usable},
    guardian::Lock,
    heal::Healed,
    identity::Identity,
    journal::{Replayed, read_any},
    local::{Answer, Call, ask},
    terminal::lost,
    time::HostTime,
    wiring::Wiring,
};

/// Maximum length of a log line, in characters.
const LOG_MOST: usize = 16_000;

/// Injects faults on this host for drills, and always puts them back.
#[derive(Debug, Parser)]
#[command(name = "firedrill-agent", version, about)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// The configuration file. Default: /etc/firedrill/agent.toml; built-in values if that does not exist.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent.
    Serve,
    /// Put everything back, with or without a running agent.
    Undo {
        /// Undo everything. To undo one run, use the coordinator's `firedrill undo`.
        #[arg(long, required = true)]
        all: bool,
        /// Do not halt this host: accept new injections afterwards (for service managers).
        #[arg(long)]
        no_halt: bool,
    },
    /// End a halt, so that faults may be injected again.
    Release,
    /// Show the injections that are in force.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show which faults this host can do, what is missing for the others, and what to install. Needs no running agent.
    #[command(
        after_help = "Examples:\n  firedrill-agent doctor\n  firedrill-agent doctor --json | jq '.findings[] | select(.grade == \"missing\")'\n\nExit codes: 0 all is well, or some kinds will be refused · 3 something is wrong"
    )]
    Doctor {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show who asked this host for what, and what happened. Needs no running agent.
    #[command(
        after_help = "Examples:\n  firedrill-agent log --on friday\n  firedrill-agent log --since 2026-11-20 --until 2026-11-27 --who alice\n  firedrill-agent log --since 7d --refused --json | jq -r .request.detail\n\nExit codes: 0 done, also where there is nothing · 2 the records cannot be read"
    )]
    Log(log::Args),
    /// Check a configuration file, and show where it is wrong. Changes nothing.
    #[command(
        after_help = "Examples:\n  firedrill-agent check-config /etc/firedrill/agent.toml\n  firedrill-agent check-config new.toml && install -m 0644 new.toml /etc/firedrill/agent.toml\n\nExit codes: 0 it can be used · 2 it cannot; the place and the reason are on stderr"
    )]
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Put back what an earlier boot or a killed agent left. For use at boot; prints nothing if nothing was left.
    Sweep,
}

/// Returns the command line, for man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}

/// Runs the command line with the ports of the agent's program and these clients of stores. Call it from a process with one thread, because
/// `serve` forks.
pub fn main(args: impl IntoIterator<Item = OsString>, stores: &'static dyn Stores) -> ExitCode {
    run(args, Wiring { stores, ..built_in::wiring() })
}

/// Runs the command line with these ports to the host.
pub fn run(args: impl IntoIterator<Item = OsString>, wiring: Wiring) -> ExitCode {
    let Args { verb, config } = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(help) => {
            let _ = help.print();
            return ExitCode::from(u8::try_from(help.exit_code()).unwrap_or(EXIT_USAGE));
        }
    };
    log_to_stderr();
    // The other verbs change something on the host. Lost output is no failure for them, because that change was made.
    let only_prints =
        matches!(verb, Verb::Status { .. } | Verb::Log(_) | Verb::Doctor { .. } | Verb::CheckConfig { .. });
    let usable = || find_config(config);
    let result = match verb {
        Verb::Serve => serve::run(usable(), wiring),
        Verb::Undo { all: _, no_halt } => Ok(undo_everywhere(&usable(), wiring, !no_halt, true)),
        Verb::Sweep => Ok(undo_everywhere(&usable(), wiring, false, false)),
        Verb::Release => release(usable().of_running_or_next()),
        Verb::Status { json } => status(&usable(), json),
        Verb::Log(args) => log::run(&usable(), &args),
        Verb::Doctor { json } => doctor::run(&usable(), &wiring, json),
        Verb::CheckConfig { file } => Ok(check_config::run(&file)),
    };
    let code = result.unwrap_or_else(|error| fail(&error.to_string()));
    if only_prints && code == ExitCode::SUCCESS && lost() {
        fail("the output could not be written")
    } else {
        code
    }
}

/// Finds the configuration, and prints the problem of its file if there is one. `None` means the default file, which may be missing.
fn find_config(file: Option<PathBuf>) -> Usable {
    let optional = file.is_none();
    let usable = Usable::find(&file.unwrap_or_else(|| DEFAULT_FILE.into()), optional);
    if let Some(trouble) = &usable.trouble {
        errln!("firedrill-agent: {trouble}");
    }
    usable
}

/// Writes log lines to standard error. `FIREDRILL_LOG` selects them: `debug`, or `info,hyper=warn`.
fn log_to_stderr() {
    let wanted = std::env::var("FIREDRILL_LOG").ok().and_then(|text| text.parse().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Plain(io::stderr())).with_ansi(false);
    // This fails if the process has a subscriber already, as in tests. That one is kept.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Standard error, for log lines. Each call writes one line, also if a name or a message in it has line breaks. A line that cannot be written
/// is lost without an error, because the subscriber would print that error on standard error too, and panic.
struct Plain(io::Stderr);

impl io::Write for Plain {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let cleaned = clean(text.trim_end_matches('\n'), LOG_MOST);
        let _ = self.0.lock().write_all(format!("{cleaned}\n").as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Ends a halt: by the running agent, or in the journal if no agent runs.
///
/// # Errors
/// The agent or the journal did not accept it, so the halt stays.
fn release(config: &Config) -> io::Result<ExitCode> {
    let paths = config.paths();
    match ask(&paths, Call::Release, Duration::from_secs(10))? {
        Some(Answer::Released) => {}
        Some(answer) => return Err(io::Error::other(format!("the running agent answered {answer:?}"))),
        None => {
            let _lock = Lock::take(&paths, DYING_TIME)?;
            let journal = crate::journal::Journal::open(&paths, &Identity::here(), &HostTime);
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
    outln!("faults may be injected again");
    Ok(ExitCode::SUCCESS)
}

/// Prints the status: the running agent's, or the one by the journal if no agent runs.
///
/// # Errors
/// An agent runs, but does not answer with its status.
fn status(usable: &Usable, json: bool) -> io::Result<ExitCode> {
    let config = usable.of_running_or_next();
    let (status, serves, damaged) = match ask(&config.paths(), Call::Status, Duration::from_secs(5))? {
        Some(Answer::Status(status)) => (*status, true, false),
        Some(answer) => return Err(io::Error::other(format!("the running agent answered {answer:?}"))),
        None => {
            let (replayed, _) = read_any(&config.paths(), &Identity::here());
            let damaged = !replayed.damage.is_empty();
            let mut status = from_journal(config, replayed);
            let trouble = usable.trouble.iter().map(|trouble| trouble.error.one_line());
            let in_force_before = usable
                .before
                .iter()
                .filter(|before| before.paths != config.paths)
                .filter(|before| read_any(&before.paths(), &Identity::here()).0.open().next().is_some())
                .map(|before| {
                    format!(
                        "something is in force according to the journal in {}, which the configuration named \
                         before; `firedrill-agent undo --all` puts it back",
                        before.paths.state.display()
                    )
                });
            status.warnings.extend(trouble.chain(in_force_before));
            (status, false, damaged)
        }
    };
    if json {
        outln!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(ExitCode::SUCCESS);
    }
    outln!("{} {}: {}", status.host, status.version, if serves { "serves" } else { "no agent runs" });
    if let Some(by) = &status.halted_by {
        outln!("halted by {}; `firedrill-agent release` ends that", plain(by));
    }
    for injection in &status.open {
        let (kind, by) = (plain(&injection.kind), plain(&injection.about.operator));
        outln!("{} ({kind}, run {}, by {by}): {:?}", injection.id, injection.run, injection.state);
        injection.effects.iter().for_each(|effect| outln!("  {}", plain(effect)));
    }
    if status.open.is_empty() {
        outln!("{}", if damaged { NONE_KNOWN } else { "nothing is in force" });
    }
    status.warnings.iter().for_each(|warning| outln!("warning: {}", plain(warning)));
    Ok(ExitCode::SUCCESS)
}

/// Returns the status of a host without a running agent, from its journal.
fn from_journal(config: &Config, replayed: Replayed) -> AgentStatus {
    let open = replayed.open().map(|injection| Healed {
        intent: injection.intent.clone(),
        state: injection.state,
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
