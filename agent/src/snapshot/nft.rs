//! The nftables ruleset of all families: tables, chains with their rules, sets with their elements, objects, flow tables.
//!
//! Includes the rules of `iptables-nft`, but not those of `iptables-legacy`, which are not in nftables. A kernel
//! without nf_tables has no ruleset. Numbers of attributes (`NFTA_…`) are those of `linux/netfilter/nf_tables.h`.

use std::collections::BTreeMap;

use firedrill_netlink::{Attrs, Message, NetlinkError, Reason, attr, attributes};

use super::{
    mask::{Mask, canonical, keep, plain},
    seen::{SnapshotError, put},
};
use crate::host::{
    Host,
    nft::{
        is_absent, list,
        message::{ANY, Kind},
    },
};

/// The flag of sets whose elements change with packets.
const DYNAMIC: u32 = 0x20;
/// The type of objects that are counters.
const COUNTER_OBJECT: u32 = 1;
/// The type of objects that are quotas.
const QUOTA_OBJECT: u32 = 2;

/// Adds the whole ruleset.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    let listed = |kind| list(ANY, kind, &Attrs::new());
    let tables = match listed(Kind::GetTables) {
        Err(error) if is_absent(&error) => return Ok(()),
        tables => tables?,
    };
    for message in tables {
        let (family, attrs) = parts(&message);
        put(into, &format!("nft-table:{family} {}", name(attrs, 1)), canonical(attrs, table));
    }
    let mut chains = BTreeMap::<String, String>::new();
    for message in listed(Kind::GetChains)? {
        let (family, attrs) = parts(&message);
        let key = format!("nft-chain:{family} {} {}", name(attrs, 1), name(attrs, 3));
        chains.insert(key, canonical(attrs, chain));
    }
    for message in listed(Kind::GetRules)? {
        let (family, attrs) = parts(&message);
        let key = format!("nft-chain:{family} {} {}", name(attrs, 1), name(attrs, 2));
        let lines = chains.entry(key).or_default();
        lines.push('\n');
        lines.push_str(&rule(attrs));
    }
    for (key, value) in chains {
        put(into, &key, value);
    }
    for message in listed(Kind::GetSets)? {
        let (family, attrs) = parts(&message);
        let key = format!("nft-set:{family} {} {}", name(attrs, 1), name(attrs, 2));
        let mut lines = vec![canonical(attrs, set)];
        if attr::be32(attrs, 3).unwrap_or(0) & DYNAMIC == 0 {
            lines.extend(elements(&message, attrs)?);
        }
        put(into, &key, lines.join("\n"));
    }
    for message in optional(listed(Kind::GetObjects))? {
        let (family, attrs) = parts(&message);
        let key = format!("nft-object:{family} {} {}", name(attrs, 1), name(attrs, 2));
        let counts = matches!(attr::be32(attrs, 3), Some(COUNTER_OBJECT | QUOTA_OBJECT));
        put(into, &key, canonical(attrs, if counts { counting_object } else { object }));
    }
    for message in optional(listed(Kind::GetFlowtables))? {
        let (family, attrs) = parts(&message);
        let key = format!("nft-flowtable:{family} {} {}", name(attrs, 1), name(attrs, 2));
        put(into, &key, canonical(attrs, flowtable));
    }
    Ok(())
}

/// Old kernels do not know objects or flow tables, and so have none.
fn optional(listed: Result<Vec<Message>, NetlinkError>) -> Result<Vec<Message>, NetlinkError> {
    match listed {
        Err(NetlinkError {
            reason: Reason::Refused { errno: libc::EOPNOTSUPP | libc::EINVAL, .. }, ..
        }) => Ok(Vec::new()),
        other => other,
    }
}

/// Returns the family's name and the attributes of a message.
fn parts(message: &Message) -> (String, &[u8]) {
    let (header, attrs) = message.body.split_at_checked(4).unwrap_or((&[0; 4], &[]));
    let family = match header[0] {
        1 => "inet".to_owned(),
        2 => "ip".to_owned(),
        3 => "arp".to_owned(),
        5 => "netdev".to_owned(),
        7 => "bridge".to_owned(),
        10 => "ip6".to_owned(),
        other => format!("family-{other}"),
    };
    (family, attrs)
}

/// Returns the text of the attribute with that number.
fn name(attrs: &[u8], kind: u16) -> String {
    attr::text(attrs, kind).unwrap_or_default()
}

/// Returns the elements of a set, sorted. `message` and `attrs` are those of the set.
fn elements(message: &Message, attrs: &[u8]) -> Result<Vec<String>, SnapshotError> {
    let family = message.body.first().copied().unwrap_or(ANY);
    let which = Attrs::new().text(1, &name(attrs, 1)).text(2, &name(attrs, 2));
    let listed = match list(family, Kind::GetElements, &which) {
        // The set was removed between two requests; the next snapshot will show that.
        Err(NetlinkError { reason: Reason::Refused { errno: libc::ENOENT, .. }, .. }) => Vec::new(),
        other => other?,
    };
    let mut lines: Vec<_> = listed
        .iter()
        .filter_map(|message| attr::find(message.body.get(4..)?, 3))
        .flat_map(attributes)
        .map(|(_, attrs)| canonical(attrs, element))
        .collect();
    // The kernel lists them in the order of a hash table.
    lines.sort_unstable();
    Ok(lines)
}

/// Formats a rule as `meta{…} cmp{…} counter{}`.
fn rule(attrs: &[u8]) -> String {
    let mut text = expressions(attr::find(attrs, 4).unwrap_or_default());
    // The data for iptables, and the data of the program that made the rule, such as a comment.
    for kind in [5, 7] {
        if let Some(more) = attr::find(attrs, kind) {
            text.push_str(&format!(" {kind}={}", plain(more)));
        }
    }
    text
}

/// Formats a list of expressions.
fn expressions(list: &[u8]) -> String {
    attributes(list).map(|(_, attrs)| expression(attrs)).collect::<Vec<_>>().join(" ")
}

/// Formats an expression as `name{options}`, without values that packets change.
fn expression(attrs: &[u8]) -> String {
    let name = attr::text(attrs, 1).unwrap_or_default();
    let data = attr::find(attrs, 2).unwrap_or_default();
    let mask: fn(u16) -> Mask = match name.as_str() {
        "counter" | "last" => |_| Mask::Drop,
        "quota" => |kind| if kind == 4 { Mask::Drop } else { Mask::Keep },
        "dynset" => |kind| match kind {
            7 => Mask::Text(expression),
            10 => Mask::Text(expressions),
            _ => Mask::Keep,
        },
        _ => keep,
    };
    format!("{name}{{{}}}", canonical(data, mask))
}

/// Drops the use count (3), the handle (4), and the owner's address (7), which differs after each restart of a firewall.
fn table(kind: u16) -> Mask {
    if matches!(kind, 3 | 4 | 7) { Mask::Drop } else { Mask::Keep }
}

/// Drops the handle (2), the use count (6), the counters (8) and the transaction's number (11).
fn chain(kind: u16) -> Mask {
    if matches!(kind, 2 | 6 | 8 | 11) { Mask::Drop } else { Mask::Keep }
}

/// Drops the transaction's number (10), the handle (16) and the number of elements (20).
fn set(kind: u16) -> Mask {
    match kind {
        10 | 16 | 20 => Mask::Drop,
        17 => Mask::Text(expression),
        18 => Mask::Text(expressions),
        _ => Mask::Keep,
    }
}

/// Drops the time that is left (5), and formats the expressions (7, 11), which may count.
fn element(kind: u16) -> Mask {
    match kind {
        5 => Mask::Drop,
        7 => Mask::Text(expression),
        11 => Mask::Text(expressions),
        _ => Mask::Keep,
    }
}

/// Drops the use count (5) and the handle (6).
fn object(kind: u16) -> Mask {
    if matches!(kind, 5 | 6) { Mask::Drop } else { Mask::Keep }
}

/// Also drops the data (4), which packets change.
fn counting_object(kind: u16) -> Mask {
    if matches!(kind, 4..=6) { Mask::Drop } else { Mask::Keep }
}

/// Drops the use count (4) and the handle (5).
fn flowtable(kind: u16) -> Mask {
    if matches!(kind, 4 | 5) { Mask::Drop } else { Mask::Keep }
}
