//! iptables and ip6tables: adds this tool's own chains to an administrator's tables, behind gates that the kernel closes by itself.
//!
//! The programs are run with arguments and a text on their standard input, never by a shell. Only this tool's chains and the jumps to them
//! are added and removed. No other rule, no policy and no counter is changed, and nothing else is flushed. The rules outlive the agent, so
//! the undo must remove them; until then, the kernel's own timer closes their gates.

mod adder;
mod chains;
mod gates;
mod program;
mod seen;
mod table;
mod trial;

pub use adder::Adder;
pub use chains::{Chains, Rules, prefix};
pub use gates::{Gate, Gates, open, shut};
pub use program::{Flavour, IptablesError, Program};
pub use seen::{Listing, SeenRule, legacy_tables};
pub use table::Table;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firedrill_wire::InjectionId;
use ring::digest::{Context, SHA256};

use super::{hash::sha256, nft::expr::Family};

/// Maximum number of remembered sets of chains that were tried out successfully.
const TAKEN_MOST: usize = 256;

/// The access to iptables, with the chains that this process has made.
#[derive(Debug)]
pub struct Iptables {
    /// The program, by the prefix of its name: `iptables`, or one build of it, such as `iptables-legacy`.
    pub program: String,
    /// The chains that this process has made.
    made: Arc<Mutex<BTreeMap<InjectionId, Made>>>,
    /// Hashes of the chains that were tried out successfully.
    taken: Mutex<VecDeque<[u8; 32]>>,
}

/// The chains that this process has made for an injection.
#[derive(Clone, Debug)]
pub struct Made {
    /// The injection's gates, with their state as far as it is known.
    pub gates: Gates,
    /// The jumps from built-in chains to the injection's chains, by family.
    pub jumps: BTreeMap<Family, Vec<(&'static str, String)>>,
    /// The names of the injection's chains, each with its number of rules at the start, by family. Peers that are added later add rules.
    pub chains: BTreeMap<Family, Vec<(String, usize)>>,
    table: Table,
}

impl Default for Iptables {
    fn default() -> Self {
        Self { program: "iptables".to_owned(), made: Arc::default(), taken: Mutex::default() }
    }
}

impl Iptables {
    /// Returns the program for a family.
    #[must_use]
    pub fn program(&self, family: Family) -> Program {
        Program::new(&self.program, family)
    }

    /// Tries out chains in a temporary network namespace. The kernel may load modules for that.
    ///
    /// # Errors
    /// The chains are not possible; the error has the program's output.
    pub fn try_out(&self, id: &InjectionId, chains: &Chains) -> Result<(), IptablesError> {
        let mut sum = Context::new(&SHA256);
        for (family, rules) in &chains.rules {
            sum.update(&[family.key()]);
            sum.update(chains.text(rules).as_bytes());
        }
        let sum = sha256(sum);
        if locked(&self.taken).contains(&sum) {
            return Ok(());
        }
        trial::take(|family| self.program(family), id, chains)?;
        let mut taken = locked(&self.taken);
        taken.push_back(sum);
        if taken.len() > TAKEN_MOST {
            taken.pop_front();
        }
        Ok(())
    }

    /// Creates the table and its built-in chains if they do not exist, as listing them by hand also does. They are empty, and are not
    /// removed later.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub fn warm_up(&self, chains: &Chains) -> Result<(), IptablesError> {
        for (family, rules) in &chains.rules {
            let program = self.program(*family);
            let missing = match program.flavour()? {
                Flavour::Legacy => {
                    program.save(chains.table)?;
                    continue;
                }
                Flavour::Nft => seen::missing(*family, chains.table, &rules.jumps)?,
            };
            if !missing.is_empty() {
                program.restore(&chains::empty(chains.table, &missing))?;
            }
        }
        Ok(())
    }

    /// Installs chains with their gates closed, so that no packet is affected. Chains that this process has made
    /// already stay as they are.
    ///
    /// # Errors
    /// Another program has made chains with this prefix, or the iptables program failed. Nothing is left then.
    pub fn stage(&self, id: &InjectionId, chains: &Chains, gates: Gates) -> Result<(), IptablesError> {
        if self.made().contains_key(id) {
            return Ok(());
        }
        for family in chains.rules.keys() {
            let program = self.program(*family);
            let existing = Listing::read(&program, chains.table, &chains.prefix)?;
            if !existing.chains.is_empty() || !existing.jumps.is_empty() {
                return Err(program.says(
                    &format!("add chains {}* to table {}", chains.prefix, chains.table),
                    "there are some of that name, which this process has not made",
                ));
            }
        }
        for (position, (family, rules)) in chains.rules.iter().enumerate() {
            if let Err(error) = self.program(*family).restore(&chains.text(rules)) {
                for done in chains.rules.keys().take(position) {
                    if let Err(error) = remove(&self.program(*done), chains.table, &chains.prefix) {
                        tracing::error!("{error}");
                    }
                }
                return Err(error);
            }
        }
        let jumps = chains.rules.iter().map(|(family, rules)| (*family, rules.jumps.clone())).collect();
        let sizes =
            |rules: &Rules| rules.chains.iter().map(|(name, lines)| (name.clone(), lines.len())).collect();
        let sized = chains.rules.iter().map(|(family, rules)| (*family, sizes(rules))).collect();
        self.made().insert(id.clone(), Made { gates, jumps, chains: sized, table: chains.table });
        Ok(())
    }

    /// Returns the chains that this process has made for an injection; `None` if it has made none.
    #[must_use]
    pub fn look(&self, id: &InjectionId) -> Option<Made> {
        self.made().get(id).cloned()
    }

    /// Changes the gates of chains that this process has made.
    ///
    /// # Errors
    /// This process has made no chains for the injection, or the change failed.
    pub fn with_gates<T>(
        &self,
        id: &InjectionId,
        change: impl FnOnce(&mut Gates) -> Result<T, IptablesError>,
    ) -> Result<T, IptablesError> {
        match self.made().get_mut(id) {
            Some(made) => change(&mut made.gates),
            None => Err(IptablesError::of(
                format!("find the gates of {id}"),
                "this process has made no iptables chains for it".to_owned(),
            )),
        }
    }

    /// Returns a function that renews an open gate at each call. A gate that has closed stays closed.
    pub fn keeper(&self, id: &InjectionId, gate: &'static str) -> impl FnMut() + Send + use<> {
        let (made, id) = (self.made.clone(), id.clone());
        move || {
            let mut made = locked(&made);
            let Some(Made { gates, .. }) = made.get_mut(&id) else { return };
            if gates.is_open(gate)
                && let Err(error) = gates.keep(&id, gate)
            {
                tracing::warn!("{error}");
            }
        }
    }

    /// Returns an object that adds peers to an injection's chains, for other threads of this process.
    #[must_use]
    pub fn adder(&self, id: &InjectionId) -> Adder {
        Adder::new(self.made.clone(), id, &self.program)
    }

    /// Removes the record of an injection's chains, after the chains were removed.
    pub fn forget(&self, id: &InjectionId) {
        self.made().remove(id);
    }

    /// Returns all existing chains of this tool, also those that another process of it has made. Has an error for each table that could not
    /// be read.
    #[must_use]
    pub fn leftovers(&self) -> Vec<Result<Left, IptablesError>> {
        let mut found = Vec::new();
        for family in Family::BOTH {
            let program = self.program(family);
            if !program.is_there() {
                continue;
            }
            match program.flavour() {
                Ok(flavour) => {
                    let left = Table::ALL.map(|table| left_in(&program, flavour, family, table));
                    found.extend(left.into_iter().filter_map(Result::transpose));
                }
                Err(error) => found.push(Err(error)),
            }
        }
        found
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<InjectionId, Made>> {
        locked(&self.made)
    }
}

/// The chains of this tool in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The program that manages the table.
    pub program: Program,
    /// The table.
    pub table: Table,
    /// The names of the chains.
    pub chains: Vec<String>,
}

impl Left {
    /// Removes these chains and all jumps to them, and no other chains. Returns the number of chains that still existed.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub fn remove(&self) -> Result<usize, IptablesError> {
        remove_which(&self.program, self.table, |name| self.chains.iter().any(|chain| chain == name))
    }
}

/// Returns the chains of this tool in a table; `None` if there are none.
fn left_in(
    program: &Program,
    flavour: Flavour,
    family: Family,
    table: Table,
) -> Result<Option<Left>, IptablesError> {
    // A table that does not exist must not be read, because reading would create it.
    if !seen::has_table(flavour, family, table)? {
        return Ok(None);
    }
    let chains = Listing::read(program, table, super::nft::PREFIX)?.chains;
    Ok((!chains.is_empty()).then(|| Left { program: program.clone(), table, chains }))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all chains whose names have this prefix, and all jumps to them. Returns the number of removed chains; 0 if there are none. If
/// another program adds a jump between reading and removing, this is tried again.
///
/// # Errors
/// The program failed; the error has its output.
pub fn remove(program: &Program, table: Table, prefix: &str) -> Result<usize, IptablesError> {
    remove_which(program, table, |name| name.starts_with(prefix))
}

/// Removes the chains for whose names `which` is true, and all jumps to them.
fn remove_which(
    program: &Program,
    table: Table,
    which: impl Fn(&str) -> bool,
) -> Result<usize, IptablesError> {
    const TRIES: usize = 5;
    let mut last = None;
    for _ in 0..TRIES {
        let seen = Listing::read(program, table, super::nft::PREFIX)?.only(&which);
        if seen.chains.is_empty() && seen.jumps.is_empty() {
            return Ok(last.map_or(0, |(chains, _)| chains));
        }
        match program.restore(&chains::removal(table, &seen)) {
            Ok(()) => return Ok(seen.chains.len()),
            Err(error) => last = Some((seen.chains.len(), error)),
        }
    }
    match last {
        Some((_, error)) => Err(error),
        None => Ok(0),
    }
}
