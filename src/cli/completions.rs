//! `firedrill completions`: completions for a shell.

use super::failure::Result;
use crate::{terminal, verdict::Exit};

/// Options of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill completions bash > /etc/bash_completion.d/firedrill\n  firedrill completions zsh > ~/.zfunc/_firedrill"
)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completions for `command`, the whole command line.
pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<Exit> {
    // The text is generated in memory first, because the generator panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "firedrill", &mut text);
    terminal::out(format_args!("{}", String::from_utf8_lossy(&text)));
    Ok(Exit::Held)
}
