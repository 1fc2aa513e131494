//! The path of this program's file, to start further processes of the same program. Starts none.

use std::{env, path::PathBuf};

/// A path that leads to this program even if its file was replaced by an upgrade.
const OWN: &str = "/proc/self/exe";

/// Returns the path of this program's file, whose name lists of processes show; or [`OWN`] if that file is gone.
pub(crate) fn program() -> PathBuf {
    env::current_exe().ok().filter(|file| file.is_file()).unwrap_or_else(|| OWN.into())
}
