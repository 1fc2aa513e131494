//! Checks whether faults on traffic can be made by iptables on this host. Tries rules out in a temporary network namespace.

use std::collections::BTreeMap;

use firedrill_wire::{
    InjectionId,
    api::{Finding, Grade},
    id::IdError,
};

use super::{dry_runs::OWNER_TABLES, finding::finding};
use crate::host::{
    Firewall, Host,
    iptables::{Chains, Gate, Rules, Table, prefix},
    nft::{expr::Family, table::LEASE},
    queue,
};

/// The name of the finding on rules that drop packets.
const WHAT: &str = "iptables";
/// The name of the finding on rules that send packets to a queue.
const WHAT_QUEUES: &str = "iptables: packet shaping in user space";
const INSTALL: &str = "install iptables (its iptables-restore and iptables-save) only where nftables cannot be used, or where \
                       agent.toml says firewall = \"iptables\"";
const NEEDS: &str = "load xt_recent (CONFIG_NETFILTER_XT_MATCH_RECENT); without it faults need nftables";
const NEEDS_QUEUES: &str =
    "load xt_NFQUEUE, xt_owner and nfnetlink_queue; without them iptables can only drop and reject";

/// Returns the findings on the programs of iptables, and on the rules that the kernel takes from them.
pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let missing: Vec<_> = Family::BOTH
        .into_iter()
        .map(|family| host.iptables.program(family))
        .filter(|program| !program.is_there())
        .map(|program| program.name().to_owned())
        .collect();
    if missing.len() == Family::BOTH.len() {
        return vec![finding(WHAT, Grade::Note, "not installed", INSTALL)];
    }
    let program = host.iptables.program(Family::V4);
    let flavour = program.flavour().map_or_else(|error| error.to_string(), |flavour| flavour.to_string());
    let lacks =
        if missing.is_empty() { String::new() } else { format!(", but no {}", missing.join(" and ")) };
    [(WHAT, "-j DROP", Table::Filter, NEEDS), (WHAT_QUEUES, "-j NFQUEUE", Table::Raw, NEEDS_QUEUES)]
        .into_iter()
        .map(|(what, target, table, needs)| match try_out(host, table, target) {
            Ok(()) => finding(what, Grade::Good, format!("{flavour}, taken in a trial{lacks}"), ""),
            Err(why) => finding(what, Grade::Missing, why, needs),
        })
        .collect()
}

/// Returns the finding on the engine of faults on traffic, from the other findings.
pub(super) fn engine(host: &Host, findings: &[Finding]) -> Finding {
    let works =
        |what: &str| findings.iter().any(|finding| finding.what == what && finding.grade == Grade::Good);
    let (nftables, iptables) = (works(OWNER_TABLES), works(WHAT));
    let (grade, detail) = match (host.firewall, nftables, iptables) {
        (Firewall::Auto | Firewall::Nftables, true, _) => (Grade::Good, "nftables"),
        (Firewall::Auto, false, true) => (Grade::Good, "iptables, because nftables cannot"),
        (Firewall::Iptables, _, true) => (Grade::Good, "iptables, as agent.toml says"),
        (Firewall::Auto, false, false) => (Grade::Missing, "nothing: neither nftables nor iptables can"),
        (Firewall::Nftables, false, _) => {
            (Grade::Missing, "nothing: nftables cannot, and agent.toml says it must")
        }
        (Firewall::Iptables, _, false) => {
            (Grade::Missing, "nothing: iptables cannot, and agent.toml says it must")
        }
    };
    let hint = "without either, faults on traffic and host-isolate are refused";
    finding("faults on traffic: what makes them", grade, detail, if grade == Grade::Good { "" } else { hint })
}

/// Tries out rules like those of a fault, with this target (`-j …`), in a temporary network namespace.
///
/// # Errors
/// The reason why iptables or the kernel does not take them.
fn try_out(host: &Host, table: Table, target: &str) -> Result<(), String> {
    let id: InjectionId = "trial".parse().map_err(|error: IdError| error.to_string())?;
    let prefix = prefix(&id);
    let rules = |family: Family| {
        let (chain, gate) = (format!("{prefix}do"), Gate { name: LEASE, seconds: 1 });
        let mut rules = vec![format!("{} {target}", gate.asked(&id, family))];
        // Only rules with queues are in table raw.
        if table == Table::Raw {
            rules[0].push_str(&format!(" --queue-num {} --queue-bypass", queue::FIRST));
            rules.insert(0, format!("-m owner --uid-owner {} -j RETURN", queue::SENDER));
        }
        Rules { chains: vec![(chain.clone(), rules)], jumps: vec![("OUTPUT", chain)] }
    };
    let families = Family::BOTH.into_iter().filter(|family| host.iptables.program(*family).is_there());
    let rules: BTreeMap<_, _> = families.map(|family| (family, rules(family))).collect();
    let chains = Chains { table, prefix: prefix.clone(), rules };
    host.iptables.try_out(&id, &chains).map_err(|error| error.to_string())
}
