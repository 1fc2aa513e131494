//! Measures the log of a long game day: its size, and the time that its report takes. The run is invented, but the log
//! is written and read by the code that real runs use.

mod day;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    Failure,
    check::once,
    say::{line, mib, note},
};

/// The parameters of a game day.
struct Day {
    what: &'static str,
    attacks: u32,
    /// The length of each attack.
    minutes: u32,
    /// The targets of the log's size, the report's time, its memory, and the size of its page.
    targets: [&'static str; 4],
}

const DAYS: [Day; 2] = [
    Day {
        what: "8 h in 16 attacks, 100 probe streams at 100 requests a second",
        attacks: 16,
        minutes: 30,
        targets: ["under 200 MB", "under 10 s", "under 500 MiB", "under 5 MiB"],
    },
    Day {
        what: "the same in one attack",
        attacks: 1,
        minutes: 480,
        targets: ["under 200 MB", "under 10 s", "under 500 MiB", "under 5 MiB"],
    },
];

/// The exit codes of a report, which are those of its run: held, violated, unknown.
const ENDS: [i32; 3] = [0, 1, 3];

pub(crate) fn run() -> Result<(), Failure> {
    for day in DAYS {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("events.jsonl");
        let began = Instant::now();
        let made = day::write(&log, day.attacks, day.minutes)?;
        let took = began.elapsed();
        line(day.what, &format!("{} bins, {} requests", made.bins, made.requests), "");
        let size = log.metadata()?.len();
        line("  on disk", &megabytes(size), day.targets[0]);
        line("  in one record a bin, as earlier versions wrote it", &megabytes(made.plain_bytes), "");
        line("  made up and written in", &format!("{:.0} s", took.as_secs_f64()), "");
        let firedrill = Path::new(env!("CARGO_BIN_EXE_firedrill"));
        let mut report = Command::new(firedrill);
        report.arg("report").arg(folder.path()).stdin(Stdio::null());
        // The first run fills the page cache.
        once(&mut report, &ENDS)?;
        let run = once(&mut report, &ENDS)?;
        line(
            "  firedrill report, the whole process",
            &format!("{:.1} s", run.took.as_secs_f64()),
            day.targets[1],
        );
        line("  of that at work on cores", &format!("{:.1} s", run.worked.as_secs_f64()), "");
        line("  peak resident memory", &mib(run.peak_kib), day.targets[2]);
        let page = folder.path().join("report.html").metadata()?.len();
        line("  the page", &mib(page / 1024), day.targets[3]);
    }
    note("latencies are log-normal: median 4 to 13 ms, 99th percentile three times as long");
    Ok(())
}

/// Returns a size in MB: `150 MB`.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}
