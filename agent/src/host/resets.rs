//! Resets of TCP connections, once or again and again: which ones, the thread that does it, and how many there were.
//!
//! The thread never acts once lease or hold is over, asks before every single connection, and dies with this process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use firedrill_netlink::NetlinkError;
use firedrill_probe::clock::boot_us;
use firedrill_wire::InjectionId;
use ipnet::IpNet;

use super::{
    cgroup,
    sockets::{Connection, Sockets},
};

/// A connection that comes while the fault holds is found within about this time.
pub const EVERY: Duration = Duration::from_millis(100);
/// Looking takes at most about a tenth of the time, however many connections there are.
const SHARE: u32 = 10;
/// So many are remembered after they are over, for evidence.
const KEPT: usize = 512;

/// Which connections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Networks by the length of their prefix; none means all peers.
    networks: BTreeMap<u8, HashSet<IpNet>>,
    local_ports: Vec<(u16, u16)>,
    remote_ports: Vec<(u16, u16)>,
    /// Ports of this host that are never touched: its agent's and SSH's.
    control: Vec<u16>,
    /// The port of agents: this host may be the coordinator's, or a way to other hosts.
    agents: u16,
    /// Addresses that are never touched.
    spared: Vec<IpAddr>,
    /// The folder of the cgroup in which the socket was made, or in one below it; none means any.
    service: Option<PathBuf>,
}

impl Choice {
    /// Those with these peers (none: all) on these ports (none: all), except what is spared.
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

    /// Only those of a service, by the folder of its cgroup, whatever cgroup has it.
    #[must_use]
    pub fn of_service(mut self, folder: Option<PathBuf>) -> Self {
        self.service = folder;
        self
    }

    /// The cgroups of the service now; `None` where any will do.
    fn cgroups(&self) -> Result<Option<BTreeSet<u64>>, NetlinkError> {
        let Some(folder) = &self.service else { return Ok(None) };
        let what = format!("look for the cgroup {}", folder.display());
        cgroup::ids(folder).map(Some).map_err(|error| NetlinkError::io(&what, &error))
    }

    /// Whether it is one of them. `own` are this host's addresses: what goes between them goes over loopback.
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

/// This host's own addresses.
fn own_addresses() -> BTreeSet<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|one| {
        let address = one.address?;
        let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
    })
    .collect()
}

/// What was done so far.
#[derive(Debug, Default)]
struct Tally {
    /// Connections that were reset.
    reset: AtomicU64,
    /// How often all connections were looked at.
    sweeps: AtomicU64,
    /// Nothing is done from then on: the end of the lease.
    until_us: AtomicU64,
    stop: AtomicBool,
    /// Why the last look failed.
    failed: Mutex<Option<String>>,
}

/// What was done so far, as evidence shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallied {
    /// Connections that were reset.
    pub reset: u64,
    /// How often all connections were looked at.
    pub sweeps: u64,
    /// Whether it goes on, and the last look went well.
    pub running: bool,
    /// Why the last look failed, if it did.
    pub failed: Option<String>,
}

#[derive(Debug)]
struct One {
    tally: Arc<Tally>,
    /// None where it was done once.
    thread: Option<JoinHandle<()>>,
    began: u64,
}

/// The resets of this process. They end with this.
#[derive(Debug, Default)]
pub struct Resets(Mutex<HashMap<InjectionId, One>>);

impl Resets {
    /// Resets what is there now, unless this process has done so for this injection; how many there were.
    ///
    /// # Errors
    /// Connections could not be listed, or not be reset. Some may have been.
    pub fn once(&self, id: &InjectionId, choice: &Choice, until_us: u64) -> Result<u64, NetlinkError> {
        let mut all = self.all();
        if let Some(one) = all.get(id) {
            return Ok(one.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally { until_us: AtomicU64::new(until_us), ..Tally::default() });
        let swept = tally.sweep(&mut Sockets::open()?, choice, until_us);
        let reset = tally.reset.load(SeqCst);
        // What was begun is not begun again, however it ended.
        keep(&mut all, id, One { tally, thread: None, began: boot_us() });
        swept.map(|()| reset)
    }

    /// Resets what is there now, and goes on with what comes until lease or hold is over. Begun before: nothing to do.
    /// The connections are those of the calling thread's network namespace.
    ///
    /// # Errors
    /// Connections could not be listed or reset, or there is no thread to be had; then it has not begun.
    pub fn throughout(
        &self,
        id: &InjectionId,
        choice: Choice,
        lease_until_us: u64,
        hold_until_us: u64,
    ) -> Result<u64, String> {
        let mut all = self.all();
        if let Some(one) = all.get(id).filter(|one| one.runs()) {
            return Ok(one.tally.reset.load(SeqCst));
        }
        let tally = Arc::new(Tally { until_us: AtomicU64::new(lease_until_us), ..Tally::default() });
        let mut sockets = Sockets::open().map_err(|error| error.to_string())?;
        tally.sweep(&mut sockets, &choice, hold_until_us).map_err(|error| error.to_string())?;
        let reset = tally.reset.load(SeqCst);
        let working = Arc::clone(&tally);
        let thread = thread::Builder::new()
            .name("resets".to_owned())
            .spawn(move || working.go_on(&mut sockets, &choice, hold_until_us))
            .map_err(|error| format!("could not start a thread: {error}"))?;
        keep(&mut all, id, One { tally, thread: Some(thread), began: boot_us() });
        Ok(reset)
    }

    /// Moves the end of the lease; false where it is over or never began.
    pub fn renew(&self, id: &InjectionId, lease_until_us: u64) -> bool {
        let all = self.all();
        let Some(one) = all.get(id).filter(|one| one.runs()) else { return false };
        one.tally.until_us.store(lease_until_us, SeqCst);
        true
    }

    /// Ends it; how many were reset, or none where it does not run in this process.
    pub fn stop(&self, id: &InjectionId) -> Option<u64> {
        let mut all = self.all();
        let one = all.get_mut(id)?;
        one.end();
        Some(one.tally.reset.load(SeqCst))
    }

    /// What was done so far; none where this process has done nothing for it.
    #[must_use]
    pub fn tallied(&self, id: &InjectionId) -> Option<Tallied> {
        let all = self.all();
        let one = all.get(id)?;
        let failed = one.tally.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(Tallied {
            reset: one.tally.reset.load(SeqCst),
            sweeps: one.tally.sweeps.load(SeqCst),
            running: one.runs() && failed.is_none(),
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

/// Remembers one, and forgets the oldest that is over where there are too many.
fn keep(all: &mut HashMap<InjectionId, One>, id: &InjectionId, one: One) {
    if all.len() >= KEPT {
        let over = all.iter().filter(|(_, one)| !one.runs()).min_by_key(|(_, one)| one.began);
        if let Some(oldest) = over.map(|(id, _)| id.clone()) {
            all.remove(&oldest);
        }
    }
    all.insert(id.clone(), one);
}

impl One {
    fn runs(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn end(&mut self) {
        self.tally.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::warn!("what reset connections had died");
            }
        }
    }
}

impl Tally {
    fn is_over(&self, hold_until_us: u64) -> bool {
        self.stop.load(SeqCst) || boot_us() >= self.until_us.load(SeqCst).min(hold_until_us)
    }

    /// Looks at all connections and resets those that are chosen.
    fn sweep(&self, sockets: &mut Sockets, choice: &Choice, hold_until_us: u64) -> Result<(), NetlinkError> {
        let own = own_addresses();
        let cgroups = choice.cgroups()?;
        for connection in sockets.connections()?.iter().filter(|one| choice.has(one, &own)) {
            let known = |number| cgroups.as_ref().is_none_or(|cgroups| cgroups.contains(&number));
            if cgroups.is_some() && !connection.cgroup.is_some_and(known) {
                continue;
            }
            // This process may have been stopped meanwhile, for longer than it was allowed to go on.
            if self.is_over(hold_until_us) {
                return Ok(());
            }
            if sockets.destroy(connection)? {
                self.reset.fetch_add(1, SeqCst);
            }
        }
        self.sweeps.fetch_add(1, SeqCst);
        Ok(())
    }

    fn go_on(&self, sockets: &mut Sockets, choice: &Choice, hold_until_us: u64) {
        let mut took = Duration::ZERO;
        loop {
            thread::park_timeout(EVERY.max(took * (SHARE - 1)));
            if self.is_over(hold_until_us) {
                return;
            }
            let began = Instant::now();
            let failed = self.sweep(sockets, choice, hold_until_us).err().map(|error| error.to_string());
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

    #[test]
    fn what_is_over_is_over() {
        let tally = Tally { until_us: AtomicU64::new(u64::MAX), ..Tally::default() };
        assert!(!tally.is_over(u64::MAX) && tally.is_over(1));
        tally.until_us.store(1, SeqCst);
        assert!(tally.is_over(u64::MAX));
        tally.until_us.store(u64::MAX, SeqCst);
        tally.stop.store(true, SeqCst);
        assert!(tally.is_over(u64::MAX));
    }
}
