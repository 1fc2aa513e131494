//! Installs a table in two steps: first the whole table with closed gates, then one small transaction that opens the gates.
//! The first step may be slow and changes no traffic. The second step is quick, so that many hosts start at the same moment.

use std::{sync::PoisonError, time::Duration};

use firedrill_netlink::NetlinkError;

use super::{
    Nft,
    requests::{making, too_long},
    table::{HOLD, LEASE, Making, Staged, Table, open_gates},
    transact::{put, room, size, transact},
};

impl Nft {
    /// Installs a table with closed gates, so that its rules match no packet. [`Nft::open_gates`] opens them.
    ///
    /// # Errors
    /// The kernel refused, for example because a table of that name exists. Nothing was installed.
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

    /// Opens the gates of a staged table. The gates of lease and hold stay open for the given times from now on, other gates
    /// for the time that the staged table has for them. Returns the number of the table's rules.
    ///
    /// Returns `None` if the table was not staged, was opened already, or does not exist any more. Then the caller must call [`Nft::install`].
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
                tracing::warn!("{error}; the whole table is installed instead, which takes longer");
                None
            }
        }
    }

    /// Returns the tables that are staged and were not opened or deleted since then.
    pub(super) fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Deleted, Installed, table, table::Gate};

    /// Returns a table with one rule, which drops all incoming packets.
    fn dropping(name: &str) -> Table {
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
            nft.stage(&dropping("fd_a")).unwrap();
            let closed = nft.look("fd_a").unwrap().unwrap();
            assert_eq!((closed.rules, closed.left(LEASE), closed.left(HOLD)), (1, None, None));
            assert_eq!(nft.open_gates("fd_a", minute, minute), Some(1));
            let open = nft.look("fd_a").unwrap().unwrap();
            assert!(open.is_open());
            assert_eq!(nft.open_gates("fd_a", minute, minute), None);
            assert_eq!(nft.install(&dropping("fd_a")).unwrap(), Installed::WasThere);
        }
    }

    crate::sandboxed! {
        fn a_staged_table_that_is_gone_or_still_closed_is_installed() {
            let (nft, minute) = (Nft::default(), Duration::from_secs(60));
            nft.stage(&dropping("fd_b")).unwrap();
            nft.stage(&dropping("fd_c")).unwrap();
            assert_eq!(nft.delete_table("fd_b").unwrap(), Deleted::Now);
            assert_eq!(nft.open_gates("fd_b", minute, minute), None);
            // The gates of a staged table are closed, so it counts as incomplete.
            assert_eq!(nft.install(&dropping("fd_c")).unwrap(), Installed::Replaced);
            let look = nft.look("fd_c").unwrap().unwrap();
            assert!(look.is_open());
        }
    }
}
