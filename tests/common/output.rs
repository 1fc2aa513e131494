//! The output of a program, for the messages of tests.

use std::process::Output;

/// Returns the status, the standard output and the standard error of a program that has ended, as text.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
