//! Looks whether iptables chains are in force, and reads the counters of their rules. Changes nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use firedrill_wire::{
    Span,
    evidence::{Evidence, Seen},
};

use crate::{
    host::{
        Host,
        iptables::{Listing, Program, prefix},
    },
    injection::{IptablesChains, Live},
};

/// Looks whether the chains exist, are jumped to and have all gates open, and reads the counters of their rules.
#[must_use]
pub(super) fn evidence(host: &Host, live: &Live, decided: &IptablesChains) -> Evidence {
    let id = &live.ask.id;
    let unknown = |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
    let name = prefix(id);
    let mut seen = BTreeMap::new();
    for family in &decided.families {
        let program = Program::new(&decided.program, *family);
        match Listing::read(&program, decided.table, &name) {
            Ok(listing) => seen.insert(*family, listing),
            Err(error) => return unknown(Seen::Unknown, error.to_string()),
        };
    }
    if seen.values().all(|listing| listing.chains.is_empty()) {
        return unknown(Seen::No, format!("iptables chains {name}* are not there"));
    }
    let Some(made) = host.iptables.look(id) else {
        let what = format!("iptables chains {name}* are there, not made by this process");
        return unknown(Seen::Unknown, what);
    };
    let mut troubles = Vec::new();
    let mut whole = true;
    for (family, listing) in &seen {
        for (from, to) in made.jumps.get(family).into_iter().flatten() {
            let jump = format!("-j {to}");
            match listing.jumps.iter().find(|(chain, rule, _)| chain == from && *rule == jump) {
                Some((_, _, 0)) => {}
                Some((_, _, before)) => troubles.push(format!("{before} rules stand before ours in {from}")),
                None => {
                    whole = false;
                    troubles.push(format!("{from} does not jump to {to} any more"));
                }
            }
        }
    }
    let rules = || seen.values().flat_map(|listing| &listing.rules);
    // The rules that harm are exactly those that match the gates.
    let packets = rules().filter(|(rule, _)| rule.contains("-m recent ")).map(|(_, packets)| packets).sum();
    if rules().any(|(rule, _)| is_past(rule)) {
        whole = false;
        troubles.push("the wall clock is past the hold's end".to_owned());
    }
    let entries = made.gates.have_entries(id);
    if !entries {
        troubles.push("the kernel has no entry for a gate".to_owned());
    }
    let left = made.gates.left().map(|(name, left)| match left {
        Some(left) if !left.is_zero() => format!("{name} {}", Span::from(left)),
        _ => format!("{name} over"),
    });
    let open = whole && entries && made.gates.are_open();
    let detail = [format!(
        "iptables chains {name}* in table {}: {} rules, {packets} packets",
        decided.table,
        rules().count()
    )];
    Evidence {
        in_force: if open { Seen::Yes } else { Seen::No },
        exercised: if packets > 0 { Seen::Yes } else { Seen::No },
        count: Some(packets),
        detail: detail.into_iter().chain(left).chain(troubles).collect::<Vec<_>>().join(", "),
    }
}

/// Whether a rule's end by the wall clock has passed.
fn is_past(rule: &str) -> bool {
    let end = rule.split_once("--datestop ").and_then(|(_, rest)| rest.split(' ').next());
    let end = end.and_then(|end| humantime::parse_rfc3339(&format!("{end}Z")).ok());
    end.is_some_and(|end| SystemTime::now() > end + Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::{super::plan::until, *};

    #[test]
    fn an_end_by_the_wall_clock_is_read_back() {
        let rule = |left| format!("-m time --datestop {} -j DROP", until(left).expect("not so far"));
        assert!(!is_past(&rule(Duration::from_secs(5))));
        assert!(is_past("-m recent -m time --datestop 2001-01-01T00:00:00 -j DROP"));
        assert!(!is_past("-m recent --name fd4_x_lease -j DROP"));
        assert_eq!(until(Duration::from_secs(40 * 365 * 86_400)), None, "rules end in 2038");
    }
}
