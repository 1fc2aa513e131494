//! The spool: each message to each channel is a file in a hidden folder of the directory of runs before it is sent. It survives the
//! program that wrote it: whoever delivers for the channel finds it there.

mod entry;
mod watched;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use firedrill_files::{regular, text::hex, whole};
use ring::digest::{SHA256, digest};

pub use entry::{Ended, Entry};
pub use watched::{Look, Watched};

use crate::message::{Message, now};

/// The folder in a directory of runs. Hidden folders are no runs.
pub const FOLDER: &str = ".notify";
/// The folder of messages that wait.
const PENDING: &str = "pending";
/// The folder of messages that were delivered or given up.
const ENDED: &str = "ended";
/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// The time for which the end of a message is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The newest moment that was given to a message of this process, in microseconds since 1970: each gets a later one.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// The spool of a directory of runs.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

/// The messages of a folder, and the files that cannot be read.
type Read = (Vec<Entry>, Vec<(PathBuf, String)>);

/// The messages that are in a spool.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that wait, the oldest first.
    pub pending: Vec<Entry>,
    /// Those that have ended, the oldest first.
    pub ended: Vec<Entry>,
    /// The files that cannot be read, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Spool {
    /// The spool of a directory of runs. Makes nothing.
    #[must_use]
    pub fn of(reports: &Path) -> Self {
        Self { folder: reports.join(FOLDER) }
    }

    /// Writes a message for a channel. The file outlives this process at once, and a power loss after [`Self::sync`]. Returns `None` if the
    /// channel had this event before.
    ///
    /// # Errors
    /// It could not be written.
    pub fn put(&self, channel: &str, message: &Message) -> io::Result<Option<PathBuf>> {
        let name = name(channel, &message.id);
        let path = self.folder.join(PENDING).join(&name);
        if path.exists() || self.folder.join(ENDED).join(&name).exists() {
            return Ok(None);
        }
        fs::create_dir_all(self.folder.join(PENDING))?;
        let entry = Entry::new(channel, message.clone(), moment());
        let part = path.with_file_name(format!(".{name}.part-{}-{}", std::process::id(), entry.made_us));
        let written =
            File::create_new(&part).and_then(|mut file| file.write_all(&serde_json::to_vec(&entry)?));
        written.and_then(|()| fs::rename(&part, &path)).inspect_err(|_| drop(fs::remove_file(&part)))?;
        Ok(Some(path))
    }

    /// Brings a message that was put to the disk.
    ///
    /// # Errors
    /// It could not be synced. A message that was delivered meanwhile needs it no more.
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        match File::open(path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(self.folder.join(PENDING))?.sync_all(),
        }
    }

    /// Returns the messages that wait, the oldest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn pending(&self) -> io::Result<Vec<Entry>> {
        Ok(self.list(PENDING)?.0)
    }

    /// Returns all messages.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn all(&self) -> io::Result<Listing> {
        let (mut pending, mut unreadable) = self.list(PENDING)?;
        let (ended, more) = self.list(ENDED)?;
        // The program of such a message was killed before it removed the file.
        pending.retain(|entry| !self.ended_file(entry).exists());
        unreadable.extend(more);
        Ok(Listing { pending, ended, unreadable })
    }

    /// Returns the file of the end of a message.
    fn ended_file(&self, entry: &Entry) -> PathBuf {
        self.folder.join(ENDED).join(name(&entry.channel, &entry.message.id))
    }

    /// Returns the files of messages in a folder; none if there is no folder.
    fn files(&self, which: &str) -> io::Result<Vec<fs::DirEntry>> {
        let is_entry = |file: &io::Result<fs::DirEntry>| {
            file.as_ref().map_or(true, |file| file.path().extension().is_some_and(|end| end == "json"))
        };
        match fs::read_dir(self.folder.join(which)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            files => files?.filter(is_entry).collect(),
        }
    }

    fn list(&self, which: &str) -> io::Result<Read> {
        let (mut all, mut unreadable) = (Vec::new(), Vec::new());
        for file in self.files(which)? {
            let path = file.path();
            match read(&path) {
                Ok(entry) => all.push(entry),
                // It was delivered meanwhile.
                Err(_) if !path.exists() => {}
                Err(why) => unreadable.push((path, why)),
            }
        }
        all.sort_by(|one, other| (one.made_us, &one.message.id).cmp(&(other.made_us, &other.message.id)));
        Ok((all, unreadable))
    }

    /// Takes the lock of a channel, which whoever sends has. Returns `None` while another program has it.
    ///
    /// # Errors
    /// It cannot be taken.
    pub fn lock(&self, channel: &str) -> io::Result<Option<File>> {
        let file = regular::append(&self.folder.join(format!("{}.lock", name(channel, ""))))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Reads a message again, as it is now. Returns `None` if it does not wait any more: another program may have ended it.
    #[must_use]
    pub fn again(&self, entry: &Entry) -> Option<Entry> {
        let name = name(&entry.channel, &entry.message.id);
        let path = self.folder.join(PENDING).join(&name);
        if self.folder.join(ENDED).join(&name).exists() {
            // Its program was killed before it removed the file.
            let _gone = fs::remove_file(&path);
            return None;
        }
        read(&path).ok()
    }

    /// Writes the state of a message that waits.
    ///
    /// # Errors
    /// It could not be written.
    pub fn save(&self, entry: &Entry) -> io::Result<()> {
        let path = self.folder.join(PENDING).join(name(&entry.channel, &entry.message.id));
        whole::replace(&path, &serde_json::to_vec(entry)?, whole::USUAL)
    }

    /// Ends a message: it does not wait any more.
    ///
    /// # Errors
    /// Its end could not be written, so it still waits.
    pub fn end(&self, entry: &Entry, ended: Ended) -> io::Result<()> {
        let name = name(&entry.channel, &entry.message.id);
        let folder = self.folder.join(ENDED);
        fs::create_dir_all(&folder)?;
        let entry = Entry { ended: Some(ended), ..entry.clone() };
        whole::replace(&folder.join(&name), &serde_json::to_vec(&entry)?, whole::USUAL)?;
        fs::remove_file(self.folder.join(PENDING).join(&name))
    }

    /// Returns what a channel answered to an event, if it was delivered and the answer is needed later.
    #[must_use]
    pub fn receipt(&self, channel: &str, event: &str) -> Option<String> {
        let entry = read(&self.folder.join(ENDED).join(name(channel, event))).ok()?;
        match entry.ended? {
            Ended::Delivered { receipt, .. } => receipt,
            Ended::GivenUp { .. } => None,
        }
    }

    /// Returns whether an event was delivered; the error is the reason why it was not.
    ///
    /// # Errors
    /// It was given up, or nobody knows.
    pub fn outcome(&self, channel: &str, event: &str) -> Result<(), String> {
        match read(&self.folder.join(ENDED).join(name(channel, event)))?.ended {
            Some(Ended::Delivered { .. }) => Ok(()),
            Some(Ended::GivenUp { why, .. }) => Err(why),
            None => Err("its end is not known".to_owned()),
        }
    }

    /// Removes the ends of messages that are old.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn tidy(&self) -> io::Result<()> {
        let before = micros(now().saturating_sub(KEPT));
        for entry in self.list(ENDED)?.0.iter().filter(|entry| entry.made_us < before) {
            let _gone = fs::remove_file(self.ended_file(entry));
        }
        Ok(())
    }
}

/// Returns the name of the file of an event for a channel. Names of others are no part of it.
fn name(channel: &str, event: &str) -> String {
    format!("{}.json", short_digest(&format!("{channel}\0{event}")))
}

fn read(path: &Path) -> Result<Entry, String> {
    let mut bytes = Vec::new();
    let file = regular::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let own = path.file_name().is_some_and(|file| file == name(&entry.channel, &entry.message.id).as_str());
    if own { Ok(entry.cleaned()) } else { Err("its name is that of another event".to_owned()) }
}

/// Returns the moment of a message, in microseconds since 1970: that of now, and later than all before.
fn moment() -> u64 {
    let now = micros(now());
    NEWEST.fetch_max(now, Ordering::Relaxed);
    NEWEST.fetch_add(1, Ordering::Relaxed)
}

/// Returns half of the SHA-256 of a text, in hexadecimal digits.
pub(crate) fn short_digest(text: &str) -> String {
    hex(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}

/// Returns a time in microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
