//! Finds other programs that filter and shape packets on this host. Reads only.

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

/// Qdiscs that a kernel or a distribution installs by default.
const USUAL: [&str; 7] = ["noqueue", "mq", "fq_codel", "fq", "pfifo_fast", "pfifo", "noop"];

pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let snapshot = match Snapshot::take(host) {
        Ok(snapshot) => snapshot,
        Err(error) => return vec![unreadable(&error)],
    };
    let mut findings = Vec::new();
    let names = |class: &str| -> Vec<String> {
        snapshot.seen.keys().filter_map(|key| key.strip_prefix(class)).map(str::to_owned).collect()
    };
    let tables = names("nft-table:");
    let (ours, foreign): (Vec<_>, Vec<_>) =
        tables.into_iter().partition(|table| table.split(' ').any(|word| word.starts_with(PREFIX)));
    if !ours.is_empty() {
        findings.push(finding(
            "our nftables tables",
            Grade::Note,
            ours.join(", "),
            "a fault is in force, or its owner is dying",
        ));
    }
    if !foreign.is_empty() {
        findings.push(finding(
            "foreign nftables tables",
            Grade::Note,
            foreign.join(", "),
            "left alone, always",
        ));
    }
    let (legacy, unread) = legacy();
    if !legacy.is_empty() || !unread.is_empty() {
        let hint = if unread.is_empty() {
            "left alone, always"
        } else {
            "left alone; no part of the proof of a clean host"
        };
        let detail = [&legacy[..], &unread[..]].concat().join(", ");
        findings.push(finding("iptables-legacy rules", Grade::Note, detail, hint));
    }
    let chains = [names("nft-chain:"), names("iptables-chain:")].concat();
    let flavours = flavours(&foreign, &chains, !legacy.is_empty());
    findings.push(finding("firewall", Grade::Note, flavours, ""));
    match qdisc_kinds() {
        Ok(kinds) => {
            for (device, kind) in kinds {
                if !USUAL.contains(&kind.as_str()) && !device.starts_with(PREFIX) {
                    let what = format!("foreign qdisc on {device}");
                    findings.push(finding(&what, Grade::Note, kind, "left alone, always"));
                }
            }
        }
        Err(error) => findings.push(unreadable(&error)),
    }
    findings
}

fn unreadable(error: &SnapshotError) -> Finding {
    let hint = "no run on this host can be proven clean until this is readable";
    finding("proof of a clean host", Grade::Bad, error.to_string(), hint)
}

/// Returns the tables of the old iptables in the kernel, and why some cannot be read.
fn legacy() -> (Vec<String>, Vec<String>) {
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for (family, word) in [(Family::V4, "ip"), (Family::V6, "ip6")] {
        match legacy_tables(family) {
            Ok(Some(tables)) => {
                if !tables.is_empty() && legacy_program(family).is_none() {
                    unread.push(format!("no {word}tables-legacy-save is installed to read them"));
                }
                all.extend(tables.iter().map(|table| format!("{word} {table}")));
            }
            Ok(None) => unread.push(format!("those of {word} are not to be seen from here")),
            Err(error) => unread.push(error.to_string()),
        }
    }
    (all, unread)
}

/// Returns the firewall programs that left objects.
fn flavours(tables: &[String], chains: &[String], legacy: bool) -> String {
    let marks = [
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
        seen.extend(marks.iter().filter(|(mark, _)| word.starts_with(mark)).map(|(_, flavour)| *flavour));
    }
    match (seen.is_empty(), tables.is_empty(), legacy) {
        (false, ..) => seen.into_iter().collect::<Vec<_>>().join(", "),
        (true, false, _) => "nftables rules of no flavour that is known".to_owned(),
        (true, true, true) => "iptables-legacy".to_owned(),
        (true, true, false) => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::flavours;

    #[test]
    fn firewalls_are_known_by_their_marks() {
        let chains = ["ip filter DOCKER-USER".to_owned(), "ip filter ufw-user-input".to_owned()];
        assert_eq!(flavours(&["ip filter".to_owned()], &chains, false), "Docker, ufw");
        assert_eq!(flavours(&[], &[], false), "none");
    }
}
