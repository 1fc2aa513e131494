//! Looks for programs that have a removed file open. Never opens a file of another program.

use std::{
    fs::{self, File, read_link},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
};

/// Whether another process has a removed file open; also true if that cannot be found out. Only descriptors of removed files of the
/// same name are examined, so that no other file system, which may hang, is asked.
pub(super) fn may_be_open_elsewhere(file: &File) -> bool {
    let name_in = |link: &std::path::Path| link.file_name().map(ToOwned::to_owned);
    // The kernel adds ` (deleted)` to the name of a removed file.
    let Some(name) =
        read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok().and_then(|link| name_in(&link))
    else {
        return true;
    };
    let (Ok(about), Ok(processes)) = (file.metadata(), fs::read_dir("/proc")) else { return true };
    let own = std::process::id().to_string();
    let numbered = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit()) && name != own;
    for process in processes.flatten() {
        if !process.file_name().to_str().is_some_and(numbered) {
            continue;
        }
        let open = match fs::read_dir(process.path().join("fd")) {
            Ok(open) => open,
            // The process has ended.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return true,
        };
        for descriptor in open.flatten() {
            let path = descriptor.path();
            let same_name =
                read_link(&path).ok().and_then(|link| name_in(&link)).is_some_and(|other| other == name);
            let same = |other: fs::Metadata| (other.dev(), other.ino()) == (about.dev(), about.ino());
            if same_name && fs::metadata(&path).is_ok_and(same) {
                return true;
            }
        }
    }
    false
}
