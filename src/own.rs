//! The file of this program, for processes that are this program again.

use std::{env, path::PathBuf};

/// This program, where its file was replaced by an upgrade.
const OWN: &str = "/proc/self/exe";

/// Returns the file of this program, by its own name, which lists of processes show.
pub(crate) fn program() -> PathBuf {
    env::current_exe().ok().filter(|file| file.is_file()).unwrap_or_else(|| OWN.into())
}
