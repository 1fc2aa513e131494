//! Resolves a fault's names of peers and the cgroup of its service again and again while the fault is in force, and adds new results to the
//! rules.
//!
//! Never removes a result, because an address that a name once had may still have connections. Each fault has its own threads, so that slow
//! look-ups delay nothing else. The threads end when the rules are removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::ToSocketAddrs as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use firedrill_wire::InjectionId;
use ipnet::IpNet;

use super::{
    cgroup,
    nft::{Adder, interval::Intervals},
    peer_set::Adds,
};

/// The interval at which names are resolved.
pub const EVERY: Duration = Duration::from_secs(5);
/// The interval at which the cgroup of a service is looked up. That costs one system call.
pub const SERVICE_EVERY: Duration = Duration::from_millis(100);
/// Number of look-ups of a cgroup between two checks whether the rules still exist.
const LOOKS: u32 = 10;

/// The results of following so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed<T> {
    /// Number of look-ups.
    pub looks: u64,
    /// The results that were added.
    pub added: Vec<T>,
    /// The error of the last look-up; `None` if it succeeded.
    pub failed: Option<String>,
}

impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { looks: 0, added: Vec::new(), failed: None }
    }
}

/// The injections whose names and services are followed.
#[derive(Debug, Default)]
pub struct Followers {
    names: Threads<IpNet>,
    services: Threads<u64>,
}

impl Followers {
    /// Starts to follow names, unless the injection's names are followed already. `known` are the addresses that the rules have.
    pub fn follow(
        &self,
        id: &InjectionId,
        names: Vec<String>,
        mut known: BTreeSet<IpNet>,
        adder: impl Adds + Send + 'static,
    ) {
        if names.is_empty() {
            return;
        }
        self.names.follow(id, "names", move |followed| {
            loop {
                thread::sleep(EVERY);
                match adder.is_there() {
                    Ok(false) => return,
                    Ok(true) => look_up(&names, &mut known, &adder, followed),
                    Err(error) => locked(followed).failed = Some(error),
                }
            }
        });
    }

    /// Starts to follow the cgroup that has a service's folder, unless the injection's service is followed already. `known` are the ids in
    /// the rules' set `set`.
    pub fn follow_service(
        &self,
        id: &InjectionId,
        folder: PathBuf,
        mut known: BTreeSet<u64>,
        set: &'static str,
        adder: Adder,
    ) {
        self.services.follow(id, "service", move |followed| {
            loop {
                for _ in 0..LOOKS {
                    look_at(&folder, &mut known, set, &adder, followed);
                    thread::sleep(SERVICE_EVERY);
                }
                if let Ok(false) = adder.is_there() {
                    return;
                }
            }
        });
    }

    /// Returns the results of following an injection's names; `None` if they are not followed.
    #[must_use]
    pub fn followed(&self, id: &InjectionId) -> Option<Followed<IpNet>> {
        self.names.followed(id)
    }

    /// Returns the results of following an injection's service, in which each new cgroup means a restart; `None` if it is not followed.
    #[must_use]
    pub fn restarted(&self, id: &InjectionId) -> Option<Followed<u64>> {
        self.services.followed(id)
    }
}

/// The threads that follow one kind of results, one per injection, by their results so far.
#[derive(Debug)]
struct Threads<T>(Mutex<BTreeMap<InjectionId, Arc<Mutex<Followed<T>>>>>);

impl<T> Default for Threads<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone + Send + 'static> Threads<T> {
    /// Starts a thread for an injection, unless it has one. `subject` is the name of the thread, and says what is followed.
    fn follow(
        &self,
        id: &InjectionId,
        subject: &str,
        work: impl FnOnce(&Mutex<Followed<T>>) + Send + 'static,
    ) {
        let mut threads = locked(&self.0);
        // Entries whose threads have ended are removed.
        threads.retain(|_, followed| Arc::strong_count(followed) > 1);
        if threads.contains_key(id) {
            return;
        }
        let followed = Arc::new(Mutex::new(Followed::default()));
        let mine = followed.clone();
        match thread::Builder::new().name(subject.to_owned()).spawn(move || work(&mine)) {
            Ok(_) => {
                threads.insert(id.clone(), followed);
            }
            Err(error) => tracing::warn!("{id}: its {subject} is not followed: {error}"),
        }
    }

    fn followed(&self, id: &InjectionId) -> Option<Followed<T>> {
        let threads = locked(&self.0);
        threads.get(id).map(|followed| locked(followed).clone())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves the names, and adds the new addresses to the rules. If a name fails, nothing counts as added, so that the next look-up adds it
/// again.
fn look_up(
    names: &[String],
    known: &mut BTreeSet<IpNet>,
    adder: &impl Adds,
    followed: &Mutex<Followed<IpNet>>,
) {
    let mut failed = None;
    let mut fresh = BTreeSet::new();
    for name in names {
        match (name.as_str(), 0).to_socket_addrs() {
            Ok(found) => fresh.extend(found.map(|address| IpNet::from(address.ip().to_canonical()))),
            Err(error) => failed = Some(format!("{name}: {error}")),
        }
    }
    fresh.retain(|network| !known.iter().any(|known| known.contains(network)));
    if !fresh.is_empty()
        && let Err(error) = adder.add(&fresh.iter().copied().collect::<Vec<_>>())
    {
        failed = Some(error);
    }
    let mut followed = locked(followed);
    followed.looks += 1;
    if failed.is_none() {
        followed.added.extend(fresh.iter().copied());
        known.extend(fresh);
    }
    followed.failed = failed;
}

/// Looks up the id of the service's cgroup, and adds it to the rules if it is new.
fn look_at(
    folder: &Path,
    known: &mut BTreeSet<u64>,
    set: &str,
    adder: &Adder,
    followed: &Mutex<Followed<u64>>,
) {
    // If the folder does not exist, the service is down, and there is nothing to add.
    let fresh = cgroup::id(folder).map(|id| id.filter(|id| !known.contains(id)));
    let added = match fresh {
        Ok(None) => Ok(None),
        Ok(Some(id)) => {
            adder.ranges(set, &Intervals::numbers([id])).map(|()| Some(id)).map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("{}: {error}", folder.display())),
    };
    let mut followed = locked(followed);
    followed.looks += 1;
    match added {
        Ok(added) => {
            followed.added.extend(added);
            known.extend(added);
            followed.failed = None;
        }
        Err(error) => followed.failed = Some(error),
    }
}
