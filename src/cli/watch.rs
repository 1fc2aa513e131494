//! `firedrill watch`: follows a run from its log, on any machine that can read the file.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    time::Duration,
};

use miette::{IntoDiagnostic as _, WrapErr as _};

use crate::{
    log::{Event, Record},
    run::screen::{Observer as _, Plain},
    verdict::Exit,
};

/// Options of `watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  firedrill watch reports/20261120-1402-friday-7f3a")]
pub(super) struct Args {
    /// The run's folder
    run: PathBuf,
}

pub(super) fn run(args: &Args) -> miette::Result<Exit> {
    const AGAIN: Duration = Duration::from_millis(200);
    let path = args.run.join("events.jsonl");
    let file =
        File::open(&path).into_diagnostic().wrap_err_with(|| format!("cannot follow {}", path.display()))?;
    let mut reader = BufReader::new(file);
    let mut screen = Plain::default();
    let mut line = String::new();
    loop {
        line.clear();
        let read = reader.read_line(&mut line).into_diagnostic()?;
        if !line.ends_with('\n') {
            // The end for now, or half a line: it is read again when there is more of it.
            reader.seek_relative(-i64::try_from(read).unwrap_or(0)).into_diagnostic()?;
            std::thread::sleep(AGAIN);
            continue;
        }
        // What a newer version wrote and this one does not know is passed over.
        let Ok(record) = serde_json::from_str::<Record>(&line) else { continue };
        screen.record(&record);
        if matches!(record.event, Event::RunEnded { .. }) {
            return Ok(Exit::Held);
        }
    }
}
