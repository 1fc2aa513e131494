//! The `firedrill` program: if it was started as a process of a lab, it becomes that process; otherwise it runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The processes of a lab are this same program. They enter namespaces, so this comes before any thread exists.
    #[cfg(feature = "lab")]
    if let Some(code) =
        firedrill_lab::dispatch(|args| firedrill_agent::cli::main(args, firedrill::stores::clients()))
    {
        return code;
    }
    firedrill::cli::main()
}
