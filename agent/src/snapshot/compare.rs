//! What differs between two looks at a host, and whose doing it is. Pure.

use firedrill_wire::api::Claim;

use super::Snapshot;
use crate::host::nft::PREFIX;

/// How many lines of a value that differs are shown.
const SHOWN: usize = 4;
/// How many characters of each.
const WIDTH: usize = 160;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is ours or was claimed, and is not as it was.
    pub ours: Vec<String>,
    /// What others changed.
    pub foreign: Vec<String>,
    /// How many things were compared.
    pub compared: u64,
}

/// Compares. What a claim names, and what carries our prefix, is ours; everything else is somebody else's doing.
#[must_use]
pub fn compare(before: &Snapshot, after: &Snapshot, claims: &[Claim]) -> Difference {
    let mut difference = Difference::default();
    let new = after.seen.keys().filter(|key| !before.seen.contains_key(*key));
    for key in before.seen.keys().chain(new) {
        difference.compared += 1;
        let line = match (before.seen.get(key), after.seen.get(key)) {
            (Some(was), Some(is)) if was == is => continue,
            (Some(was), Some(is)) => format!("{key} changed: {}", lines(was, is)),
            (Some(_), None) => format!("{key} is gone"),
            (None, _) => format!("{key} is new"),
        };
        let ours = is_ours(key, claims) || line.split([' ', '"']).any(|word| word.starts_with(PREFIX));
        if ours { &mut difference.ours } else { &mut difference.foreign }.push(line);
    }
    difference
}

fn is_ours(key: &str, claims: &[Claim]) -> bool {
    let (class, name) = key.split_once(':').unwrap_or(("", key));
    let network = matches!(
        class,
        "nft-table"
            | "nft-chain"
            | "nft-set"
            | "nft-object"
            | "nft-flowtable"
            | "link"
            | "addr"
            | "qdisc"
            | "class"
            | "filter"
            | "iptables-chain"
    );
    let named = network && name.split(' ').take(3).any(|word| word.starts_with(PREFIX));
    named
        || claims.iter().any(|claim| {
            key.strip_prefix(claim.what.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
}

fn lines(was: &str, is: &str) -> String {
    let missing = was.lines().filter(|line| !is.lines().any(|other| other == *line));
    let added = is.lines().filter(|line| !was.lines().any(|other| other == *line));
    let missing = missing.map(|line| format!("- {}", short(line)));
    let mut all: Vec<String> = missing.chain(added.map(|line| format!("+ {}", short(line)))).collect();
    if all.is_empty() {
        return "the same parts in another order or number".to_owned();
    }
    if all.len() > SHOWN {
        let more = all.len() - SHOWN;
        all.truncate(SHOWN);
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

fn short(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(seen: &[(&str, &str)]) -> Snapshot {
        let seen = seen.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Snapshot { boot_id: String::new(), seen }
    }

    #[test]
    fn what_is_claimed_or_carries_our_name_is_ours() {
        let before = snapshot(&[("unit:checkout", "up"), ("unit:checkout-db", "up"), ("link:eth0", "up")]);
        let after = snapshot(&[
            ("unit:checkout", "down"),
            ("unit:checkout-db", "down"),
            ("link:eth0", "up"),
            ("nft-chain:inet fd_x input", "drop"),
        ]);
        let claim = Claim { what: "unit:checkout".to_owned(), shared: false };
        let difference = compare(&before, &after, &[claim]);
        assert_eq!(difference.compared, 4);
        assert_eq!(
            difference.ours,
            ["unit:checkout changed: - up; + down", "nft-chain:inet fd_x input is new"]
        );
        assert_eq!(difference.foreign, ["unit:checkout-db changed: - up; + down"]);
    }

    #[test]
    fn a_jump_to_us_is_ours_in_whosever_chain_it_stands() {
        let before = snapshot(&[
            ("iptables-chain:ip filter INPUT", "ACCEPT\n-j ufw"),
            ("nft-chain:ip filter OUTPUT", "a"),
        ]);
        let after = snapshot(&[
            ("iptables-chain:ip filter INPUT", "ACCEPT\n-j fd_0123_i\n-j ufw"),
            ("iptables-chain:ip filter fd_0123_i", "-"),
            ("nft-chain:ip filter OUTPUT", "a\nimmediate{jump \"fd_0123_o\"}"),
        ]);
        let difference = compare(&before, &after, &[]);
        assert_eq!((difference.ours.len(), difference.foreign.len()), (3, 0), "{difference:?}");
    }

    #[test]
    fn the_same_rules_in_another_order_are_a_difference() {
        let difference = compare(
            &snapshot(&[("nft-chain:ip a b", "x\ny")]),
            &snapshot(&[("nft-chain:ip a b", "y\nx")]),
            &[],
        );
        assert_eq!(difference.foreign.len(), 1);
    }
}
