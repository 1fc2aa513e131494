//! Measures the history of very many runs: the index made from nothing, and asked when it is up to date. The runs are
//! invented, small and alike; they are written and read by the code that real runs use.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use firedrill_judge::testing::{Drill, RUN, WALL};

use crate::{
    Failure,
    check::{SUCCESS, once},
    say::{Times, line, mib},
};

/// Number of runs in the history.
const RUNS: u32 = 10_000;
/// Number of times that the history is asked when it is up to date.
const LOOKS: u32 = 20;

pub(crate) fn run() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let reports = folder.path().join("reports");
    let size = make(folder.path(), &reports)?;
    line("runs of one attack, with their logs", &format!("{RUNS} of {} kB", size / 1000), "");
    let firedrill = Path::new(env!("CARGO_BIN_EXE_firedrill"));
    let mut history = Command::new(firedrill);
    history.arg("history").current_dir(folder.path());
    let made = once(&mut history, SUCCESS)?;
    line(
        "firedrill history, which makes the index",
        &format!("{:.1} s", made.took.as_secs_f64()),
        "under 30 s",
    );
    line("  of that at work on cores", &format!("{:.1} s", made.worked.as_secs_f64()), "");
    line("  peak resident memory", &mib(made.peak_kib), "");
    let index = reports.join(".history.sqlite").metadata()?.len();
    line("  the index", &mib(index / 1024), "");
    let (mut took, mut worked) = (Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        let look = once(&mut history, SUCCESS)?;
        took.push(look.took);
        worked.push(look.worked);
    }
    line("firedrill history, with nothing new", &Times::new(took).show(&[50, 95]), "under 100 ms");
    line("  of that at work on a core", &Times::new(worked).show(&[50, 95]), "");
    let mut page = Command::new(firedrill);
    page.args(["report", "--index"]).current_dir(folder.path());
    let wrote = once(&mut page, SUCCESS)?;
    line("firedrill report --index", &format!("{:.2} s", wrote.took.as_secs_f64()), "");
    let size = reports.join("index.html").metadata()?.len();
    line("  the page", &format!("{} kB", size / 1000), "under 2 MiB");
    Ok(())
}

/// Writes the runs; returns the size of one log in bytes.
pub(crate) fn make(folder: &Path, reports: &Path) -> Result<usize, Failure> {
    let mut drill = Drill::one();
    drill.vantages.truncate(1);
    drill.write(folder, RUN, |_, _| {});
    let log = fs::read_to_string(folder.join("events.jsonl"))?;
    // A history reads young logs again, to be sure. These logs are older.
    let before = SystemTime::now() - Duration::from_secs(60);
    for number in 0..RUNS {
        let id = format!("20261120-{:04}-friday-{number:04x}", number % 2400);
        let wall = format!("2026-{:02}-{:02}T{:02}:02:11Z", number % 12 + 1, number % 28 + 1, number % 24);
        let home = reports.join(&id);
        fs::create_dir_all(&home)?;
        let file = home.join("events.jsonl");
        fs::write(&file, log.replace(RUN, &id).replacen(WALL, &wall, 1))?;
        File::options().write(true).open(&file)?.set_modified(before)?;
    }
    Ok(log.len())
}
