//! Reads the rules of `iptables-legacy`: chains with their policies and rules, without counters. The rules of
//! `iptables-nft` are part of nftables.
//!
//! Reads only tables that exist already, because reading with the program would create a missing table. If no legacy program is
//! installed, or this process is not permitted, nothing is read, and `doctor` says so.

use std::collections::BTreeMap;

use super::seen::{SnapshotError, put};
use crate::host::{
    Host,
    iptables::{Flavour, Program, legacy_tables},
    nft::expr::Family,
};

/// Possible names of the legacy program. The second one may also be the program of nftables.
const PROGRAMS: [&str; 2] = ["iptables-legacy", "iptables"];

/// Adds all chains of both families.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    for (family, word) in [(Family::V4, "ip"), (Family::V6, "ip6")] {
        let tables = legacy_tables(family).map_err(|error| SnapshotError::Unreadable {
            what: "tables of the old iptables".to_owned(),
            why: error.to_string(),
        })?;
        if tables.is_none_or(|tables| tables.is_empty()) {
            continue;
        }
        let Some(program) = program(family) else { continue };
        let text = program.save_all().map_err(|error| SnapshotError::Unreadable {
            what: format!("tables of {}", program.name()),
            why: error.to_string(),
        })?;
        for (key, value) in chains(&text) {
            put(into, &format!("iptables-chain:{word} {key}"), value);
        }
    }
    Ok(())
}

/// Returns the program that can read the legacy tables; `None` if it is not installed.
pub(crate) fn program(family: Family) -> Option<Program> {
    let programs = PROGRAMS.into_iter().map(|name| Program::new(name, family));
    programs.into_iter().find(|program| program.is_there() && program.flavour().ok() == Some(Flavour::Legacy))
}

/// Parses the output of `iptables-save`. Returns for each table and chain the policy and the rules, one line each.
fn chains(saved: &str) -> BTreeMap<String, String> {
    let mut chains = BTreeMap::<String, String>::new();
    let mut table = "";
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let (name, rest) = chain.split_once(' ').unwrap_or((chain, ""));
            let policy = rest.split(' ').next().unwrap_or_default();
            chains.insert(format!("{table} {name}"), policy.to_owned());
        } else if let Some((chain, rule)) = line.strip_prefix("-A ").and_then(|line| line.split_once(' ')) {
            let lines = chains.entry(format!("{table} {chain}")).or_default();
            lines.push('\n');
            lines.push_str(rule);
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_read_with_their_policies_and_without_counters() {
        let saved = "# Generated\n*filter\n:INPUT DROP [3:180]\n:ufw - [0:0]\n-A INPUT -j ufw\n-A INPUT -m comment --comment \
                     \"-A x [1:2]\" -j ACCEPT\nCOMMIT\n*nat\n:INPUT ACCEPT [7:9]\nCOMMIT\n";
        let chains = chains(saved);
        assert_eq!(chains["filter INPUT"], "DROP\n-j ufw\n-m comment --comment \"-A x [1:2]\" -j ACCEPT");
        assert_eq!((chains["filter ufw"].as_str(), chains["nat INPUT"].as_str()), ("-", "ACCEPT"));
    }
}
