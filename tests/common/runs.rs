//! The folders of runs in a directory of reports. The directory also has the list of findings, the page about all runs, and hidden folders of
//! game days and messages.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the folders of all runs in a directory; none if the directory does not exist.
pub(crate) fn run_folders(reports: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(reports).into_iter().flatten().flatten();
    let is_hidden = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b".");
    inside.filter(|entry| !is_hidden(entry)).map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
