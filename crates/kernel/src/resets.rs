//! Resets TCP connections, once or repeatedly: which ones, the thread that does it, and their number.
//!
//! The thread never acts once lease or hold is over, checks that before every single connection, and ends with this
//! process.

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

/// The interval at which new connections are looked for while the fault holds.
pub const EVERY: Duration = Duration::from_millis(100);
/// Looking takes at most a tenth of the time, however many connections there are.
const SHARE: u32 = 10;
/// Maximum number of finished resets that are kept for evidence.
const KEPT: usize = 512;

/// The chosen connections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Networks by the length of their prefix; none means all peers.
    networks: BTreeMap<u8, HashSet<IpNet>>,
    local_ports: Vec<(u16, u16)>,
    remote_ports: Vec<(u16, u16)>,
    /// Ports of this host that are never touched: those of its agent and of SSH.
    control: Vec<u16>,
    /// The port of agents: this host may be the coordinator's, or a jump host.
    agents: u16,
    /// Addresses that are never touched.
    spared: Vec<IpAddr>,
    /// The folder of the cgroup in or below which the socket was made; `None` means any.
    service: Option<PathBuf>,
}

impl Choice {
    /// Chooses connections with these peers (none: all) on these ports (none: all), except the spared ones.
    #[must_use]
    pub fn new(peers: impl Iterator<Item = IpNet>, local: &[(u16, u16)], remote: &[(u16, u16)]) -> Self {
        let mut networks: BTreeMap<u8, HashSet<IpNet>> = BTreeMap::new();
        for network in peers {
            networks.entry(network.prefix_len()).or_default().insert(network.trunc());
        }
        Self { networks, local_ports: local.to_vec(), remote_ports: remote.to_vec(), ..Self::default() }
    }

    /// Spares the control path, and some addresses.
    #[must_use]
    pub fn sparing(mut self, control: Vec<u16>, agents: u16, addresses: Vec<IpAddr>) -> Self {
        (self.control, self.agents, self.spared) = (control, agents, addresses);
        self
    }

    /// Restricts the choice to a service, by the folder of its cgroup, whichever cgroup has it.
    #[must_use]
    pub fn of_service(mut self, folder: Option<PathBuf>) -> Self {
        self.service = folder;
        self
    }

    /// Returns the service's present cgroups; `None` if any will do.
    fn cgroups(&self) -> Result<Option<BTreeSet<u64>>, NetlinkError> {
        let Some(folder) = &self.service else { return Ok(None) };
        let what = format!("look for the cgroup {}", folder.display());
        cgroup::ids(folder).map(Some).map_err(|error| NetlinkError::io(&what, &error))
    }

    /// Whether a connection is chosen. `own` are this host's addresses: packets between them go over loopback.
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
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|one| {
        let address = one.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
    })
    .collect()
}

/// The progress so far.
#[derive(Debug)]
struct Tally {
    /// Connections that were reset.
    reset: AtomicU64,
    /// Number of times that all connections were listed.
    sweeps: AtomicU64,
    /// The end of the work, after which nothing is reset.
    leased: Leased,
    /// The error of the last look.
    failed: Mutex<Option<String>>,
}

/// The progress so far, for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Connections that were reset.
    pub reset: u64,
    /// Number of times that all connections were listed.
    pub sweeps: u64,
    /// Whether it continues, and the last look succeeded.
    pub running: bool,
    /// The error of the last look, if it failed.
    pub failed: Option<String>,
}

#[derive(Debug)]
struct One {
    tally: Arc<Tally>,
    /// Has no thread if connections were reset only once.
    worker: Worker,
    began: u64,
}

/// The resets of this process, which end with it.
#[derive(Debug, Default)]
pub struct Resets(Mutex<HashMap<InjectionId, One>>);

impl Resets {
    /// Resets the existing connections, unless this process has done so for this injection. Returns their number.
    ///
    /// # Errors
    /// Connections could not be listed, or not be reset. Some may have been.
    pub fn once(&self, id: &InjectionId, choice: &Choice, until_us: u64) -> Result<u64, NetlinkError> {
        let mut all = self.all();
        if let Some(one) = all.get(id) {
            return Ok(one.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally::new(Leased::new(until_us, until_us)));
        let swept = tally.sweep(&mut Sockets::open()?, choice);
        let reset = tally.reset.load(SeqCst);
        // A reset that was begun is not begun again, however it ended.
        keep(&mut all, id, One { tally, worker: Worker::new(None), began: boot_us() });
        swept.map(|()| reset)
    }

    /// Resets the existing connections, and new ones until lease or hold is over. Does nothing if it was begun before.
    /// The connections are those of the calling thread's network namespace.
    ///
    /// # Errors
    /// Connections could not be listed or reset, or no thread could be made; then it has not begun.
    pub fn throughout(
        &self,
        id: &InjectionId,
        choice: Choice,
        lease_until_us: u64,
        hold_until_us: u64,
    ) -> Result<u64, String> {
        let mut all = self.all();
        if let Some(one) = all.get(id).filter(|one| one.worker.runs()) {
            return Ok(one.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally::new(Leased::new(lease_until_us, hold_until_us)));
        let mut sockets = Sockets::open().map_err(|error| error.to_string())?;
        tally.sweep(&mut sockets, &choice).map_err(|error| error.to_string())?;
        let reset = tally.reset.load(SeqCst);
        let working = Arc::clone(&tally);
        let thread = thread::Builder::new()
            .name("resets".to_owned())
            .spawn(move || working.go_on(&mut sockets, &choice))
            .map_err(|error| format!("could not start a thread: {error}"))?;
        keep(&mut all, id, One { tally, worker: Worker::new(Some(thread)), began: boot_us() });
        Ok(reset)
    }

    /// Moves the end of the lease; false if it is over or never began.
    pub fn renew(&self, id: &InjectionId, lease_until_us: u64) -> bool {
        let all = self.all();
        let Some(one) = all.get(id).filter(|one| one.worker.runs()) else { return false };
        one.tally.leased.renew(lease_until_us);
        true
    }

    /// Ends it. Returns the number of reset connections, or `None` if it does not run in this process.
    pub fn stop(&self, id: &InjectionId) -> Option<u64> {
        let mut all = self.all();
        let one = all.get_mut(id)?;
        one.end();
        Some(one.tally.reset.load(SeqCst))
    }

    /// Returns the progress so far; `None` if this process has done nothing for it.
    #[must_use]
    pub fn tallied(&self, id: &InjectionId) -> Option<Tallied> {
        let all = self.all();
        let one = all.get(id)?;
        let failed = one.tally.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Tallied {
            reset: one.tally.reset.load(SeqCst),
            sweeps: one.tally.sweeps.load(SeqCst),
            running: one.worker.runs() && failed.is_none(),
            failed,
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<InjectionId, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resets {
    fn drop(&mut self) {
        self.all().values_mut().for_each(One::end);
    }
}

/// Adds an entry; if there are too many, the oldest one that is over is dropped.
fn keep(all: &mut HashMap<InjectionId, One>, id: &InjectionId, one: One) {
    if all.len() >= KEPT {
        let over = all.iter().filter(|(_, one)| !one.worker.runs()).min_by_key(|(_, one)| one.began);
        if let Some(oldest) = over.map(|(id, _)| id.clone()) {
            all.remove(&oldest);
        }
    }
    all.insert(id.clone(), one);
}

impl One {
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
        for connection in sockets.connections()?.iter().filter(|one| choice.has(one, &own)) {
            let known = |number| cgroups.as_ref().is_none_or(|cgroups| cgroups.contains(&number));
            if cgroups.is_some() && !connection.cgroup.is_some_and(known) {
                continue;
            }
            // This process may have been stopped meanwhile, until after the end of the lease.
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

    fn go_on(&self, sockets: &mut Sockets, choice: &Choice) {
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
    fn chosen_by_peer_and_port_and_never_the_control_path() {
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
