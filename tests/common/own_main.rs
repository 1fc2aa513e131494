//! Runs the tests of a test program with its own `main`. Such a program is also a helper that its tests start.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

/// Runs the tests that the arguments select, one after another. With `--list` it lists all tests, and none of them is ignored.
pub(crate) fn run(args: &[&str], tests: &[(&str, fn())]) -> ExitCode {
    if args.contains(&"--list") {
        if !args.contains(&"--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            let result = catch_unwind(AssertUnwindSafe(test));
            println!("test {name} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
            failed += u32::from(result.is_err());
        }
    }
    ExitCode::from(u8::from(failed > 0))
}
