//! nf_tables over netlink: makes tables that the kernel deletes when their owner ends, behind gates that the kernel closes by itself.
//!
//! One socket owns all tables of this process. It is opened once, on first use. When it is closed, however the process ends, the kernel
//! deletes its tables. The socket is closed on exec. A process that forks without exec must close the socket in the child; otherwise the
//! child would keep the tables alive. This module never changes a table that this tool has not made, and never flushes anything.

mod adder;
pub mod expr;
pub mod interval;
mod keeper;
mod look;
pub mod message;
mod requests;
mod stage;
pub mod table;
mod transact;

pub use adder::Adder;
pub use keeper::Keeper;
pub use look::{Look, TableSeen};
pub use look::{is_absent, list};

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use firedrill_netlink::{Attrs, NetlinkError, Reason, Request, Socket};
use firedrill_wire::InjectionId;
use ring::digest::{Context, SHA256};

use super::hash::sha256;
use look::named;
use message::Kind;
use requests::{delete, making, too_long};
use table::{Gate, LEASE, Making, Of, Table};
use transact::{is_elements, put, room, size, transact};

/// The prefix of the names of all kernel objects that this tool makes.
pub const PREFIX: &str = "fd_";
/// Maximum time to wait until the kernel has deleted the table of an owner that is ending.
const DYING: Duration = Duration::from_secs(1);
/// Maximum number of remembered tables that were tried out successfully.
const TAKEN_MOST: usize = 256;

type Sum = [u8; 32];

/// Returns the name of an injection's table. It is unique, because ids have no `_`.
#[must_use]
pub fn table_name(id: &InjectionId) -> String {
    format!("{PREFIX}{}", id.as_str().replace('-', "_"))
}

/// The result of installing a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The table was made.
    New,
    /// The table existed already: complete, open, and owned by this process.
    WasThere,
    /// The table existed, but was incomplete or had closed gates. It was replaced.
    Replaced,
}

/// The result of deleting a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The table was deleted.
    Now,
    /// The table did not exist.
    WasGone,
    /// The table's owner was ending, and the kernel deleted the table.
    ByKernel,
}

/// The socket that owns the tables of this process; empty before it is opened.
type Owner = OnceLock<Mutex<Socket>>;

/// The access to nf_tables, with the socket that owns the tables of this process.
#[derive(Debug, Default)]
pub struct Nft {
    owner: Arc<Owner>,
    /// Hashes of the tables that were tried out successfully. They save time: a transaction that is not committed costs a grace period of the
    /// kernel, about 20 ms, and would be repeated between arm and start.
    taken: Mutex<VecDeque<Sum>>,
    staged: Mutex<table::Staged>,
    /// The names of this process's tables that have a twin in the family `netdev`. No other tables of this process exist, because the kernel
    /// deletes them with it.
    twins: Mutex<BTreeSet<String>>,
}

/// Returns the hash of some requests.
fn sum<'a>(requests: impl Iterator<Item = &'a Request>) -> Sum {
    let mut hash = Context::new(&SHA256);
    for request in requests {
        hash.update(&request.kind.to_le_bytes());
        hash.update(&request.flags.to_le_bytes());
        hash.update(&request.body.len().to_le_bytes());
        hash.update(&request.body);
    }
    sha256(hash)
}

impl Nft {
    /// Returns the socket that owns the tables, and opens it if necessary.
    fn socket(&self) -> Result<MutexGuard<'_, Socket>, NetlinkError> {
        let owner = match self.owner.get() {
            Some(owner) => owner,
            None => {
                // If two threads open a socket at the same time, one of them is closed again. It owns no table yet.
                let fresh = Mutex::new(Socket::open(libc::NETLINK_NETFILTER)?);
                self.owner.get_or_init(|| fresh)
            }
        };
        // A panic in another thread leaves the socket usable. Closing it would end every fault.
        Ok(owner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks that the kernel would accept a complete table, and installs nothing. The kernel may load modules for that. An equal table is
    /// tried only once, although [`Nft::install`] may still fail later.
    ///
    /// # Errors
    /// The kernel refused it.
    pub fn try_out(&self, table: &Table) -> Result<(), NetlinkError> {
        let what = format!("try out nftables table inet {}", table.name);
        let Making { material, mut effect, open } = making(&what, table)?;
        effect.extend(open);
        let sum = sum(material.iter().chain(&effect));
        if self.taken().contains(&sum) {
            return Ok(());
        }
        let mut owner = self.socket()?;
        let socket = &mut *owner;
        let tail = size(&effect);
        // Elements that do not fit into one datagram are not tried. They are merged ranges, so they are valid together.
        let room = room(socket, size(&material) + tail).saturating_sub(tail);
        let mut used = 0;
        let fits = |request: &Request| {
            used += request.body.len() + 20;
            used <= room || !is_elements(request)
        };
        let requests = material.into_iter().filter(fits).chain(effect).collect();
        transact(socket, &what, requests, false)?;
        let mut taken = self.taken();
        // Memory for all entries is reserved at once: growing step by step would leave freed blocks behind.
        let room = TAKEN_MOST + 1 - taken.len();
        taken.reserve_exact(room);
        taken.push_back(sum);
        if taken.len() > TAKEN_MOST {
            taken.pop_front();
        }
        Ok(())
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Sum>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs a table with open gates in one transaction. If one datagram cannot hold all of it, earlier transactions fill the sets, and the
    /// last one makes the chains and rules. After a failure nothing is left.
    ///
    /// # Errors
    /// The kernel refused, or a table with this name belongs to another process.
    pub fn install(&self, table: &Table) -> Result<Installed, NetlinkError> {
        let what = format!("install nftables table inet {}", table.name);
        let Making { material, mut effect, open } = making(&what, table)?;
        effect.extend(open);
        let mut owner = self.socket()?;
        let socket = &mut *owner;
        let room = room(socket, size(&material) + size(&effect));
        self.remember(table);
        let error = match put(socket, &what, table, material.clone(), effect.clone(), room) {
            // If a table with this name exists, the kernel reports EEXIST if this process owns it, and EPERM if another one does.
            Err(error) if matches!(error.errno(), Some(libc::EEXIST | libc::EPERM)) => error,
            other => return other.map(|()| Installed::New),
        };
        let existing = named(&table.name)?;
        if existing.is_empty() {
            return Err(error);
        }
        if let Some(foreign) = existing.iter().find(|seen| seen.owner != socket.port().ok()) {
            return Err(NetlinkError { what, reason: Reason::Owned(owned_by(Some(foreign))) });
        }
        let whole = |look: &Look| look.rules == table.rules() && look.is_open();
        if look::look(&table.name)?.is_some_and(|look| whole(&look)) {
            return Ok(Installed::WasThere);
        }
        let replace = existing
            .iter()
            .map(|seen| delete(&what, seen.family, &table.name))
            .chain(material.into_iter().map(Ok))
            .collect::<Result<_, _>>()?;
        put(socket, &what, table, replace, effect, room)?;
        Ok(Installed::Replaced)
    }

    /// Renews a table's lease, for the time `lease` from now on. An expired lease stays expired.
    ///
    /// # Errors
    /// The lease has expired or the table does not exist (`ENOENT`), or the kernel refused.
    pub fn renew(&self, table: &str, lease: Duration) -> Result<(), NetlinkError> {
        let what = format!("renew the lease of nftables table inet {table}");
        let gate = Gate { set: LEASE, left: lease };
        let twin = self.twins().contains(table);
        let families = if twin { &Of::BOTH[..] } else { &[Of::Traffic] };
        let requests = table::keep_open(families, table, gate).ok_or_else(|| too_long(&what))?;
        transact(&mut *self.socket()?, &what, requests, true)
    }

    /// Notes that a table has a twin, if it has one.
    fn remember(&self, table: &Table) {
        if table.twin.is_some() {
            self.twins().insert(table.name.clone());
        }
    }

    fn twins(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.twins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an object that keeps a gate of a table open, for another thread of this process. It does not keep the tables alive.
    ///
    /// # Errors
    /// The table's name is too long.
    pub fn keeper(&self, table: &str, gate: Gate) -> Result<Keeper, NetlinkError> {
        Keeper::new(Arc::downgrade(&self.owner), table, gate)
    }

    /// Returns an object that adds peers to a table's sets, for another thread of this process. `set` returns the name of the set of a family.
    /// The object does not keep the tables alive.
    #[must_use]
    pub fn adder(&self, table: &str, set: fn(expr::Family) -> String) -> Adder {
        Adder::new(Arc::downgrade(&self.owner), table, set)
    }

    /// Deletes a table of this tool, and its twin. Succeeds if it does not exist, and if its owner is ending, so that the kernel deletes it.
    ///
    /// # Errors
    /// The name does not have this tool's prefix, the table belongs to another running process, or the kernel refused.
    pub fn delete_table(&self, table: &str) -> Result<Deleted, NetlinkError> {
        if !table.starts_with(PREFIX) {
            let what = format!("delete nftables table {table}");
            let reason = Reason::Owned(format!("the name does not begin with {PREFIX}, so it is not ours"));
            return Err(NetlinkError { what, reason });
        }
        self.staged().remove(table);
        let first = self.delete_in(Of::Traffic, table)?;
        // The tables are listed first, because a failed transaction costs a grace period of the kernel.
        let twin = named(table)?.iter().any(|seen| seen.family == Of::Interfaces.number());
        let second = if twin { self.delete_in(Of::Interfaces, table)? } else { Deleted::WasGone };
        self.twins().remove(table);
        Ok(if first == Deleted::WasGone { second } else { first })
    }

    fn delete_in(&self, of: Of, table: &str) -> Result<Deleted, NetlinkError> {
        let what = format!("delete nftables table {} {table}", of.word());
        let request = delete(&what, of.number(), table)?;
        let started = Instant::now();
        let mut waited = false;
        loop {
            match transact(&mut *self.socket()?, &what, vec![request.clone()], true) {
                Ok(()) => return Ok(Deleted::Now),
                Err(error) if error.errno() == Some(libc::ENOENT) => {
                    return Ok(if waited { Deleted::ByKernel } else { Deleted::WasGone });
                }
                Err(error) if error.errno() == Some(libc::EPERM) => {
                    let seen = named(table)?.into_iter().find(|seen| seen.family == of.number());
                    if seen.as_ref().is_some_and(|seen| seen.owner.is_none()) {
                        return Err(error);
                    }
                    if started.elapsed() > DYING {
                        return Err(NetlinkError { what, reason: Reason::Owned(owned_by(seen.as_ref())) });
                    }
                    waited = true;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns all existing tables of this tool, also those of other processes.
    ///
    /// # Errors
    /// The kernel could not list the tables.
    pub fn our_tables(&self) -> Result<Vec<TableSeen>, NetlinkError> {
        Ok(look::tables()?.into_iter().filter(|seen| seen.name.starts_with(PREFIX)).collect())
    }

    /// Returns all existing tables of this host.
    ///
    /// # Errors
    /// The kernel could not list the tables.
    pub fn tables(&self) -> Result<Vec<TableSeen>, NetlinkError> {
        look::tables()
    }

    /// Reads a table of this tool; `None` if it does not exist.
    ///
    /// # Errors
    /// The kernel could not list its content.
    pub fn look(&self, table: &str) -> Result<Option<Look>, NetlinkError> {
        look::look(table)
    }

    /// Makes the kernel load the module for rules with queues. Kernels before 6.2 look for the module only if a table for a single family needs
    /// it, and this tool's tables are for both. Installs nothing. A failure shows in [`Nft::try_out`].
    pub fn load_queues(&self) {
        let (table, chain) = (format!("{PREFIX}queues"), "out");
        let rule = expr::Exprs::new().queue(firedrill_packets::queue::FIRST);
        let messages = [
            (Kind::NewTable, Attrs::new().text(1, &table)),
            (Kind::NewChain, Attrs::new().text(1, &table).text(3, chain)),
            (Kind::NewRule, Attrs::new().text(1, &table).text(2, chain).nest(4, rule.encoded())),
        ];
        let request =
            |(kind, attrs): (Kind, Attrs)| message::in_family(message::IPV4, kind, message::CREATE, &attrs);
        let requests = messages.into_iter().filter_map(request).collect();
        if let Err(error) = self.would_take("have the kernel load what queues of packets need", requests) {
            tracing::debug!("{error}");
        }
    }

    /// Checks that the kernel would accept these messages in one transaction, which is never committed.
    pub fn would_take(&self, what: &str, requests: Vec<Request>) -> Result<(), NetlinkError> {
        transact(&mut *self.socket()?, what, requests, false)
    }
}

/// Describes the owner of a table of another process.
fn owned_by(seen: Option<&TableSeen>) -> String {
    match seen.and_then(|seen| seen.owner) {
        Some(owner) => {
            format!("it belongs to another process that lives (netlink address {owner}, mostly its pid)")
        }
        None => "it is there, and not owned by this agent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_table_comes_from_the_id_alone() {
        let id: InjectionId = "20261120-1402-friday-7f3a-cut-1".parse().expect("an id");
        assert_eq!(table_name(&id), "fd_20261120_1402_friday_7f3a_cut_1");
    }

    /// Returns a table with a set of two thousand addresses that cannot be merged.
    fn many(name: &str) -> Table {
        let addresses = (0..2_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + 2 * n));
        let networks = addresses.map(|address| ipnet::IpNet::from(std::net::IpAddr::V4(address)));
        let sets = interval::Intervals::networks(networks)
            .into_values()
            .map(|set| ("peers4".to_owned(), set))
            .collect();
        let gates = Gate::usual(Duration::from_secs(60), Duration::from_secs(60));
        let rules = vec![table::gated(&gates).counter().drop()];
        let place = Some(table::Place::at(table::Hook::Input, table::EARLY));
        let chains = vec![table::Chain { name: "input".to_owned(), place, rules }];
        Table { name: name.to_owned(), sets, chains, gates, ..Table::default() }
    }

    crate::sandboxed! {
        fn a_table_beyond_one_datagram_is_made_in_parts_or_not_at_all() {
            let nft = Nft::default();
            let in_parts = |table: &Table| {
                let Making { material, mut effect, open } = table.making().unwrap();
                effect.extend(open);
                assert!(size(&material) > 70_000);
                put(&mut *nft.socket()?, "test", table, material, effect, 61_000)
            };
            in_parts(&many("fd_many")).unwrap();
            let look = nft.look("fd_many").unwrap().unwrap();
            assert!(look.rules == 1 && look.is_open());
            let mut broken = many("fd_broken");
            broken.chains[0].rules.push(expr::Exprs::new().goto("nowhere"));
            assert_eq!(in_parts(&broken).expect_err("no such chain").errno(), Some(libc::ENOENT));
            let names: Vec<_> = nft.our_tables().unwrap().into_iter().map(|seen| seen.name).collect();
            assert_eq!(names, ["fd_many"]);
        }
    }

    #[test]
    fn only_tables_with_the_prefix_are_deleted() {
        let error = Nft::default().delete_table("filter").expect_err("refused").to_string();
        assert!(error.contains("not ours"), "{error}");
    }
}
