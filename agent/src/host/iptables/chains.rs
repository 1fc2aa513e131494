//! Chains of ours as a text for `iptables-restore --noflush`: one text makes or takes away all of them, or nothing.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use firedrill_wire::InjectionId;
use serde::{Deserialize, Serialize};

use super::seen::Listing;
use crate::host::{ifb, nft::expr::Family};

/// A table of iptables in which there may be chains of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Where packets are let through or not.
    Filter,
    /// What comes first.
    Raw,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Filter, Self::Raw];

    /// As iptables writes it.
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

/// How the names of an injection's chains begin. They have few characters, so it is a digest of its id.
#[must_use]
pub fn prefix(id: &InjectionId) -> String {
    ifb::prefix(id)
}

/// Chains of a fault, of all families that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chains {
    /// The table that they stand in.
    pub table: Table,
    /// How all their names begin.
    pub prefix: String,
    /// By family.
    pub rules: BTreeMap<Family, Rules>,
}

/// The chains of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Chains, by name, with their rules in order: what stands behind `-A NAME`.
    pub chains: Vec<(String, Vec<String>)>,
    /// From which built-in chains to which of ours.
    pub jumps: Vec<(&'static str, String)>,
}

impl Chains {
    /// What makes the chains of one family: first all of them, then the jumps, in one transaction.
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

    /// How many rules there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let rules = self.rules.values();
        rules
            .map(|rules| rules.jumps.len() + rules.chains.iter().map(|(_, lines)| lines.len()).sum::<usize>())
            .sum()
    }
}

/// What takes away the chains that were seen, and all jumps to them, in one transaction.
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

/// What makes built-in chains be there, empty, with the policy that they have anyway.
pub(super) fn empty(table: Table, chains: &[&str]) -> String {
    let mut text = format!("*{table}\n");
    for chain in chains {
        let _ = writeln!(text, ":{chain} ACCEPT [0:0]");
    }
    text + "COMMIT\n"
}
