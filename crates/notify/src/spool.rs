//! The spool: before a message is sent, it is written into a file for each channel, in a hidden folder of the directory of runs. The file survives the
//! program that wrote it, so another program that delivers for the channel can send it. This module sends nothing.

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

/// The folder in a directory of runs. It is hidden, so it is not taken for a run.
pub const FOLDER: &str = ".notify";
/// The folder of messages that wait.
const PENDING: &str = "pending";
/// The folder of messages that were delivered or given up.
const ENDED: &str = "ended";
/// Maximum size of a file that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// The time for which a message is kept after it was delivered or given up.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The newest time that a message of this process has got, in microseconds since 1970. Each message gets a later one, which keeps their order.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// The spool of a directory of runs.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

/// The messages of a folder, and its files that cannot be read, each with the reason.
type Content = (Vec<Entry>, Vec<(PathBuf, String)>);

/// The messages that are in a spool.
#[derive(Debug, Default)]
pub struct Listing {
    /// The messages that wait, the oldest first.
    pub pending: Vec<Entry>,
    /// The messages that were delivered or given up, the oldest first.
    pub ended: Vec<Entry>,
    /// The files that cannot be read, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Spool {
    /// Returns the spool of a directory of runs. Creates nothing.
    #[must_use]
    pub fn of(reports: &Path) -> Self {
        Self { folder: reports.join(FOLDER) }
    }

    /// Writes a message for a channel, and returns its file. The file survives a crash of this process at once, and a power loss after
    /// [`Self::sync`]. Returns `None` if the channel already has a message about this event.
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

    /// Syncs a message file to the disk.
    ///
    /// # Errors
    /// It could not be synced. If the message was delivered meanwhile, this is no error.
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
        // If a message is in both folders, its program was killed before it removed the waiting file.
        pending.retain(|entry| !self.ended_file(entry).exists());
        unreadable.extend(more);
        Ok(Listing { pending, ended, unreadable })
    }

    /// Returns the path of a message's file after it was delivered or given up.
    fn ended_file(&self, entry: &Entry) -> PathBuf {
        self.folder.join(ENDED).join(name(&entry.channel, &entry.message.id))
    }

    /// Returns the files of messages in one of the two folders; none if the folder does not exist.
    fn files(&self, folder: &str) -> io::Result<Vec<fs::DirEntry>> {
        let is_entry = |file: &io::Result<fs::DirEntry>| {
            file.as_ref().map_or(true, |file| file.path().extension().is_some_and(|end| end == "json"))
        };
        match fs::read_dir(self.folder.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            files => files?.filter(is_entry).collect(),
        }
    }

    /// Reads the messages of one of the two folders, the oldest first.
    fn list(&self, folder: &str) -> io::Result<Content> {
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for file in self.files(folder)? {
            let path = file.path();
            match read(&path) {
                Ok(entry) => entries.push(entry),
                // The message was delivered meanwhile.
                Err(_) if !path.exists() => {}
                Err(why) => unreadable.push((path, why)),
            }
        }
        entries
            .sort_by(|left, right| (left.made_us, &left.message.id).cmp(&(right.made_us, &right.message.id)));
        Ok((entries, unreadable))
    }

    /// Takes the lock of a channel. Only a program that holds it may send by the channel. Returns `None` while another program holds it.
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

    /// Reads the present state of a message. Returns `None` if it does not wait any more: another program may have delivered it or given it up.
    #[must_use]
    pub fn again(&self, entry: &Entry) -> Option<Entry> {
        let name = name(&entry.channel, &entry.message.id);
        let path = self.folder.join(PENDING).join(&name);
        if self.folder.join(ENDED).join(&name).exists() {
            // The program that delivered it was killed before it removed this file.
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

    /// Marks a message as delivered or given up. It does not wait any more.
    ///
    /// # Errors
    /// The mark could not be written, so the message still waits.
    pub fn end(&self, entry: &Entry, ended: Ended) -> io::Result<()> {
        let name = name(&entry.channel, &entry.message.id);
        let folder = self.folder.join(ENDED);
        fs::create_dir_all(&folder)?;
        let entry = Entry { ended: Some(ended), ..entry.clone() };
        whole::replace(&folder.join(&name), &serde_json::to_vec(&entry)?, whole::USUAL)?;
        fs::remove_file(self.folder.join(PENDING).join(&name))
    }

    /// Returns the receipt that a channel gave for the message about an event; `None` if it was not delivered or there is no receipt.
    #[must_use]
    pub fn receipt(&self, channel: &str, event: &str) -> Option<String> {
        let entry = read(&self.folder.join(ENDED).join(name(channel, event))).ok()?;
        match entry.ended? {
            Ended::Delivered { receipt, .. } => receipt,
            Ended::GivenUp { .. } => None,
        }
    }

    /// Succeeds if the message about an event was delivered.
    ///
    /// # Errors
    /// It was given up, or its end is not known. The error is the reason, as a clause.
    pub fn outcome(&self, channel: &str, event: &str) -> Result<(), String> {
        match read(&self.folder.join(ENDED).join(name(channel, event)))?.ended {
            Some(Ended::Delivered { .. }) => Ok(()),
            Some(Ended::GivenUp { why, .. }) => Err(why),
            None => Err("its end is not known".to_owned()),
        }
    }

    /// Removes old messages that were delivered or given up.
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

/// Returns the name of the file for a channel's message about an event. The name is a digest, so it contains no text from outside.
fn name(channel: &str, event: &str) -> String {
    format!("{}.json", short_digest(&format!("{channel}\0{event}")))
}

/// Reads a message file. A file whose name does not fit its content is an error.
fn read(path: &Path) -> Result<Entry, String> {
    let mut bytes = Vec::new();
    let file = regular::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let entry: Entry = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let has_own_name =
        path.file_name().is_some_and(|file| file == name(&entry.channel, &entry.message.id).as_str());
    if has_own_name { Ok(entry.cleaned()) } else { Err("its name is that of another event".to_owned()) }
}

/// Returns the time for a new message, in microseconds since 1970: the present time, but later than that of each earlier message of this process.
fn moment() -> u64 {
    let now = micros(now());
    NEWEST.fetch_max(now, Ordering::Relaxed);
    NEWEST.fetch_add(1, Ordering::Relaxed)
}

/// Returns the first half of the SHA-256 of a text, in hexadecimal digits.
pub(crate) fn short_digest(text: &str) -> String {
    hex(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}

/// Converts a time to microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
