//! Formats chains of ours for `iptables-restore --noflush`: one text makes or removes all of them, or none.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use firedrill_wire::InjectionId;
use serde::{Deserialize, Serialize};

use super::seen::Listing;
use crate::host::{ifb, nft::expr::Family};

/// A table of iptables that may have chains of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// `filter`, which accepts or drops packets.
    Filter,
    /// `raw`, which comes first.
    Raw,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Filter, Self::Raw];

    /// Returns its name for iptables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Returns the prefix of the names of an injection's chains. It is a digest of the id, because names are short.
#[must_use]
pub fn prefix(id: &InjectionId) -> String {
    ifb::prefix(id)
}

/// The chains of a fault, of all its families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chains {
    /// Their table.
    pub table: Table,
    /// The prefix of all their names.
    pub prefix: String,
    /// The chains by family.
    pub rules: BTreeMap<Family, Rules>,
}

/// The chains of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Chains by name, each with its rules in order: the part after `-A NAME`.
    pub chains: Vec<(String, Vec<String>)>,
    /// The jumps from built-in chains to ours.
    pub jumps: Vec<(&'static str, String)>,
}

impl Chains {
    /// Formats the chains of one family: first all chains, then the jumps, in one transaction.
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

    /// Returns the number of rules.
    #[must_use]
    pub fn count(&self) -> usize {
        let rules = self.rules.values();
        rules
            .map(|rules| rules.jumps.len() + rules.chains.iter().map(|(_, lines)| lines.len()).sum::<usize>())
            .sum()
    }
}

/// Formats the removal of chains and of all jumps to them, in one transaction.
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
