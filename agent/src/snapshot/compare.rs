//! Compares two snapshots of a host, and decides who caused each difference. Never reads the host.

use firedrill_wire::{InjectionId, api::Claim};

use super::Snapshot;
use crate::host::{
    iptables,
    nft::{self, PREFIX},
};

/// Maximum number of lines of a changed value that are shown.
const SHOWN: usize = 4;
/// Maximum number of characters of each of these lines.
const WIDTH: usize = 160;

/// The runs that can have caused a difference. People can have caused it, too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parties<'a> {
    /// The claims of the run that compares, without claims on objects that its undo left as others had changed them.
    pub claims: &'a [Claim],
    /// The injections of other runs that were open between the two snapshots.
    pub others: &'a [Other],
}

/// An injection of another run that was open between the two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its id.
    pub injection: InjectionId,
    /// Its claims; empty while it waits for its start, because it has done nothing yet.
    pub claims: Vec<Claim>,
    /// Whether it is still open.
    pub open: bool,
    /// Run, drill and operator, for people.
    pub run: String,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Changes to objects with the project's prefix, and to objects that the run claimed.
    pub ours: Vec<String>,
    /// Changes by others: people or other runs.
    pub foreign: Vec<String>,
    /// Changes to objects that this run and an open one both claimed: either may have caused them.
    pub unproven: Vec<String>,
    /// Number of objects that were compared.
    pub compared: u64,
}

/// Compares for a run with the given claims, if no other run was open. See [`compare_among`].
#[must_use]
pub fn compare(before: &Snapshot, after: &Snapshot, claims: &[Claim]) -> Difference {
    compare_among(before, after, Parties { claims, others: &[] })
}

/// Compares, and decides who caused each difference. An object with the name of another run's injection belongs to that
/// run, and so does everything that the injection claims. If this run claims the object too, the difference is unproven while
/// the other injection is open, and ours afterwards. Everything else that this run claims or that has the project's prefix is ours; the
/// rest is foreign.
#[must_use]
pub fn compare_among(before: &Snapshot, after: &Snapshot, parties: Parties<'_>) -> Difference {
    let mut difference = Difference::default();
    let new = after.seen.keys().filter(|key| !before.seen.contains_key(*key));
    for key in before.seen.keys().chain(new) {
        difference.compared += 1;
        let (line, parts) = match (before.seen.get(key), after.seen.get(key)) {
            (Some(was), Some(is)) if was == is => continue,
            (Some(was), Some(is)) => {
                let parts = parts(was, is);
                (format!("{key} changed: {}", shown(&parts)), parts)
            }
            (Some(_), None) => (format!("{key} is gone"), Vec::new()),
            (None, _) => (format!("{key} is new"), Vec::new()),
        };
        match parties.maker_of(key, &parts) {
            Maker::Ours => difference.ours.push(line),
            Maker::Other(other) => {
                let has = if other.open { "has it in force" } else { "had it in force" };
                difference.foreign.push(format!("{line} ({} {has})", other.run));
            }
            Maker::Either(other) => difference.unproven.push(format!(
                "{line}; {} has in force what this run claimed too: compare again when that has ended",
                other.run
            )),
            Maker::Foreign => difference.foreign.push(line),
        }
    }
    difference
}

/// The cause of a difference.
enum Maker<'a> {
    /// This run.
    Ours,
    /// This injection of another run.
    Other(&'a Other),
    /// This run or that injection of another run.
    Either(&'a Other),
    /// Somebody else.
    Foreign,
}

impl<'a> Parties<'a> {
    /// Returns the cause of a difference of the object `key`; `parts` are the lines of its value that differ.
    fn maker_of(self, key: &str, parts: &[String]) -> Maker<'a> {
        let words = std::iter::once(key).chain(parts.iter().map(String::as_str));
        let names =
            words.flat_map(|text| text.split([' ', '"', ':'])).filter(|word| word.starts_with(PREFIX));
        let mut named = None;
        for name in names {
            match self.others.iter().find(|other| other.has(name)) {
                Some(other) => named = Some(other),
                // A name with the project's prefix that belongs to no other run makes the whole entry ours.
                None => return Maker::Ours,
            }
        }
        if let Some(other) = named {
            return Maker::Other(other);
        }
        let claims = |claims: &[Claim]| claims.iter().any(|claim| covers(claim, key));
        let of_other =
            |open: bool| self.others.iter().find(|other| other.open == open && claims(&other.claims));
        match (of_other(true), claims(self.claims)) {
            // The other run claimed the object after this run's end, so the state that this run left cannot be seen any more.
            (Some(other), true) => Maker::Either(other),
            (Some(other), false) => Maker::Other(other),
            (None, true) => Maker::Ours,
            (None, false) => of_other(false).map_or(Maker::Foreign, Maker::Other),
        }
    }
}

impl Other {
    /// Whether an object of that name belongs to this injection.
    fn has(&self, name: &str) -> bool {
        // Names of chains and interfaces begin with the injection's prefix.
        name == nft::table_name(&self.injection) || name.starts_with(&iptables::prefix(&self.injection))
    }
}

/// Whether a claim is on the object `key` of a snapshot.
fn covers(claim: &Claim, key: &str) -> bool {
    let starts =
        |what: &str| key.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    // A claim names the process. A snapshot has a key for it only while it is stopped.
    let stopped = claim.what.strip_prefix("process:").map(|name| format!("stopped:{name}"));
    starts(&claim.what) || stopped.is_some_and(|what| starts(&what))
}

/// Returns the lines that differ: missing ones with `-`, added ones with `+`.
fn parts(was: &str, is: &str) -> Vec<String> {
    let missing = was.lines().filter(|line| !is.lines().any(|other| other == *line));
    let added = is.lines().filter(|line| !was.lines().any(|other| other == *line));
    let missing = missing.map(|line| format!("- {line}"));
    missing.chain(added.map(|line| format!("+ {line}"))).collect()
}

/// Returns the first differing lines as one text, for people.
fn shown(parts: &[String]) -> String {
    if parts.is_empty() {
        return "the same parts in another order or number".to_owned();
    }
    let mut texts: Vec<String> = parts.iter().take(SHOWN).map(|line| short(line)).collect();
    if parts.len() > SHOWN {
        texts.push(format!("and {} more", parts.len() - SHOWN));
    }
    texts.join("; ")
}

fn short(line: &str) -> String {
    // Two more characters for the sign and its space.
    match line.char_indices().nth(WIDTH + 2) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(what: &str) -> Vec<Claim> {
        vec![Claim { what: what.to_owned(), shared: false }]
    }

    fn other(injection: &str, claims: Vec<Claim>, open: bool) -> Other {
        let run = "run r2 (slow20, by bob)".to_owned();
        Other { injection: injection.parse().unwrap(), claims, open, run }
    }

    fn snapshot(seen: &[(&str, &str)]) -> Snapshot {
        let seen = seen.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Snapshot { boot_id: String::new(), seen }
    }

    #[test]
    fn a_change_of_an_object_with_a_claim_or_the_prefix_is_ours() {
        let before = snapshot(&[("unit:checkout", "up"), ("unit:checkout-db", "up"), ("link:eth0", "up")]);
        let after = snapshot(&[
            ("unit:checkout", "down"),
            ("unit:checkout-db", "down"),
            ("link:eth0", "up"),
            ("nft-chain:inet fd_x input", "drop"),
        ]);
        let claims = claimed("unit:checkout");
        let difference = compare(&before, &after, &claims);
        assert_eq!(difference.compared, 4);
        assert_eq!(
            difference.ours,
            ["unit:checkout changed: - up; + down", "nft-chain:inet fd_x input is new"]
        );
        assert_eq!(difference.foreign, ["unit:checkout-db changed: - up; + down"]);
    }

    #[test]
    fn a_jump_to_a_chain_with_the_prefix_is_ours_in_any_chain() {
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

    #[test]
    fn an_object_with_the_name_of_another_runs_injection_belongs_to_that_run() {
        let theirs = other("r2-1-1", Vec::new(), true);
        let (table, prefix) = (nft::table_name(&theirs.injection), iptables::prefix(&theirs.injection));
        let chain = format!("nft-chain:inet {table} output");
        let jump = format!("ACCEPT\n-j {prefix}_i");
        let quiet = snapshot(&[("iptables-chain:ip filter INPUT", "ACCEPT")]);
        let held = snapshot(&[(&chain, "drop"), ("iptables-chain:ip filter INPUT", &jump)]);
        for (before, after) in [(&quiet, &held), (&held, &quiet)] {
            let others = [theirs.clone()];
            let difference = compare_among(before, after, Parties { claims: &[], others: &others });
            assert_eq!((difference.ours.len(), difference.foreign.len()), (0, 2), "{difference:?}");
            assert!(
                difference
                    .foreign
                    .iter()
                    .all(|line| line.ends_with("(run r2 (slow20, by bob) has it in force)"))
            );
            // Without that run it would be a leftover.
            assert_eq!(compare(before, after, &[]).ours.len(), 2);
        }
        // With a jump of this run beside the other run's jump, the chain is ours.
        let both = format!("{jump}\n-j {}_i", iptables::prefix(&"r1-1-1".parse().unwrap()));
        let dirty = snapshot(&[("iptables-chain:ip filter INPUT", &both)]);
        let difference = compare_among(&quiet, &dirty, Parties { claims: &[], others: &[theirs] });
        assert_eq!((difference.ours.len(), difference.foreign.len()), (1, 0), "{difference:?}");
    }

    #[test]
    fn an_object_that_another_run_claims_belongs_to_that_run_unless_this_run_claims_it_too() {
        let up = snapshot(&[("unit:runit/db", "up")]);
        let down = snapshot(&[("unit:runit/db", "down")]);
        let db = claimed("unit:runit/db");
        let of = |claims: &[Claim], open| {
            let others = [other("r2-1-1", db.clone(), open)];
            compare_among(&up, &down, Parties { claims, others: &others })
        };
        assert_eq!(of(&[], true).foreign.len(), 1);
        assert!(of(&[], false).foreign[0].contains("had it in force"));
        let either = of(&db, true);
        assert_eq!((either.ours.len(), either.foreign.len(), either.unproven.len()), (0, 0, 1), "{either:?}");
        assert_eq!(of(&db, false).ours.len(), 1, "this run may have left it so");
        assert_eq!(compare(&up, &down, &[]).foreign, ["unit:runit/db changed: - up; + down"]);
    }

    #[test]
    fn a_process_that_was_claimed_and_is_stopped_is_ours() {
        let stopped = snapshot(&[("stopped:42@7", "nginx"), ("stopped:421@7", "cron")]);
        let claims = claimed("process:42@7");
        let difference = compare(&snapshot(&[]), &stopped, &claims);
        assert_eq!(difference.ours, ["stopped:42@7 is new"]);
        assert_eq!(difference.foreign, ["stopped:421@7 is new"]);
    }
}
