//! Places at which a test can stop the agent, to end it exactly there.
//!
//! Only in builds with debug assertions; releases contain nothing of it.

use std::path::Path;

/// Waits here for as long as the file `crash-point` in the run directory names this place, among others; says in
/// `crash-point.reached` who waits.
#[cfg(debug_assertions)]
pub(crate) fn at(run_dir: &Path, place: &str) {
    let wanted = || {
        std::fs::read_to_string(run_dir.join("crash-point"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == place))
    };
    if wanted() {
        let said = std::fs::write(run_dir.join("crash-point.reached"), std::process::id().to_string());
        while said.is_ok() && wanted() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) const fn at(_run_dir: &Path, _place: &str) {}
