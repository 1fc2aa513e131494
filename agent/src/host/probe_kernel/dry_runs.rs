//! Finds features of the kernel by requests that it checks but never carries out.

use std::time::Duration;

use firedrill_netlink::{Attrs, NetlinkError, Request, Socket, flag, route::Link};
use firedrill_wire::api::{Finding, Grade};

use super::{finding, packages};
use crate::host::{
    Host,
    nft::{
        expr::Exprs,
        list,
        message::{self, Kind},
        table::{Chain, EARLY, Gate, Hook, Place, Table, gated},
    },
    queue,
};

const TRIAL: &str = "fd_trial";
/// The error of a kernel for impossible options of a qdisc that it has.
const QDISC: [i32; 1] = [libc::EINVAL];
/// The error for an impossible address of a kind of interface that it has.
const IFB: [i32; 1] = [libc::EADDRNOTAVAIL];
pub(super) const OWNER_TABLES: &str = "nftables owner tables with timeouts";
/// The name of the finding on delays, losses and similar faults.
const SHAPING: &str = "packet shaping: user space (NFQUEUE)";

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
    findings.push(graded(
        OWNER_TABLES,
        host.nft.try_out(&trial(Exprs::drop)),
        "needs Linux 5.12; without it faults on traffic are left to iptables",
    ));
    findings.push(graded(
        "nftables reject",
        host.nft.try_out(&trial(Exprs::reject)),
        "load nft_reject_inet; without it net-block can only drop",
    ));
    host.nft.load_queues();
    let tried = host.nft.try_out(&trial(|rule| rule.queue(queue::FIRST)));
    let queues = tried.is_ok();
    findings.push(graded(
        SHAPING,
        tried,
        "load xt_NFQUEUE and nfnetlink_queue (CONFIG_NETFILTER_XT_TARGET_NFQUEUE, CONFIG_NETFILTER_NETLINK_QUEUE); without them net-slow, net-lose and their like are left to netem, or refused",
    ));
    let egress = egress(host);
    let (netem, ifb) = (try_qdisc("netem"), try_ifb());
    let lacking = [
        known("netem", &netem, &QDISC).err(),
        known("ifb", &ifb, &IFB).err(),
        egress.as_ref().err().map(ToString::to_string),
    ];
    let (grade, engine) = match (lacking.into_iter().flatten().next(), queues) {
        (None, _) => (Grade::Good, "kernel (netem and tbf on interfaces of their own)".to_owned()),
        (Some(why), true) => (Grade::Good, format!("user space, because {why}")),
        (Some(why), false) => (Grade::Missing, format!("nothing: no user space, and {why}")),
    };
    findings.push(finding("packet shaping: what `engine = \"auto\"` takes", grade, engine, ""));
    findings.push(graded(
        "nftables egress hook",
        egress,
        "needs Linux 5.16 with CONFIG_NETFILTER_EGRESS; without it packets are shaped in user space",
    ));
    findings.push(kind(
        "netem",
        netem,
        libc::ENOENT,
        &QDISC,
        &format!("{}; without it packets are shaped in user space", packages::netem()),
    ));
    findings.push(kind(
        "ifb",
        ifb,
        libc::EOPNOTSUPP,
        &IFB,
        "a kernel with CONFIG_IFB; without it packets are shaped in user space",
    ));
    findings
}

fn graded(what: &str, tried: Result<(), NetlinkError>, hint: &str) -> Finding {
    match tried {
        Ok(()) => finding(what, Grade::Good, "taken in a dry run", ""),
        Err(error) => finding(what, Grade::Missing, error.to_string(), hint),
    }
}

/// Reads the result of a request that must fail: with one error if the kind is unknown, with another if it is known.
fn kind(what: &str, tried: Result<(), NetlinkError>, unknown: i32, known: &[i32], hint: &str) -> Finding {
    match tried.as_ref().map_err(NetlinkError::errno) {
        Err(Some(errno)) if known.contains(&errno) => finding(what, Grade::Good, "the kernel has it", ""),
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

/// Returns the smallest table that has everything a block has.
fn trial(harm: fn(Exprs) -> Exprs) -> Table {
    let gates = Gate::usual(Duration::from_secs(1), Duration::from_secs(1));
    let rules = vec![harm(gated(&gates).counter())];
    let chains = vec![Chain { name: "input".to_owned(), place: Some(Place::at(Hook::Input, EARLY)), rules }];
    Table { name: TRIAL.to_owned(), comment: "firedrill".to_owned(), chains, gates, ..Table::default() }
}

fn egress(host: &Host) -> Result<(), NetlinkError> {
    let place = Attrs::new().be32(1, 1).be32(2, 0).text(3, "lo");
    let chain = Attrs::new().text(1, TRIAL).text(3, "out").nest(4, &place).be32(5, 1).text(7, "filter");
    let create = flag(libc::NLM_F_CREATE);
    let requests = [(Kind::NewTable, Attrs::new().text(1, TRIAL)), (Kind::NewChain, chain)]
        .into_iter()
        .filter_map(|(kind, attrs)| message::in_family(message::NETDEV, kind, create, &attrs))
        .collect();
    host.nft.would_take("try out an egress chain", requests)
}

/// Whether the kernel has a qdisc, or a module that it could load for it.
///
/// # Errors
/// It has not; the text says why.
pub fn has_qdisc(kind: &str) -> Result<(), String> {
    known(kind, &try_qdisc(kind), &QDISC)
}

/// Whether the kernel has interfaces of kind `ifb`.
///
/// # Errors
/// It has not; the text says why.
pub fn has_ifb() -> Result<(), String> {
    known("ifb", &try_ifb(), &IFB)
}

fn known(what: &str, tried: &Result<(), NetlinkError>, known: &[i32]) -> Result<(), String> {
    match tried {
        Err(error) if error.errno().is_some_and(|errno| known.contains(&errno)) => Ok(()),
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => {
            Err(format!("this kernel has no {what}, nor a module that it could load"))
        }
        Err(error) => Err(error.to_string()),
        Ok(()) => Err(format!("a request for {what} that cannot be right was taken")),
    }
}

/// Makes a request with options of one byte: the kernel looks the kind up, then refuses.
fn try_qdisc(kind: &str) -> Result<(), NetlinkError> {
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&1_u32.to_ne_bytes());
    header[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
    let attrs = Attrs::new().text(1, kind).bytes(2, &[0]);
    let what = format!("try out {kind}");
    let request =
        Request::new(&what, libc::RTM_NEWQDISC, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &header, &attrs)?;
    Socket::open(libc::NETLINK_ROUTE)?.request(&what, &request)
}

/// Makes a request with a multicast hardware address: the kernel looks the kind up, then refuses.
fn try_ifb() -> Result<(), NetlinkError> {
    let ifb = Link::named(TRIAL).hardware_address([1, 0, 0, 0, 0, 0]).of_kind("ifb", &Attrs::new());
    ifb.create(&mut Socket::open(libc::NETLINK_ROUTE)?, "try out ifb")
}
