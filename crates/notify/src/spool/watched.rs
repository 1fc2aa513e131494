//! A spool that a program reads again and again. A message that has ended does not change any more, so its file is read only once. Writes nothing.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{ENDED, Entry, PENDING, Spool, read};

/// A spool, and the values that were kept of the messages that have ended.
#[derive(Debug)]
pub struct Watched<T> {
    spool: Spool,
    keep: fn(Entry) -> T,
    /// For each file of an ended message, the time of its last change and the kept value.
    known: HashMap<PathBuf, (SystemTime, T)>,
}

/// The messages that a look finds.
#[derive(Debug)]
pub struct Look<'a, T> {
    /// The messages that wait, the oldest first.
    pub pending: Vec<Entry>,
    /// The kept values of the messages that have ended, in no order.
    pub ended: Vec<&'a T>,
    /// Number of files that cannot be read.
    pub unreadable: usize,
}

impl<T> Watched<T> {
    /// Returns the spool of a directory of runs. `keep` makes the value that is kept of an ended message.
    #[must_use]
    pub fn of(reports: &Path, keep: fn(Entry) -> T) -> Self {
        Self { spool: Spool::of(reports), keep, known: HashMap::new() }
    }

    /// Reads the present state of the spool.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn look(&mut self) -> io::Result<Look<'_, T>> {
        // Waiting messages are listed first: a message that ends in between is then in both lists. In the other order it could be in neither.
        let (mut pending, unreadable) = self.spool.list(PENDING)?;
        let mut unreadable = unreadable.len();
        let mut before = std::mem::take(&mut self.known);
        for file in self.spool.files(ENDED)? {
            let path = file.path();
            // A file whose time cannot be read was removed meanwhile, because it was old.
            let Some(changed) = file.metadata().and_then(|about| about.modified()).ok() else { continue };
            let unchanged = before.remove(&path).filter(|(at, _)| *at == changed);
            // A file that cannot be read is not remembered, so the next look tries again.
            match unchanged.map(|(_, kept)| kept).or_else(|| read(&path).ok().map(self.keep)) {
                Some(kept) => drop(self.known.insert(path, (changed, kept))),
                None if path.exists() => unreadable += 1,
                // It was removed meanwhile, because it was old.
                None => {}
            }
        }
        pending.retain(|entry| !self.known.contains_key(&self.spool.ended_file(entry)));
        let ended = self.known.values().map(|(_, kept)| kept).collect();
        Ok(Look { pending, ended, unreadable })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        message::{Message, What},
        spool::{Ended, FOLDER},
    };

    fn put(spool: &Spool, id: &str) -> Entry {
        spool.put("ops", &Message::new(id, What::Started, "a run has started")).unwrap().expect("new");
        spool.pending().unwrap().into_iter().find(|entry| entry.message.id == id).unwrap()
    }

    #[test]
    fn an_ended_message_is_read_once_and_forgotten_with_its_file() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::of(home.path());
        let mut watched = Watched::of(home.path(), |entry| entry.message.id);
        assert!(watched.look().unwrap().ended.is_empty(), "there is no folder");
        let entry = put(&spool, "one");
        spool.end(&entry, Ended::Delivered { at: "t".to_owned(), receipt: None }).unwrap();
        assert_eq!(watched.look().unwrap().ended, ["one"]);
        // The text changes and the time stays the same, so the file is not read again.
        let path = spool.ended_file(&entry);
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
        let look = watched.look().unwrap();
        assert_eq!((look.ended.len(), look.unreadable), (1, 0));
        fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let look = watched.look().unwrap();
        assert_eq!((look.ended.len(), look.unreadable), (0, 1), "it was written anew");
        let ended = Entry { ended: Some(Ended::Delivered { at: "t".to_owned(), receipt: None }), ..entry };
        fs::write(&path, serde_json::to_vec(&ended).unwrap()).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let look = watched.look().unwrap();
        assert_eq!((look.ended.len(), look.unreadable), (1, 0), "it can be read again, at the same time");
        fs::remove_file(&path).unwrap();
        assert!(watched.look().unwrap().ended.is_empty() && watched.known.is_empty());
    }

    #[test]
    fn a_message_in_both_folders_is_counted_once() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::of(home.path());
        let entry = put(&spool, "one");
        let pending =
            fs::read_dir(home.path().join(FOLDER).join("pending")).unwrap().next().unwrap().unwrap();
        let text = fs::read(pending.path()).unwrap();
        spool
            .end(&entry, Ended::GivenUp { at: "t".to_owned(), why: "status 404".to_owned(), by: None })
            .unwrap();
        fs::write(pending.path(), text).unwrap();
        let mut watched = Watched::of(home.path(), |entry| entry.message.id);
        let look = watched.look().unwrap();
        assert_eq!((look.pending.len(), look.ended.len()), (0, 1));
        let all = spool.all().unwrap();
        assert_eq!((all.pending.len(), all.ended.len()), (0, 1));
    }
}
