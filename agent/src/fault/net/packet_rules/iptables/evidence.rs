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

/// Looks whether the chains exist, are jumped to, have all their rules and open gates, and reads the counters of their rules.
#[must_use]
pub(super) fn evidence(host: &Host, live: &Live, decided: &IptablesChains) -> Evidence {
    let id = &live.ask.id;
    let without_counters =
        |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
    let ours = prefix(id);
    let mut listings = BTreeMap::new();
    for family in &decided.families {
        let program = Program::new(&decided.program, *family);
        match Listing::read(&program, decided.table, &ours) {
            Ok(listing) => listings.insert(*family, listing),
            Err(error) => return without_counters(Seen::Unknown, error.to_string()),
        };
    }
    if listings.values().all(|listing| listing.chains.is_empty()) {
        return without_counters(Seen::No, format!("iptables chains {ours}* are not there"));
    }
    // The chains as this process made them, to compare with.
    let Some(made) = host.iptables.look(id) else {
        let detail = format!("iptables chains {ours}* are there, not made by this process");
        return without_counters(Seen::Unknown, detail);
    };
    let mut broken = Vec::new();
    let mut notes = Vec::new();
    for (family, listing) in &listings {
        for (from, to) in made.jumps.get(family).into_iter().flatten() {
            let jump = format!("-j {to}");
            // A listed jump has its built-in chain, its rule, and the number of rules before it.
            match listing.jumps.iter().find(|(chain, rule, _)| chain == from && *rule == jump) {
                Some((_, _, 0)) => {}
                Some((_, _, before)) => notes.push(format!("{before} rules stand before ours in {from}")),
                None => broken.push(format!("{from} does not jump to {to} any more")),
            }
        }
        for (chain, made_rules) in made.chains.get(family).into_iter().flatten() {
            let present = listing.rules.iter().filter(|rule| rule.chain == *chain).count();
            if present < *made_rules {
                broken
                    .push(format!("{} of the {made_rules} rules of {chain} are gone", made_rules - present));
            }
        }
    }
    let rules = || listings.values().flat_map(|listing| &listing.rules);
    // The rules that harm are exactly those that match the gates.
    let harmful = rules().filter(|rule| rule.rule.contains("-m recent "));
    // `None` if the counter of one of them could not be read.
    let packets = harmful.map(|rule| rule.packets).sum::<Option<u64>>();
    if rules().any(|rule| is_past(&rule.rule)) {
        broken.push("the wall clock is past the hold's end".to_owned());
    }
    let have_entries = made.gates.have_entries(id);
    match &have_entries {
        Ok(true) => {}
        Ok(false) => broken.push("the kernel has no entry for a gate".to_owned()),
        Err(error) => notes.push(error.to_string()),
    }
    let gate_times = made.gates.left().map(|(name, left)| match left {
        Some(left) if !left.is_zero() => format!("{name} {}", Span::from(left)),
        _ => format!("{name} over"),
    });
    let in_force = match have_entries {
        _ if !broken.is_empty() || !made.gates.are_open() => Seen::No,
        Ok(_) => Seen::Yes,
        Err(_) => Seen::Unknown,
    };
    let exercised = match packets {
        Some(0) => Seen::No,
        Some(_) => Seen::Yes,
        None => Seen::Unknown,
    };
    let counted =
        packets.map_or_else(|| "packets not counted".to_owned(), |packets| format!("{packets} packets"));
    let chains =
        format!("iptables chains {ours}* in table {}: {} rules, {counted}", decided.table, rules().count());
    let details = std::iter::once(chains).chain(gate_times).chain(broken).chain(notes);
    Evidence { in_force, exercised, count: packets, detail: details.collect::<Vec<_>>().join(", ") }
}

/// Whether the hold's end that a rule states by the wall clock has passed. The kernel compares whole seconds, so the rule still matches
/// during the second that it names.
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
        assert_eq!(until(Duration::from_secs(40 * 365 * 86_400)), None, "rules can name no time after 2038");
    }
}
