//! Crash points: places in the code at which a test can stop the agent and end it.
//!
//! Only in builds with debug assertions; releases contain none of it.

use std::path::Path;

/// Waits as long as the file `crash-point` in the run directory names this place, possibly among others. Writes the id of
/// the waiting process to `crash-point.reached`, for the test that ends it.
#[cfg(debug_assertions)]
pub(crate) fn at(run_dir: &Path, place: &str) {
    let wanted = || {
        std::fs::read_to_string(run_dir.join("crash-point"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == place))
    };
    if wanted() {
        let reached = std::fs::write(run_dir.join("crash-point.reached"), std::process::id().to_string());
        while reached.is_ok() && wanted() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Does nothing in a release.
#[cfg(not(debug_assertions))]
pub(crate) const fn at(_run_dir: &Path, _place: &str) {}
