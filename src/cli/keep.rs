//! `firedrill keep`, which only a run calls: runs a program of a step, and kills it when the run ends or the time is over.

use std::time::Duration;

use super::failure::{Failure, Result};
use crate::{run::keep, verdict::Exit};

/// Options of `keep`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Milliseconds after which the program is ended
    limit_ms: u64,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

/// Runs the program of the step until it ends. The error is that this process cannot become its keeper.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let kept = keep(Duration::from_millis(args.limit_ms), &args.argv);
    kept.map_err(|error| Failure::new(format!("the program is not kept: {error}")))?;
    Ok(Exit::Held)
}
