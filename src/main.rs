//! The `firedrill` program: hands over to the lab where it was started as a part of one, else to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A lab's hosts are this same program; they must take over before any thread exists.
    #[cfg(feature = "lab")]
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    firedrill::cli::main()
}
