//! Reports the firewalls and queueing disciplines that other programs have on this host. Changes nothing.

use std::collections::BTreeSet;

use firedrill_wire::api::{Finding, Grade};

use super::finding::finding;
use crate::{
    host::{
        Host,
        iptables::legacy_tables,
        nft::{PREFIX, expr::Family},
    },
    snapshot::{Snapshot, SnapshotError, legacy_program, qdisc_kinds},
};

/// Kinds of qdiscs that a kernel or a distribution installs by default, and which are not reported.
const USUAL: [&str; 7] = ["noqueue", "mq", "fq_codel", "fq", "pfifo_fast", "pfifo", "noop"];
/// The hint on objects of other programs.
const UNTOUCHED: &str = "Firedrill never changes them";

/// Returns the findings: notes on what others have, and a bad grade if the state of this host cannot be read.
pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let snapshot = match Snapshot::take(host) {
        Ok(snapshot) => snapshot,
        Err(error) => return vec![unreadable(&error)],
    };
    let mut findings = Vec::new();
    let names_of = |class: &str| -> Vec<String> {
        snapshot.seen.keys().filter_map(|key| key.strip_prefix(class)).map(str::to_owned).collect()
    };
    let tables = names_of("nft-table:");
    let (ours, foreign): (Vec<_>, Vec<_>) =
        tables.into_iter().partition(|table| table.split(' ').any(|word| word.starts_with(PREFIX)));
    if !ours.is_empty() {
        findings.push(finding(
            "nftables tables of Firedrill",
            Grade::Note,
            ours.join(", "),
            "a fault is in force, or the process that owns them is ending",
        ));
    }
    if !foreign.is_empty() {
        findings.push(finding("foreign nftables tables", Grade::Note, foreign.join(", "), UNTOUCHED));
    }
    let (legacy, unread) = legacy_iptables();
    if !legacy.is_empty() || !unread.is_empty() {
        let hint = if unread.is_empty() {
            UNTOUCHED
        } else {
            "Firedrill never changes them; no run can prove that unread ones are as before"
        };
        let detail = [&legacy[..], &unread[..]].concat().join(", ");
        findings.push(finding("iptables-legacy rules", Grade::Note, detail, hint));
    }
    let chains = [names_of("nft-chain:"), names_of("iptables-chain:")].concat();
    let firewalls = firewalls(&foreign, &chains, !legacy.is_empty(), unread.is_empty());
    findings.push(finding("firewall", Grade::Note, firewalls, ""));
    match qdisc_kinds() {
        Ok(kinds) => {
            for (device, kind) in kinds {
                if !USUAL.contains(&kind.as_str()) && !device.starts_with(PREFIX) {
                    let what = format!("foreign qdisc on {device}");
                    findings.push(finding(&what, Grade::Note, kind, UNTOUCHED));
                }
            }
        }
        Err(error) => findings.push(unreadable(&error)),
    }
    findings
}

/// Returns the finding that the state of this host cannot be read.
fn unreadable(error: &SnapshotError) -> Finding {
    let hint = "no run on this host can be proven clean until this is readable";
    finding("proof of a clean host", Grade::Bad, error.to_string(), hint)
}

/// Returns the tables of iptables-legacy in the kernel, and the reasons why some cannot be listed or read.
fn legacy_iptables() -> (Vec<String>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (family, word) in [(Family::V4, "ip"), (Family::V6, "ip6")] {
        match legacy_tables(family) {
            Ok(Some(tables)) => {
                if !tables.is_empty() && legacy_program(family).is_none() {
                    unread.push(format!("no {word}tables-legacy-save is installed to read them"));
                }
                found.extend(tables.iter().map(|table| format!("{word} {table}")));
            }
            Ok(None) => unread.push(format!("this process may not list the {word} tables")),
            Err(error) => unread.push(error.to_string()),
        }
    }
    (found, unread)
}

/// Returns the names of the firewall programs that own some of the tables and chains, as far as the names of these tell. `legacy` says that
/// there are tables of iptables-legacy, and `read_all` that all of them could be read.
fn firewalls(tables: &[String], chains: &[String], legacy: bool, read_all: bool) -> String {
    let prefixes = [
        ("firewalld", "firewalld"),
        ("ufw-", "ufw"),
        ("ufw6-", "ufw"),
        ("DOCKER", "Docker"),
        ("KUBE-", "Kubernetes"),
        ("cali-", "Calico"),
        ("CILIUM_", "Cilium"),
        ("LIBVIRT_", "libvirt"),
        ("f2b-", "fail2ban"),
    ];
    let mut seen = BTreeSet::new();
    for word in tables.iter().chain(chains).flat_map(|name| name.split(' ')) {
        seen.extend(
            prefixes.iter().filter(|(prefix, _)| word.starts_with(prefix)).map(|(_, program)| *program),
        );
    }
    match (seen.is_empty(), tables.is_empty(), legacy) {
        (false, ..) => seen.into_iter().collect::<Vec<_>>().join(", "),
        (true, false, _) => "nftables rules of an unknown program".to_owned(),
        (true, true, true) => "iptables-legacy".to_owned(),
        (true, true, false) if read_all => "none".to_owned(),
        (true, true, false) => "unknown: iptables-legacy rules cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::firewalls;

    #[test]
    fn firewalls_are_known_by_the_prefixes_of_their_objects() {
        let chains = ["ip filter DOCKER-USER".to_owned(), "ip filter ufw-user-input".to_owned()];
        assert_eq!(firewalls(&["ip filter".to_owned()], &chains, false, true), "Docker, ufw");
        assert_eq!(firewalls(&[], &[], false, true), "none");
        assert!(firewalls(&[], &[], false, false).starts_with("unknown"));
    }
}
