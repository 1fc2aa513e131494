//! Names of peers, looked up again while a fault holds: what a name gives then is added to the peers of the rules.
//!
//! Only ever adds: an address that a name gave once may still have connections. Ends with the rules, and holds nothing up:
//! each fault's look-ups have a thread of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::ToSocketAddrs as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use firedrill_wire::InjectionId;
use ipnet::IpNet;

/// How often names are looked up.
pub const EVERY: Duration = Duration::from_secs(5);

/// Adds to the peers of rules that are in force. Never makes what is not there.
pub trait Adds {
    /// Whether the rules are there still.
    ///
    /// # Errors
    /// What could not be read, for people.
    fn is_there(&self) -> Result<bool, String>;
    /// Adds to the peers.
    ///
    /// # Errors
    /// What could not be added, for people.
    fn add(&self, networks: &[IpNet]) -> Result<(), String>;
}

/// What following has brought so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// How often names were looked up.
    pub looks: u32,
    /// Addresses that came.
    pub added: Vec<IpNet>,
    /// What went wrong last, if the last look did.
    pub failed: Option<String>,
}

/// Whose names are followed.
#[derive(Debug, Default)]
pub struct Followers(Mutex<BTreeMap<InjectionId, Arc<Mutex<Followed>>>>);

impl Followers {
    /// Follows names, unless that is done already. `known` are the addresses that are among the rules' peers.
    pub fn follow(
        &self,
        id: &InjectionId,
        names: Vec<String>,
        known: BTreeSet<IpNet>,
        adder: impl Adds + Send + 'static,
    ) {
        if names.is_empty() {
            return;
        }
        let mut all = locked(&self.0);
        // Those whose thread has ended have nobody else who knows them.
        all.retain(|_, followed| Arc::strong_count(followed) > 1);
        if all.contains_key(id) {
            return;
        }
        let followed = Arc::new(Mutex::new(Followed::default()));
        let mine = followed.clone();
        let work = move || work(&names, known, &adder, &mine);
        match thread::Builder::new().name("names".to_owned()).spawn(work) {
            Ok(_) => {
                all.insert(id.clone(), followed);
            }
            Err(error) => tracing::warn!("{id}: its names are not followed: {error}"),
        }
    }

    /// What following has brought for an injection.
    #[must_use]
    pub fn followed(&self, id: &InjectionId) -> Option<Followed> {
        let all = locked(&self.0);
        all.get(id).map(|followed| locked(followed).clone())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(names: &[String], mut known: BTreeSet<IpNet>, adder: &impl Adds, followed: &Mutex<Followed>) {
    loop {
        thread::sleep(EVERY);
        let mut failed = None;
        let mut fresh = BTreeSet::new();
        for name in names {
            match (name.as_str(), 0).to_socket_addrs() {
                Ok(found) => fresh.extend(found.map(|address| IpNet::from(address.ip().to_canonical()))),
                Err(error) => failed = Some(format!("{name}: {error}")),
            }
        }
        fresh.retain(|network| !known.iter().any(|known| known.contains(network)));
        match adder.is_there() {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => failed = Some(error),
        }
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
}
