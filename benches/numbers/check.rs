//! `firedrill check`: what a person or a gate waits for before anything is asked of a host.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Failure,
    say::{Times, line, mib},
};

const RUNS: u32 = 50;
const SCENARIO: &str = "scenarios/network-block.toml";

pub(crate) fn run() -> Result<(), Failure> {
    let firedrill = Path::new(env!("CARGO_BIN_EXE_firedrill"));
    let ours =
        [firedrill.into(), "check".into(), SCENARIO.into(), "--fleet".into(), "scenarios/fleet.toml".into()];
    let (times, peak) = measure(&ours)?;
    line("firedrill check, one scenario with its fleet", &times.show(&[50, 95]), "under 10 ms");
    line("  peak resident memory", &mib(peak), "under 15 MiB");
    match chaos() {
        None => {
            line("chaos validate (Chaos Toolkit), for comparison", "not installed (CHAOS=path/to/chaos)", "");
        }
        Some(chaos) => {
            let dir = tempfile::tempdir()?;
            let file = dir.path().join("experiment.json");
            std::fs::write(&file, EXPERIMENT)?;
            let theirs = [chaos, "--no-version-check".into(), "validate".into(), file];
            let (times, peak) = measure(&theirs)?;
            line("chaos validate (Chaos Toolkit), for comparison", &times.show(&[50, 95]), "");
            line("  peak resident memory", &mib(peak), "");
        }
    }
    Ok(())
}

/// An experiment about as large as the scenario.
const EXPERIMENT: &str = r#"{
  "version": "1.0.0", "title": "The app cannot reach its peers", "description": "Users see fewer than 1 % errors.",
  "steady-state-hypothesis": { "title": "checkout answers", "probes": [
    { "type": "probe", "name": "checkout", "tolerance": 200,
      "provider": { "type": "http", "url": "http://edge/checkout", "timeout": 1 } } ] },
  "method": [ { "type": "action", "name": "block", "provider": { "type": "process", "path": "true" }, "pauses": { "after": 20 } } ],
  "rollbacks": [ { "type": "action", "name": "unblock", "provider": { "type": "process", "path": "true" } } ]
}"#;

fn chaos() -> Option<PathBuf> {
    let given = std::env::var_os("CHAOS").map(PathBuf::from);
    given.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join("chaos")).find(|file| file.is_file())
    })
}

/// How long a program runs, from start to end, and the most memory that it had, in KiB.
fn measure(words: &[PathBuf]) -> Result<(Times, u64), Failure> {
    let [program, arguments @ ..] = words else { return Err("no program".into()) };
    let (mut times, mut peak) = (Vec::new(), 0);
    // The first one only brings files into the page cache.
    for number in 0..=RUNS {
        let (time, memory) = once(Command::new(program).args(arguments))?;
        if number > 0 {
            times.push(time);
            peak = peak.max(memory);
        }
    }
    Ok((Times::new(times), peak))
}

fn once(command: &mut Command) -> Result<(Duration, u64), Failure> {
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = i32::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: plain numbers, for which all zero is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; the child is this process's own and not yet waited for.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut used) };
    let took = began.elapsed();
    if waited != pid {
        return Err(std::io::Error::last_os_error().into());
    }
    if status != 0 {
        return Err(format!("{command:?} ended with wait status {status:#x}").into());
    }
    Ok((took, u64::try_from(used.ru_maxrss)?))
}
