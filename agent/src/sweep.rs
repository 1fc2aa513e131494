//! Removes kernel objects that have the project's prefix and belong to no live injection, so that no object stays that no
//! journal lists: nftables tables, iptables chains with the jumps to them, and interfaces with their qdiscs.
//!
//! Never removes an object that another living process owns, or an interface that has the prefix but not the kind and group of the agent's
//! interfaces.

use std::collections::BTreeSet;

use firedrill_wire::InjectionId;

use crate::host::{
    Host, ifb,
    iptables::{self, Left},
    link,
    nft::{self, Deleted, table::Of},
};

/// Sweeps a host. The live injections are read after the objects were listed, so that new objects are spared.
pub type Sweep = fn(&Host, &dyn Fn() -> Vec<InjectionId>) -> Swept;

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The objects that it removed.
    pub removed: Vec<String>,
    /// The objects that it could not remove or inspect, and why.
    pub left: Vec<String>,
}

impl Swept {
    /// Returns one sentence for each object that was removed or left.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        let removed = self.removed.iter();
        removed
            .map(|what| format!("removed, because it belonged to no live injection: {what}"))
            .chain(self.left.iter().map(|what| format!("left over: {what}")))
    }

    /// Notes the result of removing an object: whether it was there.
    fn note<E: std::fmt::Display>(&mut self, what: String, result: Result<bool, E>) {
        match result {
            Ok(true) => self.removed.push(what),
            // The object was gone already.
            Ok(false) => {}
            Err(error) => self.left.push(format!("{what}: {error}")),
        }
    }
}

/// Sweeps the real kernel.
#[must_use]
pub fn sweep(host: &Host, live: &dyn Fn() -> Vec<InjectionId>) -> Swept {
    let mut swept = Swept::default();
    let tables = host.nft.our_tables();
    let chains = host.iptables.leftovers();
    let links = link::all();
    let live = live();

    // Chains and tables are removed first, because they redirect packets to the interfaces.
    let prefixes: Vec<String> = live.iter().map(iptables::prefix).collect();
    let is_live = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    for left in chains {
        match left {
            Ok(left) => remove_chains(left, &is_live, &mut swept),
            Err(error) => swept.left.push(error.to_string()),
        }
    }
    let names: Vec<String> = live.iter().map(nft::table_name).collect();
    match tables {
        Ok(tables) => {
            let ours = tables.into_iter().filter(|seen| Of::BOTH.iter().any(|of| of.number() == seen.family));
            // A table and its twin share a name, and are removed together.
            let dead: BTreeSet<String> =
                ours.map(|seen| seen.name).filter(|name| !names.contains(name)).collect();
            for name in dead {
                let deleted = host.nft.delete_table(&name).map(|how| how == Deleted::Now);
                swept.note(format!("nftables table {name}"), deleted);
            }
        }
        Err(error) => swept.left.push(format!("nftables could not be looked at: {error}")),
    }
    match links {
        Ok(links) => {
            let dead = links.iter().filter(|link| ifb::is_our_ifb(link) && !is_live(&link.name));
            for name in dead.map(|link| &link.name) {
                let removed = ifb::remove(&host.ifbs, name, std::time::Duration::ZERO);
                swept.note(format!("interface {name}"), removed.map(|removed| removed.ifbs > 0));
            }
        }
        Err(error) => swept.left.push(format!("interfaces could not be looked at: {error}")),
    }
    swept
}

/// Removes the chains of a table that belong to no live injection.
fn remove_chains(mut left: Left, is_live: &dyn Fn(&str) -> bool, swept: &mut Swept) {
    left.chains.retain(|chain| !is_live(chain));
    if left.chains.is_empty() {
        return;
    }
    let what = format!("{} chains {} of table {}", left.program.name(), left.chains.join(", "), left.table);
    swept.note(what, left.remove().map(|chains| chains > 0));
}
