//! Formats the texts for `iptables-restore --noflush` that make or remove this tool's chains. A text is applied as a whole or not at all. Runs
//! no program.

use std::{collections::BTreeMap, fmt::Write as _};

use firedrill_wire::InjectionId;

use super::{seen::Listing, table::Table};
use crate::{ifb, nft::expr::Family};

/// Returns the prefix of the names of an injection's chains. It is a digest of the id, because names of chains must be short.
#[must_use]
pub fn prefix(id: &InjectionId) -> String {
    ifb::prefix(id)
}

/// The chains of a fault, for all its families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chains {
    /// The table of the chains.
    pub table: Table,
    /// The prefix of the names of all chains.
    pub prefix: String,
    /// The chains by family.
    pub rules: BTreeMap<Family, Rules>,
}

/// The chains of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Chains by name, each with its rules in order: the part after `-A NAME`.
    pub chains: Vec<(String, Vec<String>)>,
    /// The jumps from built-in chains to these chains: the built-in chain and the target.
    pub jumps: Vec<(&'static str, String)>,
}

impl Chains {
    /// Formats the chains of one family as one transaction: first the chains with their rules, then the jumps.
    #[must_use]
    pub fn text(&self, rules: &Rules) -> String {
        let mut text = format!("*{}\n", self.table);
        for (name, _) in &rules.chains {
            // Writing to a string cannot fail.
            let _ = writeln!(text, ":{name} - [0:0]");
        }
        for (name, lines) in &rules.chains {
            for line in lines {
                let _ = writeln!(text, "-A {name} {line}");
            }
        }
        for (from, to) in &rules.jumps {
            let _ = writeln!(text, "-I {from} 1 -j {to}");
        }
        text + "COMMIT\n"
    }

    /// Returns the number of rules, including the jumps.
    #[must_use]
    pub fn count(&self) -> usize {
        let rules = self.rules.values();
        rules
            .map(|rules| rules.jumps.len() + rules.chains.iter().map(|(_, lines)| lines.len()).sum::<usize>())
            .sum()
    }
}

/// Formats the removal of chains and of all jumps to them as one transaction.
pub(super) fn removal(table: Table, seen: &Listing) -> String {
    let mut text = format!("*{table}\n");
    for (from, rule, _) in &seen.jumps {
        let _ = writeln!(text, "-D {from} {rule}");
    }
    for order in ["-F", "-X"] {
        for chain in &seen.chains {
            let _ = writeln!(text, "{order} {chain}");
        }
    }
    text + "COMMIT\n"
}

/// Formats the creation of built-in chains, empty and with their default policy.
pub(super) fn empty(table: Table, chains: &[&str]) -> String {
    let mut text = format!("*{table}\n");
    for chain in chains {
        let _ = writeln!(text, ":{chain} ACCEPT [0:0]");
    }
    text + "COMMIT\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_removal_names_only_the_chains_and_the_jumps_to_them() {
        let saved = "*filter\n:DOCKER - [0:0]\n:fd_1_do - [0:0]\n:fd_1_i - [0:0]\n:fd_2_i - [0:0]\n[7:700] -A INPUT -j fd_1_i\n[7:700] -A INPUT -i eth0 -g fd_1_i\n[0:0] -A INPUT -j fd_2_i\n[6:60] -A fd_1_i -s 10.0.0.0/8 -j fd_1_do\nCOMMIT\n";
        let text = removal(Table::Filter, &Listing::of(saved, "fd_1_"));
        assert_eq!(
            text,
            "*filter\n-D INPUT -j fd_1_i\n-D INPUT -i eth0 -g fd_1_i\n-F fd_1_do\n-F fd_1_i\n-X fd_1_do\n-X fd_1_i\nCOMMIT\n"
        );
    }
}
