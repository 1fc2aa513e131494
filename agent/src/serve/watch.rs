//! Watches the files that define who is trusted, so that a change applies within a moment.
//!
//! Files are replaced by renaming, so their directories are watched, and those of the targets of links. If that fails,
//! or a directory itself was replaced, periodic checks find the change. Never reads a file.

use std::{
    collections::BTreeSet,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until},
};

/// Interval between checks of the files if not all directories can be watched.
const LOOK: Duration = Duration::from_millis(500);
/// Interval between checks of the files if the kernel reports changes of all directories.
const LOOK_WATCHED: Duration = Duration::from_secs(10);

/// A watch on files.
pub(super) struct Watch {
    files: Vec<PathBuf>,
    /// The kernel's reports of changes; `None` if it gives none.
    events: Option<AsyncFd<OwnedFd>>,
    /// Whether all directories are watched.
    all_watched: bool,
    /// The time of the next periodic check.
    next_look: Instant,
}

impl Watch {
    /// Starts a watch; needs a runtime.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let fd = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(std::io::Error::from);
        let events = fd.and_then(|fd| {
            // SAFETY: the descriptor is owned by the new value, and nothing closes it before that is dropped.
            let registered = unsafe { AsyncFd::register(fd) };
            registered.map_err(|error| error.into_parts().1)
        });
        let events = events.inspect_err(|error| {
            let every = LOOK.as_millis();
            tracing::warn!("the kernel will not tell of changed certificates ({error}); they are looked at every {every} ms");
        });
        let mut watch = Self { files, events: events.ok(), all_watched: false, next_look: Instant::now() };
        watch.watch_directories();
        watch
    }

    /// Waits until files may have changed.
    pub(super) async fn changed(&mut self) {
        let event = async {
            match &self.events {
                Some(events) => match events.readable().await {
                    Ok(mut ready) => {
                        drain(events.get_ref());
                        ready.clear_ready();
                    }
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = event => {}
            () = sleep_until(self.next_look) => {}
        }
        // A directory may have been replaced. To add a directory that is watched already changes nothing.
        self.watch_directories();
    }

    /// Watches the directories of the files as they are now, and sets the time of the next check.
    fn watch_directories(&mut self) {
        let of_links = self.files.iter().filter_map(|file| std::fs::canonicalize(file).ok());
        let dirs: BTreeSet<PathBuf> = self
            .files
            .iter()
            .cloned()
            .chain(of_links)
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .collect();
        let flags = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        self.all_watched = self.events.as_ref().is_some_and(|events| {
            let watched = |dir: &PathBuf| {
                let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
                add_watch(events, dir, flags).is_ok()
            };
            // Tries all directories, also after an error.
            dirs.iter().filter(|dir| !watched(dir)).count() == 0
        });
        self.next_look = Instant::now() + if self.all_watched { LOOK_WATCHED } else { LOOK };
    }
}

/// Reads and drops all waiting events.
fn drain(fd: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    while reader.next().is_ok() {}
}
