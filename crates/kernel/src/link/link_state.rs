//! The entries that the kernel deletes when an interface goes down: routes, IPv6 addresses, permanent neighbours. They are stored as the
//! messages that make them again, without the parts that change by themselves.
//!
//! Restoring never adds an entry that exists, gives the kernel time for the entries that it makes again by itself, and never makes entries
//! that another program removed.

mod entry;
mod hex;
mod read;

pub use entry::{Class, Entry};

use std::{
    collections::BTreeSet,
    fmt, thread,
    time::{Duration, Instant},
};

use firedrill_netlink::{NetlinkError, Request};
use serde::{Deserialize, Serialize};

use super::{Link, all, set};
use entry::{KERNEL, Key, ROUTER};

/// Maximum number of entries of one interface that are restored.
pub const MOST: usize = 4096;
/// Maximum time until all entries must exist again after an interface was set up.
pub const PATIENCE: Duration = Duration::from_secs(7);
/// The same for a later try. It is shorter, because the kernel has had time already.
const PATIENCE_AGAIN: Duration = Duration::from_millis(3500);
/// Time between two looks at the entries.
const PAUSE: Duration = Duration::from_millis(10);

/// The state of an interface before it went down, including the interfaces above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Index, name, and whether the interface was up; the interface itself first.
    pub links: Vec<(u32, String, bool)>,
    /// The entries that the kernel may delete.
    #[serde(rename = "things")]
    pub entries: Vec<Entry>,
}

/// An interface that is up again, and the interfaces above it.
#[derive(Debug)]
pub struct Raised {
    /// Whether the interface was down until now, so that the kernel has had no time yet to make entries.
    pub was_down: bool,
    links: Vec<Link>,
}

/// A change of an interface's entries by another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The entry, described for people.
    pub what: String,
    /// The kind of change: `added` or `removed`.
    pub how: &'static str,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {}", self.what, self.how)
    }
}

/// The reason why an interface's state cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum NotRestorable {
    /// The kernel could not list the state.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// An entry cannot be made again; the text is the reason.
    #[error("{0}")]
    Cannot(String),
}

impl LinkState {
    /// Reads the current state. With `ends`, also records the end of each entry that expires by itself; that time is a little different at
    /// every reading.
    ///
    /// # Errors
    /// The kernel could not list the state, or an entry could not be restored.
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

    /// Returns the IPv4 addresses that are missing. The kernel keeps them on an interface that is down, so another program has removed them.
    /// Leased addresses do not count: a network manager removes them and brings them back.
    fn removed(&self, links: &[Link]) -> Result<Vec<&Entry>, NetlinkError> {
        let existing: BTreeSet<Key> = listed(links)?.iter().map(Entry::key).collect();
        Ok(self
            .entries
            .iter()
            .filter(|entry| entry.stays())
            .filter(|entry| !existing.contains(&entry.key()))
            .collect())
    }

    /// Sets the interface up, and the interfaces above it that were up before. `None` if the interface was removed.
    ///
    /// # Errors
    /// An interface could not be read or set up.
    pub fn raise(&self) -> Result<Option<Raised>, NetlinkError> {
        let links = all()?;
        let here: Vec<_> = self
            .links
            .iter()
            .filter_map(|(index, _, up)| Some((links.iter().find(|link| link.index == *index)?, *up)))
            .collect();
        let own = self.links.first().map(|(index, ..)| *index);
        let Some((first, _)) = here.first().filter(|(link, _)| Some(link.index) == own) else {
            return Ok(None);
        };
        let was_down = !first.is_up();
        for (link, up) in &here {
            // The kernel sets a VLAN up together with its parent, even if the VLAN was down before.
            if *up && !link.is_up() {
                set(link.index, &link.name, true)?;
            } else if !up && was_down {
                set(link.index, &link.name, false)?;
            }
        }
        Ok(Some(Raised { was_down, links: here.into_iter().map(|(link, _)| link.clone()).collect() }))
    }

    /// Returns the state to restore after the interface goes down once more, and the changes that other programs made while it was up. `now`
    /// is its current state. `complete` says whether all entries had been restored; otherwise the missing entries must still be restored.
    #[must_use]
    pub fn followed_by(&self, now: Self, complete: bool) -> (Self, Vec<Change>) {
        let keys = |state: &Self| state.entries.iter().map(Entry::key).collect::<BTreeSet<Key>>();
        let (before, after) = (keys(self), keys(&now));
        if complete {
            // The kernel and routers make and remove entries by themselves.
            let by_people = |entry: &&Entry| entry.patience().is_zero();
            let changed = |entries: &[Entry], others: &BTreeSet<Key>, how| -> Vec<Change> {
                let new = entries.iter().filter(|entry| !others.contains(&entry.key()));
                new.filter(by_people).map(|entry| Change { what: entry.describe(), how }).collect()
            };
            let mut changes = changed(&self.entries, &after, "removed");
            changes.extend(changed(&now.entries, &before, "added"));
            return (now, changes);
        }
        let Self { mut links, mut entries } = now;
        for earlier in &self.links {
            match links.iter_mut().find(|(index, ..)| *index == earlier.0) {
                Some((.., up)) => *up = earlier.2,
                None => links.push(earlier.clone()),
            }
        }
        entries.extend(self.entries.iter().filter(|entry| !after.contains(&entry.key())).cloned());
        entries.sort_by_key(|entry| entry.class);
        (Self { links, entries }, Vec::new())
    }

    /// Waits until all entries exist again, and makes the entries that the kernel does not make. Returns the number of entries that were
    /// made, and the entries that another program removed meanwhile. Stops as soon as `wanted` returns false.
    ///
    /// # Errors
    /// Entries are missing after the maximum time, or when `wanted` returned false. The text names some of them, and the last error.
    pub fn put_back(
        &self,
        raised: &Raised,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(usize, Vec<Change>), String> {
        let (links, first) = (&raised.links[..], raised.was_down);
        let most = if first { PATIENCE } else { PATIENCE_AGAIN };
        let patience = |entry: &Entry| entry.patience().min(if first { ROUTER } else { KERNEL });
        // Restarted with each address that is made, because the kernel makes its routes only from existing addresses.
        let mut began = Instant::now();
        let mut made = BTreeSet::new();
        let gone = self.removed(links).map_err(|error| error.to_string())?;
        let mut why = String::new();
        loop {
            let existing: BTreeSet<Key> =
                listed(links).map_err(|error| error.to_string())?.iter().map(Entry::key).collect();
            let missing: Vec<&Entry> = self
                .entries
                .iter()
                .filter(|entry| !entry.is_over() && !entry.is_of(&gone) && !existing.contains(&entry.key()))
                .collect();
            if missing.is_empty() {
                let removed = gone.iter().map(|entry| Change { what: entry.describe(), how: "removed" });
                return Ok((made.len(), removed.collect()));
            }
            let stopped = !wanted();
            if stopped || began.elapsed() >= most {
                let names: Vec<String> = missing.iter().take(4).map(|entry| entry.describe()).collect();
                let more = if missing.len() > 4 {
                    format!(" and {} more", missing.len() - 4)
                } else {
                    String::new()
                };
                let after = if stopped { "for now".to_owned() } else { format!("after {most:?}") };
                return Err(format!("missing {after}: {}{more}{why}", names.join(", ")));
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
                    // The entry may exist by now, or it may need another entry that is made later. The next round shows that.
                    Err(error) => why = format!("; last error: {error}"),
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Lists all entries of these interfaces, as messages that make them again.
fn listed(links: &[Link]) -> Result<Vec<Entry>, NetlinkError> {
    let indices: BTreeSet<u32> = links.iter().map(|link| link.index).collect();
    let mut socket = super::route_socket()?;
    let mut entries = Vec::new();
    for class in Class::ALL {
        let request = Request { kind: class.messages().1, flags: 0, body: vec![0; class.header()] };
        let listed = socket.dump("list what an interface has", &request)?;
        entries.extend(listed.iter().filter_map(|message| read::entry(class, message, &indices)));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a static route. Different numbers make different routes.
    fn route(number: u8) -> Entry {
        let mut body = vec![0; 12];
        (body[0], body[5], body[11]) = (2, 4, number);
        Entry { class: Class::Route, body, ends_us: None }
    }

    fn state(numbers: &[u8]) -> LinkState {
        let entries = numbers.iter().copied().map(route).collect();
        LinkState { links: vec![(2, "eth0".to_owned(), true)], entries }
    }

    #[test]
    fn a_complete_state_replaces_the_state_before_and_changes_are_returned() {
        let (next, changes) = state(&[1, 2]).followed_by(state(&[2, 3]), true);
        assert_eq!(next, state(&[2, 3]));
        let how: Vec<_> = changes.iter().map(|change| change.how).collect();
        assert_eq!(how, ["removed", "added"]);
        assert_eq!(changes[0].to_string(), format!("{} was removed", route(1).describe()));
    }

    #[test]
    fn entries_that_were_not_restored_yet_must_still_be_restored() {
        let (next, changes) = state(&[1, 2]).followed_by(state(&[2, 3]), false);
        assert_eq!((next, changes), (state(&[2, 3, 1]), Vec::new()));
        // A VLAN that could not be set up yet must still be set up.
        let mut before = state(&[]);
        before.links.push((3, "eth0.7".to_owned(), true));
        let mut now = before.clone();
        now.links[1].2 = false;
        assert_eq!(before.followed_by(now, false).0, before);
    }

    #[test]
    fn the_format_of_the_entries_in_the_journal_stays_the_same() {
        let body = vec![0xfe; 12];
        let entries = vec![Entry { class: Class::Route, body, ends_us: None }];
        let state = LinkState { links: vec![(2, "eth0".to_owned(), true)], entries };
        let json =
            r#"{"links":[[2,"eth0",true]],"things":[{"class":"route","body":"fefefefefefefefefefefefe"}]}"#;
        assert_eq!(serde_json::to_string(&state).unwrap(), json);
        assert_eq!(serde_json::from_str::<LinkState>(json).unwrap(), state);
    }
}
