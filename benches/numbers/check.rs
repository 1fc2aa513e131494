//! Measures `firedrill check`: the time that a person or a gate waits before any host is asked.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Failure,
    say::{Times, line, mib},
};

/// Number of runs that are measured.
const RUNS: u32 = 50;
/// For [`once`]: the exit code of success.
pub(crate) const SUCCESS: &[i32] = &[0];
const SCENARIO: &str = "scenarios/network-block.toml";

pub(crate) fn run() -> Result<(), Failure> {
    let firedrill = Path::new(env!("CARGO_BIN_EXE_firedrill"));
    let ours =
        [firedrill.into(), "check".into(), SCENARIO.into(), "--fleet".into(), "scenarios/fleet.toml".into()];
    show("firedrill check, one scenario with its fleet", &ours, ["under 10 ms", "under 15 MiB"])?;
    match chaos() {
        None => {
            line("chaos validate (Chaos Toolkit), for comparison", "not installed (CHAOS=path/to/chaos)", "");
        }
        Some(chaos) => {
            let dir = tempfile::tempdir()?;
            let file = dir.path().join("experiment.json");
            std::fs::write(&file, EXPERIMENT)?;
            let log = dir.path().join("log");
            let theirs =
                [chaos, "--no-version-check".into(), "--log-file".into(), log, "validate".into(), file];
            show("chaos validate (Chaos Toolkit), for comparison", &theirs, [""; 2])?;
        }
    }
    Ok(())
}

/// A Chaos Toolkit experiment of about the size of the scenario.
const EXPERIMENT: &str = r#"{
  "version": "1.0.0", "title": "The app cannot reach its peers", "description": "Users see fewer than 1 % errors.",
  "steady-state-hypothesis": { "title": "checkout answers", "probes": [
    { "type": "probe", "name": "checkout", "tolerance": 200,
      "provider": { "type": "http", "url": "http://edge/checkout", "timeout": 1 } } ] },
  "method": [ { "type": "action", "name": "block", "provider": { "type": "process", "path": "true" }, "pauses": { "after": 20 } } ],
  "rollbacks": [ { "type": "action", "name": "unblock", "provider": { "type": "process", "path": "true" } } ]
}"#;

/// Returns the path of Chaos Toolkit's program; `None` if it is not installed.
fn chaos() -> Option<PathBuf> {
    let given = std::env::var_os("CHAOS").map(PathBuf::from);
    given.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("chaos")).find(|file| file.is_file())
    })
}

/// Runs a program several times, each from its start to its end, and prints the times and the peak memory. The targets are those of both.
fn show(what: &str, words: &[PathBuf], targets: [&str; 2]) -> Result<(), Failure> {
    let [program, arguments @ ..] = words else { return Err("no program".into()) };
    let (mut took, mut worked, mut peak) = (Vec::new(), Vec::new(), 0);
    // The first run only brings files into the page cache.
    for number in 0..=RUNS {
        let run = once(Command::new(program).args(arguments), SUCCESS)?;
        if number > 0 {
            took.push(run.took);
            worked.push(run.worked);
            peak = peak.max(run.peak_kib);
        }
    }
    line(what, &Times::new(took).show(&[50, 95]), targets[0]);
    line("  of that at work on a core", &Times::new(worked).show(&[50, 95]), "");
    line("  peak resident memory", &mib(peak), targets[1]);
    Ok(())
}

/// One run of a program.
pub(crate) struct Run {
    /// The time from its start to its end.
    pub(crate) took: Duration,
    /// The CPU time, which other work on the machine changes little.
    pub(crate) worked: Duration,
    /// The peak resident memory, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs a program to its end. It must end with one of these exit codes.
pub(crate) fn once(command: &mut Command, good: &[i32]) -> Result<Run, Failure> {
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: the struct has only numbers, for which all bytes zero is a valid value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; the child is this process's own and not yet waited for.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
    let took = began.elapsed();
    if waited != pid {
        return Err(std::io::Error::last_os_error().into());
    }
    if !libc::WIFEXITED(status) || !good.contains(&libc::WEXITSTATUS(status)) {
        return Err(format!("{command:?} ended with wait status {status:#x}").into());
    }
    let time = |of: libc::timeval| -> Result<Duration, Failure> {
        Ok(Duration::from_secs(of.tv_sec.try_into()?) + Duration::from_micros(of.tv_usec.try_into()?))
    };
    let worked = time(used.ru_utime)? + time(used.ru_stime)?;
    Ok(Run { took, worked, peak_kib: u64::try_from(used.ru_maxrss)? })
}
