//! Finds out which features the kernel has, by requests that the kernel checks but never carries out.

use std::time::Duration;

use firedrill_netlink::{Attrs, NetlinkError, flag};
use firedrill_wire::api::{Finding, Grade};

use super::{finding::finding, packages};
use crate::host::{
    Host,
    kinds::{IFB, QDISC, TRIAL, known, try_ifb, try_qdisc},
    nft::{
        expr::Exprs,
        list,
        message::{self, Kind},
        table::{Chain, EARLY, Gate, Hook, Place, Table, gated},
    },
    queue,
};

/// The name of the finding on the tables that faults on traffic need.
pub(super) const OWNER_TABLES: &str = "nftables owner tables with timeouts";
/// The name of the finding on the queues that shape packets in user space.
const SHAPING: &str = "packet shaping: user space (NFQUEUE)";

/// Returns the findings on nf_tables, and on the features that shape packets.
pub(super) fn findings(host: &Host) -> Vec<Finding> {
    let mut findings = Vec::new();
    match list(message::ANY, Kind::GetTables, &Attrs::new()) {
        Ok(tables) => {
            let detail = format!("{} tables", tables.len());
            findings.push(finding("nftables", Grade::Good, detail, ""));
        }
        Err(error) => {
            let hint = "load nf_tables, and run the agent with CAP_NET_ADMIN";
            findings.push(finding("nftables", Grade::Missing, error.to_string(), hint));
            return findings;
        }
    }
    findings.push(of_dry_run(
        OWNER_TABLES,
        host.nft.try_out(&trial(Exprs::drop)),
        "needs Linux 5.12; without it faults on traffic are left to iptables",
    ));
    findings.push(of_dry_run(
        "nftables reject",
        host.nft.try_out(&trial(Exprs::reject)),
        "load nft_reject_inet; without it net-block can only drop",
    ));
    host.nft.load_queues();
    let tried = host.nft.try_out(&trial(|rule| rule.queue(queue::FIRST)));
    let has_queues = tried.is_ok();
    findings.push(of_dry_run(
        SHAPING,
        tried,
        "load xt_NFQUEUE and nfnetlink_queue (CONFIG_NETFILTER_XT_TARGET_NFQUEUE, CONFIG_NETFILTER_NETLINK_QUEUE); without them net-slow, net-lose and their like are left to netem, or refused",
    ));
    let egress = egress(host);
    let (netem, ifb) = (try_qdisc("netem"), try_ifb());
    // The engine in the kernel needs all three. The first reason against it is enough.
    let obstacles = [
        known("netem", &netem, QDISC).err(),
        known("ifb", &ifb, IFB).err(),
        egress.as_ref().err().map(ToString::to_string),
    ];
    let (grade, engine) = match (obstacles.into_iter().flatten().next(), has_queues) {
        (None, _) => (Grade::Good, "kernel (netem and tbf on interfaces of their own)".to_owned()),
        (Some(why), true) => (Grade::Good, format!("user space, because {why}")),
        (Some(why), false) => (Grade::Missing, format!("nothing: no user space, and {why}")),
    };
    findings.push(finding("packet shaping: what `engine = \"auto\"` takes", grade, engine, ""));
    findings.push(of_dry_run(
        "nftables egress hook",
        egress,
        "needs Linux 5.16 with CONFIG_NETFILTER_EGRESS; without it packets are shaped in user space",
    ));
    findings.push(of_kind(
        "netem",
        netem,
        libc::ENOENT,
        QDISC,
        &format!("{}; without it packets are shaped in user space", packages::netem()),
    ));
    findings.push(of_kind(
        "ifb",
        ifb,
        libc::EOPNOTSUPP,
        IFB,
        "a kernel with CONFIG_IFB; without it packets are shaped in user space",
    ));
    findings
}

/// Returns the finding on a feature that was tried out in a dry run.
fn of_dry_run(what: &str, tried: Result<(), NetlinkError>, hint: &str) -> Finding {
    match tried {
        Ok(()) => finding(what, Grade::Good, "taken in a dry run", ""),
        Err(error) => finding(what, Grade::Missing, error.to_string(), hint),
    }
}

/// Returns the finding on a kind of qdisc or interface, from the result of a request that must fail: with the error number
/// `unknown` if the kernel does not have the kind, with `known` if it does.
fn of_kind(what: &str, tried: Result<(), NetlinkError>, unknown: i32, known: i32, hint: &str) -> Finding {
    match tried.as_ref().map_err(NetlinkError::errno) {
        Err(Some(errno)) if errno == known => finding(what, Grade::Good, "the kernel has it", ""),
        Err(Some(errno)) if errno == unknown => finding(
            what,
            Grade::Missing,
            "the kernel does not have it, nor a module that it could load",
            hint,
        ),
        Err(_) => {
            let detail = tried.err().map(|error| error.to_string()).unwrap_or_default();
            finding(what, Grade::Note, format!("cannot tell: {detail}"), "")
        }
        Ok(()) => finding(what, Grade::Bad, "a request that cannot be right was taken", ""),
    }
}

/// Returns a table with one rule that has everything that the rules of faults have: a hook, gates, a counter, and `harm`.
fn trial(harm: fn(Exprs) -> Exprs) -> Table {
    let gates = Gate::usual(Duration::from_secs(1), Duration::from_secs(1));
    let rules = vec![harm(gated(&gates).counter())];
    let chains = vec![Chain { name: "input".to_owned(), place: Some(Place::at(Hook::Input, EARLY)), rules }];
    Table { name: TRIAL.to_owned(), comment: "firedrill".to_owned(), chains, gates, ..Table::default() }
}

/// Tries out a chain at the egress of loopback.
///
/// # Errors
/// The kernel would refuse it.
fn egress(host: &Host) -> Result<(), NetlinkError> {
    // Numbers are those of linux/netfilter/nf_tables.h: hook (1: egress), priority and device; then table, name, hook,
    // policy (1: accept) and type of the chain.
    let place = Attrs::new().be32(1, 1).be32(2, 0).text(3, "lo");
    let chain = Attrs::new().text(1, TRIAL).text(3, "out").nest(4, &place).be32(5, 1).text(7, "filter");
    let create = flag(libc::NLM_F_CREATE);
    let requests = [(Kind::NewTable, Attrs::new().text(1, TRIAL)), (Kind::NewChain, chain)]
        .into_iter()
        .filter_map(|(kind, attrs)| message::in_family(message::NETDEV, kind, create, &attrs))
        .collect();
    host.nft.would_take("try out an egress chain", requests)
}
