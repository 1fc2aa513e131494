//! Finds this tool's chains in the output of `iptables-save -c`. Only reads; changes no rule.

use std::{fs, io::ErrorKind};

use firedrill_netlink::{Attrs, attr};

use super::{
    program::{Flavour, IptablesError, Program},
    table::Table,
};
use crate::nft::{PREFIX, expr::Family, is_absent, list, message::Kind};

/// This tool's chains and rules in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Chains whose names have the prefix.
    pub chains: Vec<String>,
    /// Rules in other chains that lead to these chains: the chain, the rule, and the number of other programs' rules before it in its chain.
    pub jumps: Vec<(String, String, usize)>,
    /// The rules in these chains.
    pub rules: Vec<SeenRule>,
}

/// A rule in one of this tool's chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRule {
    /// The chain.
    pub chain: String,
    /// The rule: the part after `-A CHAIN`.
    pub rule: String,
    /// Number of packets that matched it; `None` if the program printed no number.
    pub packets: Option<u64>,
}

impl Listing {
    /// Reads a table.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub fn read(program: &Program, table: Table, prefix: &str) -> Result<Self, IptablesError> {
        Ok(Self::of(&program.save(table)?, prefix))
    }

    /// Keeps the chains for whose names `which` is true and the jumps to them, without the rules in the chains.
    pub(super) fn only(self, which: impl Fn(&str) -> bool) -> Self {
        let Self { mut chains, mut jumps, rules: _ } = self;
        chains.retain(|chain| which(chain));
        jumps.retain(|(_, rule, _)| which(rule.rsplit(' ').next().unwrap_or_default()));
        Self { chains, jumps, rules: Vec::new() }
    }

    /// Reads a table from the output of `iptables-save -c`.
    pub(super) fn of(text: &str, prefix: &str) -> Self {
        let mut seen = Self::default();
        let mut last = ("", 0);
        for line in text.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if name.starts_with(prefix) {
                    seen.chains.push(name.to_owned());
                }
                continue;
            }
            // `[packets:bytes] -A CHAIN …`
            let Some((counts, rule)) = line.split_once("] -A ") else { continue };
            let Some((chain, rule)) = rule.split_once(' ') else { continue };
            if last.0 != chain {
                last = (chain, 0);
            }
            if chain.starts_with(prefix) {
                let packets = counts.trim_start_matches('[').split(':').next();
                let packets = packets.and_then(|packets| packets.parse().ok());
                seen.rules.push(SeenRule { chain: chain.to_owned(), rule: rule.to_owned(), packets });
            } else if leads_to(rule, prefix) {
                seen.jumps.push((chain.to_owned(), rule.to_owned(), last.1));
            }
            last.1 += usize::from(!leads_to(rule, PREFIX));
        }
        seen
    }
}

/// Whether a rule of an administrator's chain leads to a chain with this prefix. Only the last two words of the rule are checked, because a
/// comment in it may contain anything.
fn leads_to(rule: &str, prefix: &str) -> bool {
    let mut words = rule.rsplit(' ');
    let (target, how) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    matches!(how, "-j" | "-g") && target.starts_with(prefix)
}

/// Whether a table exists. Does not create it.
///
/// # Errors
/// The tables cannot be listed.
pub(super) fn has_table(flavour: Flavour, family: Family, table: Table) -> Result<bool, IptablesError> {
    match flavour {
        // A process that may not read this list may not write the lists of gates either, so it has made no chains.
        Flavour::Legacy => {
            let tables = legacy_tables(family)?.unwrap_or_default();
            Ok(tables.iter().any(|name| name == table.word()))
        }
        Flavour::Nft => Ok(!nft_chains(family, table)?.is_empty()),
    }
}

/// Returns the tables of the old kernel interface; empty if it was never used. `None` if this process may not read them, for example in a
/// user namespace that does not own its network namespace.
///
/// # Errors
/// The tables cannot be read.
pub fn legacy_tables(family: Family) -> Result<Option<Vec<String>>, IptablesError> {
    let names = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    match fs::read_to_string(names) {
        Ok(text) => Ok(Some(text.lines().map(str::to_owned).collect())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Vec::new())),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(IptablesError::of(format!("read {names}"), error.to_string())),
    }
}

/// Returns the built-in chains that the jumps need and that do not exist.
///
/// # Errors
/// The kernel could not list the chains.
pub(super) fn missing(
    family: Family,
    table: Table,
    jumps: &[(&'static str, String)],
) -> Result<Vec<&'static str>, IptablesError> {
    let existing = nft_chains(family, table)?;
    Ok(jumps.iter().map(|(from, _)| *from).filter(|from| !existing.iter().any(|name| name == from)).collect())
}

/// Returns the nf_tables chains of an iptables table; empty if the kernel has no nf_tables.
fn nft_chains(family: Family, table: Table) -> Result<Vec<String>, IptablesError> {
    let messages = match list(family.key(), Kind::GetChains, &Attrs::new()) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        listed => listed.map_err(|error| {
            IptablesError::of(format!("list the chains of table {table}"), error.to_string())
        })?,
    };
    let attrs = messages.iter().filter_map(|message| message.body.get(4..));
    Ok(attrs
        .filter(|attrs| attr::text(attrs, 1).as_deref() == Some(table.word()))
        .filter_map(|attrs| attr::text(attrs, 3))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = r#"# Generated by iptables-save
*filter
:INPUT DROP [3:180]
:DOCKER - [0:0]
:fd_1_do - [0:0]
:fd_1_i - [0:0]
:fd_2_i - [0:0]
[1:2] -A INPUT -m comment --comment "a [9:9] -A trap -j fd_1_x" -j ACCEPT
[7:700] -A INPUT -j fd_1_i
[7:700] -A INPUT -i eth0 -g fd_1_i
[0:0] -A INPUT -j fd_2_i
[5:50] -A fd_1_do -m recent --rcheck --seconds 3 --name fd4_x_lease --mask 0.0.0.0 --rsource -j DROP
[6:60] -A fd_1_i -s 10.0.0.0/8 -j fd_1_do
COMMIT
"#;

    #[test]
    fn only_chains_with_the_prefix_and_jumps_to_them_are_seen() {
        let seen = Listing::of(SAVED, "fd_1_");
        assert_eq!(seen.chains, ["fd_1_do", "fd_1_i"]);
        let jump = |rule: &str, before| ("INPUT".to_owned(), rule.to_owned(), before);
        assert_eq!(seen.jumps, [jump("-j fd_1_i", 1), jump("-i eth0 -g fd_1_i", 1)]);
        assert_eq!(Listing::of(SAVED, "fd_2_").jumps, [("INPUT".to_owned(), "-j fd_2_i".to_owned(), 1)]);
        let rules: Vec<_> = seen.rules.iter().map(|rule| (&*rule.chain, rule.packets)).collect();
        assert_eq!(rules, [("fd_1_do", Some(5)), ("fd_1_i", Some(6))]);
    }

    #[test]
    fn a_counter_that_cannot_be_read_is_unknown() {
        let seen = Listing::of("[lots:60] -A fd_1_i -s 10.0.0.0/8 -j fd_1_do\n", "fd_1_");
        assert_eq!(seen.rules[0].packets, None);
    }

    #[test]
    fn a_listing_can_be_limited_to_some_chains() {
        let seen = Listing::of(SAVED, PREFIX).only(|name| name == "fd_1_i");
        assert_eq!(seen.chains, ["fd_1_i"]);
        assert_eq!(
            seen.jumps.iter().map(|(_, rule, _)| rule).collect::<Vec<_>>(),
            ["-j fd_1_i", "-i eth0 -g fd_1_i"]
        );
    }
}
