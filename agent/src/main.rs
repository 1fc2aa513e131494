//! The agent's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    firedrill_agent::cli::main(std::env::args_os())
}
