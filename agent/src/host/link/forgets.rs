//! What the kernel forgets when an interface goes down: routes, IPv6 addresses, permanent neighbours. Kept as messages that
//! put them back, without what changes by itself; and put back, whoever does it.
//!
//! Never adds what is there, gives the kernel time for what it makes again by itself, and leaves away what somebody else
//! removed.

mod hex;
mod read;
mod thing;

pub use thing::{Class, Thing};

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use firedrill_netlink::{NetlinkError, Request};
use serde::{Deserialize, Serialize};

use super::Link;
use thing::Key;

/// So many things of one interface are put back at most.
pub const MOST: usize = 4096;
/// The kernel makes link-local addresses and the routes of addresses again by itself, within this time after the last
/// address.
const KERNEL: Duration = Duration::from_secs(3);
/// A router that answers the kernel's question brings its addresses and routes back within this time.
const ROUTER: Duration = Duration::from_secs(5);
/// What is not back then is an error; it is tried again, but then nothing is waited for that had its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(7);
const PATIENCE_AGAIN: Duration = Duration::from_millis(3500);
const PAUSE: Duration = Duration::from_millis(10);
/// An interface before it went down, with what was made on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    /// Number, name, and whether it was up; the interface itself first.
    pub links: Vec<(u32, String, bool)>,
    /// What the kernel may forget.
    pub things: Vec<Thing>,
}

/// An interface cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum Unkept {
    /// The kernel did not say what is there.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// There is something that cannot be made again from here.
    #[error("{0}")]
    Cannot(String),
}

impl Was {
    /// What is there now. `ends` also notes how long things live that end by themselves, which differs at every look.
    ///
    /// # Errors
    /// The kernel could not list it, or some of it could not be put back.
    pub fn now(links: &[Link], ends: bool) -> Result<Self, Unkept> {
        let mut things = Vec::new();
        for thing in listed(links)? {
            if thing.uses_object() {
                return Err(Unkept::Cannot(format!(
                    "{} uses a nexthop object, which the kernel deletes with the interface and which is not put back",
                    thing.describe()
                )));
            }
            things.push(if ends { thing } else { Thing { ends_us: None, ..thing } });
        }
        if things.len() > MOST {
            let message = format!(
                "it has {} addresses, routes and neighbours; {MOST} at most are put back",
                things.len()
            );
            return Err(Unkept::Cannot(message));
        }
        let links = links.iter().map(|link| (link.index, link.name.clone(), link.is_up())).collect();
        Ok(Self { links, things })
    }

    /// How many there are of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.things.iter().filter(|thing| thing.class == class).count()
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.links.first().map_or("", |(_, name, _)| name)
    }

    /// IPv4 addresses that are not there. They stay on an interface that is down, so somebody else removed them; those of a
    /// lease are a network manager's, which also brings them back.
    fn removed(&self, links: &[Link]) -> Result<Vec<&Thing>, NetlinkError> {
        let there: BTreeSet<Key> = listed(links)?.iter().map(Thing::key).collect();
        Ok(self
            .things
            .iter()
            .filter(|thing| thing.stays())
            .filter(|thing| !there.contains(&thing.key()))
            .collect())
    }

    /// Waits until all is there again, and makes what the kernel does not make; how many it were, and what somebody else
    /// removed meanwhile. `first`: they have been set up just now, so that the kernel has had no time yet.
    ///
    /// # Errors
    /// What is missing after some time, and why.
    pub fn put_back(&self, links: &[Link], first: bool) -> Result<(usize, Vec<String>), String> {
        let most = if first { PATIENCE } else { PATIENCE_AGAIN };
        let patience = |thing: &Thing| thing.patience().min(if first { ROUTER } else { KERNEL });
        // Since then all addresses have been there, from which the kernel makes its routes.
        let mut began = Instant::now();
        let mut made = BTreeSet::new();
        let gone = self.removed(links).map_err(|error| error.to_string())?;
        let mut why = String::new();
        loop {
            let there: BTreeSet<Key> =
                listed(links).map_err(|error| error.to_string())?.iter().map(Thing::key).collect();
            let missing: Vec<&Thing> = self
                .things
                .iter()
                .filter(|thing| !thing.is_over() && !thing.is_of(&gone) && !there.contains(&thing.key()))
                .collect();
            if missing.is_empty() {
                return Ok((made.len(), gone.iter().map(|thing| thing.describe()).collect()));
            }
            if began.elapsed() >= most {
                let names: Vec<String> = missing.iter().take(4).map(|thing| thing.describe()).collect();
                let more = if missing.len() > 4 {
                    format!(" and {} more", missing.len() - 4)
                } else {
                    String::new()
                };
                return Err(format!("missing after {most:?}: {}{more}{why}", names.join(", ")));
            }
            let mut socket = super::route_socket().map_err(|error| error.to_string())?;
            let incomplete = missing.iter().any(|thing| thing.class == Class::Address);
            let due = |thing: &&Thing| {
                began.elapsed() >= patience(thing)
                    && !(thing.is_of_kernel() && (incomplete || thing.is_local()))
            };
            let due: Vec<&Thing> = missing.into_iter().filter(due).collect();
            for thing in due {
                match thing.make(&mut socket) {
                    Ok(()) if made.insert(thing) && thing.class == Class::Address => began = Instant::now(),
                    Ok(()) => {}
                    // It came meanwhile, or it needs another one that comes later.
                    Err(error) => why = format!("; last error: {error}"),
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// All things of some interfaces, as they can be made again.
fn listed(links: &[Link]) -> Result<Vec<Thing>, NetlinkError> {
    let indices: BTreeSet<u32> = links.iter().map(|link| link.index).collect();
    let mut socket = super::route_socket()?;
    let mut all = Vec::new();
    for class in Class::ALL {
        let request = Request { kind: class.messages().1, flags: 0, body: vec![0; class.header()] };
        let listed = socket.dump("list what an interface has", &request)?;
        all.extend(listed.iter().filter_map(|message| read::thing(class, message, &indices)));
    }
    Ok(all)
}
