//! The state that the kernel deletes when an interface goes down: routes, IPv6 addresses, permanent neighbours. Kept as
//! the messages that make it again, without parts that change by themselves.
//!
//! Restoring never adds an entry that exists, gives the kernel time for entries that it makes again by itself, and
//! leaves out entries that somebody else removed.

mod entry;
mod hex;
mod read;

pub use entry::{Class, Entry};

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use firedrill_netlink::{NetlinkError, Request};
use serde::{Deserialize, Serialize};

use super::Link;
use entry::{KERNEL, Key, ROUTER};

/// Maximum number of entries of one interface that are restored.
pub const MOST: usize = 4096;
/// Entries that are missing after this time are an error. The next try waits for less, because the kernel has had its
/// time.
pub const PATIENCE: Duration = Duration::from_secs(7);
const PATIENCE_AGAIN: Duration = Duration::from_millis(3500);
const PAUSE: Duration = Duration::from_millis(10);

/// An interface before it went down, with the interfaces made on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Number, name, and whether it was up; the interface itself first.
    pub links: Vec<(u32, String, bool)>,
    /// The entries that the kernel may delete.
    #[serde(rename = "things")]
    pub entries: Vec<Entry>,
}

/// The reason why an interface's state cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum NotRestorable {
    /// The kernel could not list it.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// An entry cannot be made again by us.
    #[error("{0}")]
    Cannot(String),
}

impl LinkState {
    /// Reads the present state. `ends` also records when entries end that expire by themselves; this differs at every
    /// look.
    ///
    /// # Errors
    /// The kernel could not list it, or an entry could not be restored.
    pub fn now(links: &[Link], ends: bool) -> Result<Self, NotRestorable> {
        let mut entries = Vec::new();
        for entry in listed(links)? {
            if entry.uses_object() {
                return Err(NotRestorable::Cannot(format!(
                    "{} uses a nexthop object, which the kernel deletes with the interface and which is not put back",
                    entry.describe()
                )));
            }
            entries.push(if ends { entry } else { Entry { ends_us: None, ..entry } });
        }
        if entries.len() > MOST {
            let message = format!(
                "it has {} addresses, routes and neighbours; {MOST} at most are put back",
                entries.len()
            );
            return Err(NotRestorable::Cannot(message));
        }
        let links = links.iter().map(|link| (link.index, link.name.clone(), link.is_up())).collect();
        Ok(Self { links, entries })
    }

    /// Returns the number of entries of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.entries.iter().filter(|entry| entry.class == class).count()
    }

    /// Returns the interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.links.first().map_or("", |(_, name, _)| name)
    }

    /// Returns the IPv4 addresses that are missing. The kernel keeps them on an interface that is down, so somebody
    /// else removed them. Leased ones do not count: a network manager removes them, and brings them back.
    fn removed(&self, links: &[Link]) -> Result<Vec<&Entry>, NetlinkError> {
        let there: BTreeSet<Key> = listed(links)?.iter().map(Entry::key).collect();
        Ok(self
            .entries
            .iter()
            .filter(|entry| entry.stays())
            .filter(|entry| !there.contains(&entry.key()))
            .collect())
    }

    /// Waits until all entries exist again, and makes those that the kernel does not make. Returns how many were made,
    /// and those that somebody else removed meanwhile. `first`: the interface was set up just now, so the kernel has
    /// had no time yet.
    ///
    /// # Errors
    /// Entries are missing after the maximum time; the text names some, and the last error.
    pub fn put_back(&self, links: &[Link], first: bool) -> Result<(usize, Vec<String>), String> {
        let most = if first { PATIENCE } else { PATIENCE_AGAIN };
        let patience = |entry: &Entry| entry.patience().min(if first { ROUTER } else { KERNEL });
        // Since then all addresses exist, from which the kernel makes its routes.
        let mut began = Instant::now();
        let mut made = BTreeSet::new();
        let gone = self.removed(links).map_err(|error| error.to_string())?;
        let mut why = String::new();
        loop {
            let there: BTreeSet<Key> =
                listed(links).map_err(|error| error.to_string())?.iter().map(Entry::key).collect();
            let missing: Vec<&Entry> = self
                .entries
                .iter()
                .filter(|entry| !entry.is_over() && !entry.is_of(&gone) && !there.contains(&entry.key()))
                .collect();
            if missing.is_empty() {
                return Ok((made.len(), gone.iter().map(|entry| entry.describe()).collect()));
            }
            if began.elapsed() >= most {
                let names: Vec<String> = missing.iter().take(4).map(|entry| entry.describe()).collect();
                let more = if missing.len() > 4 {
                    format!(" and {} more", missing.len() - 4)
                } else {
                    String::new()
                };
                return Err(format!("missing after {most:?}: {}{more}{why}", names.join(", ")));
            }
            let mut socket = super::route_socket().map_err(|error| error.to_string())?;
            let incomplete = missing.iter().any(|entry| entry.class == Class::Address);
            let due = |entry: &&Entry| {
                began.elapsed() >= patience(entry)
                    && !(entry.is_of_kernel() && (incomplete || entry.is_local()))
            };
            let due: Vec<&Entry> = missing.into_iter().filter(due).collect();
            for entry in due {
                match entry.make(&mut socket) {
                    Ok(()) if made.insert(entry) && entry.class == Class::Address => began = Instant::now(),
                    Ok(()) => {}
                    // It came meanwhile, or it needs another entry that comes later.
                    Err(error) => why = format!("; last error: {error}"),
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Lists all entries of some interfaces, as messages that make them again.
fn listed(links: &[Link]) -> Result<Vec<Entry>, NetlinkError> {
    let indices: BTreeSet<u32> = links.iter().map(|link| link.index).collect();
    let mut socket = super::route_socket()?;
    let mut all = Vec::new();
    for class in Class::ALL {
        let request = Request { kind: class.messages().1, flags: 0, body: vec![0; class.header()] };
        let listed = socket.dump("list what an interface has", &request)?;
        all.extend(listed.iter().filter_map(|message| read::entry(class, message, &indices)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_calls_the_entries_what_it_always_did() {
        let body = vec![0xfe; 12];
        let entries = vec![Entry { class: Class::Route, body, ends_us: None }];
        let state = LinkState { links: vec![(2, "eth0".to_owned(), true)], entries };
        let json =
            r#"{"links":[[2,"eth0",true]],"things":[{"class":"route","body":"fefefefefefefefefefefefe"}]}"#;
        assert_eq!(serde_json::to_string(&state).unwrap(), json);
        assert_eq!(serde_json::from_str::<LinkState>(json).unwrap(), state);
    }
}
