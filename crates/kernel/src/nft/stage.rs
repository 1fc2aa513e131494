//! Installs a table in two steps: first all of it with closed gates, then one small transaction that opens them. The
//! first may take its time; the second is quick, so that many hosts start at the same moment.

use std::{sync::PoisonError, time::Duration};

use firedrill_netlink::NetlinkError;

use super::{
    Nft,
    requests::{making, too_long},
    table::{HOLD, LEASE, Making, Staged, Table, open_gates},
    transact::{put, room, size, transact},
};

impl Nft {
    /// Installs a table with its gates closed, so that it matches no packet.
    ///
    /// # Errors
    /// The kernel refused; nothing was installed.
    pub fn stage(&self, table: &Table) -> Result<(), NetlinkError> {
        let what = format!("stage nftables table inet {}", table.name);
        let Making { material, effect, .. } = making(&what, table)?;
        let mut owner = self.socket()?;
        let socket = &mut *owner;
        let room = room(socket, size(&material) + size(&effect));
        put(socket, &what, table, material, effect, room)?;
        self.remember(table);
        let staged = (table.rules(), table.families(), table.gates.clone());
        self.staged().insert(table.name.clone(), staged);
        Ok(())
    }

    /// Opens the gates of a staged table: lease and hold for these times, others for the time with which they were
    /// staged. Returns the number of rules. `None` if the table was not staged or has changed since: then
    /// [`Nft::install`] makes it anew.
    pub fn open_gates(&self, table: &str, lease: Duration, hold: Duration) -> Option<usize> {
        let (rules, families, mut gates) = self.staged().remove(table)?;
        for gate in &mut gates {
            gate.left = match gate.set {
                LEASE => lease,
                HOLD => hold,
                _ => gate.left,
            };
        }
        let what = format!("open the gates of nftables table inet {table}");
        let opened = open_gates(&families, table, &gates)
            .ok_or_else(|| too_long(&what))
            .and_then(|requests| transact(&mut *self.socket()?, &what, requests, true));
        match opened {
            Ok(()) => Some(rules),
            Err(error) => {
                tracing::warn!("{error}; it is installed anew");
                None
            }
        }
    }

    pub(super) fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Deleted, Installed, table, table::Gate};

    fn drops(name: &str) -> Table {
        let gates = Gate::usual(Duration::from_secs(60), Duration::from_secs(60));
        let rules = vec![table::gated(&gates).counter().drop()];
        let place = Some(table::Place::at(table::Hook::Input, table::EARLY));
        let chains = vec![table::Chain { name: "input".to_owned(), place, rules }];
        Table { name: name.to_owned(), chains, gates, ..Table::default() }
    }

    crate::sandboxed! {
        fn a_staged_table_is_closed_until_its_gates_are_opened() {
            let (nft, minute) = (Nft::default(), Duration::from_secs(60));
            assert_eq!(nft.open_gates("fd_a", minute, minute), None);
            nft.stage(&drops("fd_a")).unwrap();
            let closed = nft.look("fd_a").unwrap().unwrap();
            assert_eq!((closed.rules, closed.left(LEASE), closed.left(HOLD)), (1, None, None));
            assert_eq!(nft.open_gates("fd_a", minute, minute), Some(1));
            let open = nft.look("fd_a").unwrap().unwrap();
            assert!(open.is_open());
            assert_eq!(nft.open_gates("fd_a", minute, minute), None);
            assert_eq!(nft.install(&drops("fd_a")).unwrap(), Installed::WasThere);
        }
    }

    crate::sandboxed! {
        fn a_staged_table_that_is_gone_is_installed() {
            let (nft, minute) = (Nft::default(), Duration::from_secs(60));
            nft.stage(&drops("fd_b")).unwrap();
            nft.stage(&drops("fd_c")).unwrap();
            assert_eq!(nft.delete_table("fd_b").unwrap(), Deleted::Now);
            assert_eq!(nft.open_gates("fd_b", minute, minute), None);
            // Its gates are closed, so it counts as incomplete.
            assert_eq!(nft.install(&drops("fd_c")).unwrap(), Installed::Replaced);
            let look = nft.look("fd_c").unwrap().unwrap();
            assert!(look.is_open());
        }
    }
}
