//! `firedrill audit`: checks the audit log of a control room. Needs no server.

use std::path::PathBuf;

use firedrill_room::{Head, check};

use super::failure::Result;
use crate::verdict::Exit;

/// Options of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill audit verify room/audit.jsonl
  firedrill audit verify room/audit.jsonl --head 17:3b0c…")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show whether lines of the log were changed, taken out, put in or cut off
    #[command(after_help = "Examples:
  firedrill audit verify room/audit.jsonl
  firedrill audit verify room/audit.jsonl --head 17:3b0c…

Each line has the SHA-256 of the line before it. That the end of the log was cut, or the whole log was written anew, shows only against
a head that was kept elsewhere: this command prints it, and so do the server at its start and the page Audit.

Exit codes: 0 nothing is wrong · 1 the log was changed, cut, or has half a line · 2 it cannot be read")]
    Verify {
        /// The log: audit.jsonl in the folder of the control room's state
        file: PathBuf,
        /// A head that was kept: the number of a line, a colon, and its digest
        #[arg(long, value_name = "N:SHA256")]
        head: Option<Head>,
    },
}

pub(super) fn run(args: &Args) -> Result<Exit> {
    let Verb::Verify { file, head } = &args.verb;
    let checked = check(file, head.as_ref())?;
    if let Some((line, why)) = checked.wrong {
        outln!("{}: line {line}: {why}", file.display());
        outln!("the lines before it are whole; their head is {}", checked.head);
        return Ok(Exit::Violated);
    }
    outln!("{}: {} lines, each follows the one before", file.display(), checked.head.n);
    outln!("head {}", checked.head);
    Ok(Exit::Held)
}
