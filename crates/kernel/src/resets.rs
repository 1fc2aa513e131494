//! Resets TCP connections, once or repeatedly: chooses the connections, runs the thread that resets them, and counts them.
//!
//! The thread never resets a connection after the end of the lease or the hold, and checks that before every single connection. It ends with
//! this process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use firedrill_netlink::NetlinkError;
use firedrill_probe::clock::boot_us;
use firedrill_wire::InjectionId;
use ipnet::IpNet;

use super::{
    cgroup,
    leased::{Leased, Worker},
    sockets::{Connection, Sockets},
};

/// Minimum time between two searches for new connections while the fault is in force.
pub const EVERY: Duration = Duration::from_millis(100);
/// The searches take at most one part in this many of the time, however many connections there are.
const SHARE: u32 = 10;
/// Maximum number of injections whose counts are kept for evidence.
const KEPT: usize = 512;

/// The chosen connections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The networks of the peers, by the length of their prefix. Empty means all peers.
    networks: BTreeMap<u8, HashSet<IpNet>>,
    local_ports: Vec<(u16, u16)>,
    remote_ports: Vec<(u16, u16)>,
    /// Ports of this host whose connections are never reset: those of the agent and of SSH.
    control: Vec<u16>,
    /// The port of agents on other hosts, whose connections are never reset: this host may run the coordinator, or be a jump host. 0 means none.
    agents: u16,
    /// Remote addresses whose connections are never reset.
    spared: Vec<IpAddr>,
    /// The folder of the cgroup in or below which a connection's socket must have been made; `None` means any.
    service: Option<PathBuf>,
}

impl Choice {
    /// Chooses the connections with these peers and these local and remote ports. An empty list means all.
    #[must_use]
    pub fn new(peers: impl Iterator<Item = IpNet>, local: &[(u16, u16)], remote: &[(u16, u16)]) -> Self {
        let mut networks: BTreeMap<u8, HashSet<IpNet>> = BTreeMap::new();
        for network in peers {
            networks.entry(network.prefix_len()).or_default().insert(network.trunc());
        }
        Self { networks, local_ports: local.to_vec(), remote_ports: remote.to_vec(), ..Self::default() }
    }

    /// Excludes the connections of the control path, and those with some remote addresses.
    #[must_use]
    pub fn sparing(mut self, control: Vec<u16>, agents: u16, addresses: Vec<IpAddr>) -> Self {
        (self.control, self.agents, self.spared) = (control, agents, addresses);
        self
    }

    /// Restricts the choice to a service, by the folder of its cgroup. After a restart of the service, another cgroup may have the folder.
    #[must_use]
    pub fn of_service(mut self, folder: Option<PathBuf>) -> Self {
        self.service = folder;
        self
    }

    /// Returns the ids of the service's current cgroups; `None` if the choice is not restricted to a service.
    fn cgroups(&self) -> Result<Option<BTreeSet<u64>>, NetlinkError> {
        let Some(folder) = &self.service else { return Ok(None) };
        let what = format!("look for the cgroup {}", folder.display());
        cgroup::ids(folder).map(Some).map_err(|error| NetlinkError::io(&what, &error))
    }

    /// Whether a connection is chosen, apart from its cgroup. `own` are this host's addresses: connections between them go over loopback and
    /// are not chosen.
    #[must_use]
    pub fn has(&self, connection: &Connection, own: &BTreeSet<IpAddr>) -> bool {
        let (local, remote) = (connection.local, connection.remote);
        let within = |ports: &[(u16, u16)], port| {
            ports.is_empty() || ports.iter().any(|(first, last)| (*first..=*last).contains(&port))
        };
        let spared = remote.ip().is_loopback()
            || own.contains(&remote.ip())
            || self.spared.contains(&remote.ip())
            || self.control.contains(&local.port())
            || (self.agents != 0 && remote.port() == self.agents);
        !spared
            && within(&self.local_ports, local.port())
            && within(&self.remote_ports, remote.port())
            && self.is_peer(remote.ip())
    }

    fn is_peer(&self, address: IpAddr) -> bool {
        self.networks.is_empty()
            || self.networks.iter().any(|(length, networks)| {
                IpNet::new(address, *length).is_ok_and(|network| networks.contains(&network.trunc()))
            })
    }
}

/// Returns this host's own addresses.
fn own_addresses() -> BTreeSet<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
        })
        .collect()
}

/// The counts of an injection, shared with its thread.
#[derive(Debug)]
struct Tally {
    /// Number of connections that were reset.
    reset: AtomicU64,
    /// Number of times that all connections were listed.
    sweeps: AtomicU64,
    /// The end of the work, after which no connection is reset.
    leased: Leased,
    /// The error of the last search; `None` if it succeeded.
    failed: Mutex<Option<String>>,
}

/// The counts of an injection so far, for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Number of connections that were reset.
    pub reset: u64,
    /// Number of times that all connections were listed.
    pub sweeps: u64,
    /// Whether the thread is running, and the last search succeeded.
    pub running: bool,
    /// The error of the last search, if it failed.
    pub failed: Option<String>,
}

/// The resets of one injection.
#[derive(Debug)]
struct Resetting {
    tally: Arc<Tally>,
    /// Has no thread if connections were reset only once.
    worker: Worker,
    /// The time of the beginning, by [`boot_us`].
    began: u64,
}

/// The resets of this process, by injection. Dropping the value ends them.
#[derive(Debug, Default)]
pub struct Resets(Mutex<HashMap<InjectionId, Resetting>>);

impl Resets {
    /// Resets the existing connections, unless this process has done so already for this injection. Returns the number of reset connections.
    ///
    /// # Errors
    /// Connections could not be listed or reset. Some may have been reset.
    pub fn once(&self, id: &InjectionId, choice: &Choice, until_us: u64) -> Result<u64, NetlinkError> {
        let mut resets = self.locked();
        if let Some(resetting) = resets.get(id) {
            return Ok(resetting.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally::new(Leased::new(until_us, until_us)));
        let swept = tally.sweep(&mut Sockets::open()?, choice);
        let reset = tally.reset.load(SeqCst);
        // The entry is kept even after an error, so that the resets are never done a second time.
        keep(&mut resets, id, Resetting { tally, worker: Worker::new(None), began: boot_us() });
        swept.map(|()| reset)
    }

    /// Resets the existing connections, and starts a thread that resets new connections until the lease or the hold is over. Only returns the
    /// count if the thread is running already. The connections are those of the calling thread's network namespace.
    ///
    /// # Errors
    /// Connections could not be listed or reset, or no thread could be started. Then no thread runs.
    pub fn throughout(
        &self,
        id: &InjectionId,
        choice: Choice,
        lease_until_us: u64,
        hold_until_us: u64,
    ) -> Result<u64, String> {
        let mut resets = self.locked();
        if let Some(resetting) = resets.get(id).filter(|resetting| resetting.worker.runs()) {
            return Ok(resetting.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally::new(Leased::new(lease_until_us, hold_until_us)));
        let mut sockets = Sockets::open().map_err(|error| error.to_string())?;
        tally.sweep(&mut sockets, &choice).map_err(|error| error.to_string())?;
        let reset = tally.reset.load(SeqCst);
        let working = Arc::clone(&tally);
        let thread = thread::Builder::new()
            .name("resets".to_owned())
            .spawn(move || working.sweep_until_over(&mut sockets, &choice))
            .map_err(|error| format!("could not start a thread: {error}"))?;
        keep(&mut resets, id, Resetting { tally, worker: Worker::new(Some(thread)), began: boot_us() });
        Ok(reset)
    }

    /// Moves the end of the lease. Returns false if no thread is running for the injection.
    pub fn renew(&self, id: &InjectionId, lease_until_us: u64) -> bool {
        let resets = self.locked();
        let Some(resetting) = resets.get(id).filter(|resetting| resetting.worker.runs()) else {
            return false;
        };
        resetting.tally.leased.renew(lease_until_us);
        true
    }

    /// Ends the resets of an injection. Returns the number of reset connections; `None` if this process has reset none for it.
    pub fn stop(&self, id: &InjectionId) -> Option<u64> {
        let mut resets = self.locked();
        let resetting = resets.get_mut(id)?;
        resetting.end();
        Some(resetting.tally.reset.load(SeqCst))
    }

    /// Returns the counts of an injection so far; `None` if this process has done nothing for it.
    #[must_use]
    pub fn tallied(&self, id: &InjectionId) -> Option<Tallied> {
        let resets = self.locked();
        let resetting = resets.get(id)?;
        let failed = resetting.tally.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Tallied {
            reset: resetting.tally.reset.load(SeqCst),
            sweeps: resetting.tally.sweeps.load(SeqCst),
            running: resetting.worker.runs() && failed.is_none(),
            failed,
        })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<InjectionId, Resetting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resets {
    fn drop(&mut self) {
        self.locked().values_mut().for_each(Resetting::end);
    }
}

/// Adds an entry. If there are too many, the oldest entry without a running thread is removed.
fn keep(resets: &mut HashMap<InjectionId, Resetting>, id: &InjectionId, new: Resetting) {
    if resets.len() >= KEPT {
        let over =
            resets.iter().filter(|(_, entry)| !entry.worker.runs()).min_by_key(|(_, entry)| entry.began);
        if let Some(oldest) = over.map(|(id, _)| id.clone()) {
            resets.remove(&oldest);
        }
    }
    resets.insert(id.clone(), new);
}

impl Resetting {
    /// Stops the thread, and waits for its end.
    fn end(&mut self) {
        self.worker.end(&self.tally.leased, "the thread that reset connections");
    }
}

impl Tally {
    const fn new(leased: Leased) -> Self {
        Self { reset: AtomicU64::new(0), sweeps: AtomicU64::new(0), leased, failed: Mutex::new(None) }
    }

    /// Lists all connections and resets the chosen ones.
    fn sweep(&self, sockets: &mut Sockets, choice: &Choice) -> Result<(), NetlinkError> {
        let own = own_addresses();
        let cgroups = choice.cgroups()?;
        for connection in sockets.connections()?.iter().filter(|connection| choice.has(connection, &own)) {
            let known = |number| cgroups.as_ref().is_none_or(|cgroups| cgroups.contains(&number));
            if cgroups.is_some() && !connection.cgroup.is_some_and(known) {
                continue;
            }
            // The lease may be over by now, if this process was stopped for a while.
            if self.leased.is_over() {
                return Ok(());
            }
            if sockets.destroy(connection)? {
                self.reset.fetch_add(1, SeqCst);
            }
        }
        self.sweeps.fetch_add(1, SeqCst);
        Ok(())
    }

    /// Resets new connections until the work is over.
    fn sweep_until_over(&self, sockets: &mut Sockets, choice: &Choice) {
        let mut took = Duration::ZERO;
        loop {
            thread::park_timeout(EVERY.max(took * (SHARE - 1)));
            if self.leased.is_over() {
                return;
            }
            let began = Instant::now();
            let failed = self.sweep(sockets, choice).err().map(|error| error.to_string());
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
            took = began.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(local: &str, remote: &str) -> Connection {
        Connection::between(local.parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn connections_are_chosen_by_peer_and_port_but_never_those_of_the_control_path() {
        let peers = ["10.1.0.0/16", "fd00::2/128"].map(|text| text.parse().unwrap());
        let metadata = "10.1.9.9".parse().unwrap();
        let choice = Choice::new(peers.into_iter(), &[], &[(5432, 5433)]).sparing(
            vec![22, 7790],
            5433,
            vec![metadata],
        );
        let own = BTreeSet::from(["10.1.0.1".parse().unwrap()]);
        for (local, remote, wanted) in [
            ("10.1.0.1:40000", "10.1.2.3:5432", true),
            ("[fd00::1]:40000", "[fd00::2]:5432", true),
            ("[fd00::1]:40000", "[fd00::3]:5432", false),
            ("10.1.0.1:40000", "10.2.2.3:5432", false),
            ("10.1.0.1:40000", "10.1.2.3:80", false),
            ("10.1.0.1:22", "10.1.2.3:5432", false),
            ("10.1.0.1:7790", "10.1.2.3:5432", false),
            ("10.1.0.1:40000", "10.1.2.3:5433", false),
            ("10.1.0.1:40000", "10.1.9.9:5432", false),
            ("10.1.0.1:40000", "10.1.0.1:5432", false),
        ] {
            assert_eq!(choice.has(&connection(local, remote), &own), wanted, "{local} {remote}");
        }
        let all = Choice::new(std::iter::empty(), &[(80, 80)], &[]);
        assert!(all.has(&connection("10.1.0.1:80", "9.9.9.9:1"), &own));
        assert!(!all.has(&connection("127.0.0.1:80", "127.0.0.1:1"), &own));
    }
}
