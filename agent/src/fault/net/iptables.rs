//! Faults on traffic by iptables: where nf_tables cannot be used, or where this host or the scenario says so.
//!
//! The same choice, the same exemptions and the same ends as by nftables, or a refusal: nothing is approximated. Unlike a
//! table, chains outlive their maker, so somebody must take them away; until then it is their gates that end the fault.

mod render;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, SystemTime},
};

use firedrill_probe::clock;
use firedrill_wire::{
    Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
};

use super::{
    peers::Peers,
    rules::{self, ALIVE_FOR, Fate, Harm},
    table_fault::BEHIND,
    words,
};
use crate::{
    fault::{Ask, InjectError, Injected, Live, Prepared, refuse},
    host::{
        Host,
        iptables::{Chains, Gate, Gates, IptablesError, Listing, Made, Program, prefix},
        nft::{
            expr::Family,
            table::{ALIVE, HOLD, LEASE},
        },
    },
    undo::{Undo, chains::Table},
};
use render::{MOST_PEERS, Render};

/// A time that rules can have, far from now.
const SOME_TIME: &str = "2037-01-01T00:00:00";
/// The last second that a rule can name, and a little less.
const LAST: u64 = (1 << 31) - 3_600;

/// What was decided when an injection was prepared.
pub(super) struct Decided {
    table: Table,
    program: String,
    families: Vec<Family>,
}

/// What was decided for an injection, if it is by iptables.
pub(super) fn of(live: &Live) -> Option<Decided> {
    live.prepared.undo.iter().find_map(|undo| match undo {
        Undo::RemoveChains { table, program, v4, v6, .. } => Some(Decided {
            table: *table,
            program: program.clone(),
            families: [(v4, Family::V4), (v6, Family::V6)]
                .into_iter()
                .filter_map(|(there, family)| there.then_some(family))
                .collect(),
        }),
        _ => None,
    })
}

/// What keeps a gate of the chains open, once they are made.
pub(super) fn keeper(host: &Host, live: &Live, gate: &'static str) -> impl FnMut() + Send + use<> {
    host.iptables.keeper(&live.ask.id, gate)
}

/// Tries the chains out where nothing sees them, and says what they will be.
///
/// # Errors
/// A refusal: something cannot be said in iptables rules, or the kernel or the programs lack something.
pub(super) fn prepare(
    host: &Host,
    ask: &Ask,
    harm: &Harm,
    peers: &Peers,
    effect: &str,
    notes: Vec<String>,
) -> Result<Prepared, Problem> {
    let unable = |why: String| {
        refuse(
            "engine-unable",
            format!("{}{BECAUSE}{why}", ask.fault.kind()),
            "install iptables, with xt_recent in the kernel, or use nftables; `firedrill doctor` says what this host has",
        )
    };
    sayable(harm).map_err(unable)?;
    let families = families(harm);
    for family in &families {
        let program = host.iptables.program(*family);
        if !program.is_there() {
            let name = program.name();
            return Err(unable(format!("there is no {name}-restore on this host, or no {name}-save")));
        }
    }
    let program = host.iptables.program.clone();
    let decided = Decided {
        table: if matches!(harm.how, Fate::Queue(_)) { Table::Raw } else { Table::Filter },
        program: program.clone(),
        families: families.clone(),
    };
    let gates = gates(&harm.how, ask.hold.into(), ask.hold.into());
    let tried = with_time_or_without(|until| {
        let until = until.then(|| SOME_TIME.to_owned());
        let chains = chains(host, &ask.id, harm, &decided.families, &gates, until.as_deref());
        host.iptables.try_out(&ask.id, &chains).map(|()| chains)
    });
    let chains = tried.map_err(|error| unable(error.to_string()))?;
    host.iptables.warm_up(&chains).map_err(|error| unable(error.to_string()))?;
    for family in &families {
        // What cannot be read back could not be put back either.
        let program = host.iptables.program(*family);
        Listing::read(&program, chains.table, &chains.prefix).map_err(|error| unable(error.to_string()))?;
    }
    let flavour = host.iptables.program(Family::V4).flavour().map_err(|error| unable(error.to_string()))?;
    let mut all_notes = vec![rules::exempt(host, harm.loopback)];
    all_notes.extend(notes.into_iter().map(|note| match note {
        // Queues come first of all, before any address is changed.
        note if decided.table == Table::Raw && note == words::REACHES => words::REACHES_BEFORE_NAT.to_owned(),
        note => note,
    }));
    all_notes.push(format!(
        "engine: iptables ({flavour}): {} rules in chains {}*, jumped to from the top of table {}, which is there, empty, \
         from now on if it was not before; lease and hold are counted in whole seconds, rounded up",
        chains.count(),
        chains.prefix,
        decided.table
    ));
    let mut claims = vec![
        Claim { what: "iptables".to_owned(), shared: true },
        Claim { what: format!("iptables-chains:{}", chains.prefix), shared: false },
    ];
    if decided.table == Table::Raw {
        claims.push(Claim { what: "iptables-queue".to_owned(), shared: false });
        all_notes.extend(of_queues(harm));
    }
    Ok(Prepared {
        claims,
        effects: vec![format!("{effect} (iptables chains {}*)", chains.prefix)],
        undo: vec![Undo::RemoveChains {
            injection: ask.id.clone(),
            table: decided.table,
            program,
            v4: families.contains(&Family::V4),
            v6: families.contains(&Family::V6),
        }],
        switches: vec![
            "kernel: lease and hold end in the rules".to_owned(),
            "guardian: removes the rules if the agent dies".to_owned(),
        ],
        notes: all_notes,
        basis: peers.basis(),
    })
}

/// What people should know about packets that are let through.
fn of_queues(harm: &Harm) -> Vec<String> {
    let mut notes = vec![
        "one fault that lets packets through can be made by iptables at a time; what its queue has let go on is not judged \
         by later rules of table raw"
            .to_owned(),
    ];
    if Render::leaves_out_leaving(harm) {
        notes.push(
            "what the host forwards is not reached on its way to the peers: before it is routed nobody knows by which \
             interface it will leave"
                .to_owned(),
        );
    }
    notes
}

const BECAUSE: &str = ": iptables cannot do it: ";

/// Why not, where a harm cannot be said in iptables rules.
fn sayable(harm: &Harm) -> Result<(), String> {
    let rules::Choice {
        peers,
        local_ports: _,
        remote_ports: _,
        protocol: _,
        direction: _,
        interfaces,
        user: _,
        service,
        again: _,
        flows,
        connections: _,
        followed: _,
        forwarded: _,
    } = &harm.choice;
    if matches!(harm.how, Fate::Line(_)) {
        return Err("packets of several faults cannot be sent through lines of the kernel".to_owned());
    }
    let most = peers.len().max(harm.except.len());
    if most > MOST_PEERS {
        return Err(format!("{most} peers need nftables: a rule for each, {MOST_PEERS} at most"));
    }
    if service.is_some() {
        return Err("a service's packets need nftables; choose by `user` or ports".to_owned());
    }
    if flows.is_some() {
        return Err("a share of the flows needs nftables: iptables draws anew for each packet".to_owned());
    }
    // What stands in a rule is text.
    let plain = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|one| one.is_ascii_alphanumeric() || "._-@".contains(one))
    };
    match interfaces.iter().find(|name| !plain(name)) {
        Some(odd) => Err(format!("an interface of the name {odd:?} cannot stand in a rule")),
        None => Ok(()),
    }
}

/// Which families it is about: those of the peers, or all that the host has.
fn families(harm: &Harm) -> Vec<Family> {
    let all = harm.choice.peers.is_empty();
    let named = |v4: bool| harm.choice.peers.iter().any(|peer| peer.addr().is_ipv4() == v4);
    let has_v6 = || fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|text| !text.is_empty());
    let mut families = Vec::new();
    if all || harm.choice.followed || named(true) {
        families.push(Family::V4);
    }
    // A name may come to have addresses of the other family.
    if named(false) || (all || harm.choice.followed) && has_v6() {
        families.push(Family::V6);
    }
    families
}

fn gates(how: &Fate, lease: Duration, hold: Duration) -> Vec<Gate> {
    let mut gates = vec![Gate::new(LEASE, lease), Gate::new(HOLD, hold + BEHIND)];
    if matches!(how, Fate::Queue(_)) {
        gates.push(Gate::new(ALIVE, ALIVE_FOR));
    }
    gates
}

/// With the wall clock's end in the rules, or without it where the kernel has no such match: it is only the second of
/// two ends of the hold.
fn with_time_or_without<T>(
    mut what: impl FnMut(bool) -> Result<T, IptablesError>,
) -> Result<T, IptablesError> {
    what(true).or_else(|_| what(false))
}

fn chains(
    host: &Host,
    id: &firedrill_wire::InjectionId,
    harm: &Harm,
    families: &[Family],
    gates: &[Gate],
    until: Option<&str>,
) -> Chains {
    Render { host, id, harm, families, gates, until }.chains()
}

/// A time from now, as rules name it; none where they could not.
fn until(left: Duration) -> Option<String> {
    let end = SystemTime::now() + left + Duration::from_secs(1);
    let seconds = end.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let text = (seconds < LAST).then(|| humantime::format_rfc3339_seconds(end).to_string())?;
    text.strip_suffix('Z').map(str::to_owned)
}

/// Installs the chains with their gates closed: no packet is harmed.
///
/// # Errors
/// What the programs said.
pub(super) fn stage(
    host: &Host,
    live: &Live,
    harm: &Harm,
    decided: &Decided,
    hold: Duration,
) -> Result<(), InjectError> {
    if decided.program != host.iptables.program {
        return Err(InjectError(format!(
            "prepared with {}, and now there is {}",
            decided.program, host.iptables.program
        )));
    }
    let gates = gates(&harm.how, live.lease.into(), hold);
    // The hold is counted from the start, which is still to come.
    let left = Duration::from_micros(live.ends_boot_us.saturating_sub(clock::boot_us()));
    let staged = with_time_or_without(|with| {
        let until = if with { until(left + BEHIND) } else { None };
        let chains = chains(host, &live.ask.id, harm, &decided.families, &gates, until.as_deref());
        host.iptables.stage(&live.ask.id, &chains, Gates::closed(decided.families.clone(), &gates))
    });
    staged.map_err(|error| InjectError(error.to_string()))
}

/// Opens the gates of the staged chains, or installs them and then opens the gates.
///
/// # Errors
/// What the programs said; a gate could not be opened.
pub(super) fn inject(
    host: &Host,
    live: &Live,
    harm: impl FnOnce() -> Result<Harm, InjectError>,
    decided: &Decided,
    hold: Duration,
) -> Result<Injected, InjectError> {
    let id = &live.ask.id;
    let how = match host.iptables.look(id) {
        Some(Made { gates, .. }) if gates.are_open() => "found open",
        Some(_) => "opened the gates of",
        None => {
            stage(host, live, &harm()?, decided, hold)?;
            "installed"
        }
    };
    host.iptables.with_gates(id, |gates| gates.open(id)).map_err(|error| InjectError(error.to_string()))?;
    let detail = format!("{how} iptables chains {}* in table {}", prefix(id), decided.table);
    Ok(Injected { detail, undo: None })
}

/// Moves the lease gate.
///
/// # Errors
/// The lease has ended, or there are no chains of this process.
pub(super) fn renew(host: &Host, live: &Live) -> Result<(), InjectError> {
    let id = &live.ask.id;
    host.iptables
        .with_gates(id, |gates| gates.keep(id, LEASE))
        .map_err(|error| InjectError(error.to_string()))
}

/// Whether the chains are there and jumped to, with all gates open, and what their rules saw.
#[must_use]
pub(super) fn evidence(host: &Host, live: &Live, decided: &Decided) -> Evidence {
    let id = &live.ask.id;
    let unknown = |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
    let name = prefix(id);
    let mut seen = BTreeMap::new();
    for family in &decided.families {
        let program = Program::new(&decided.program, *family);
        match Listing::read(&program, decided.table.word(), &name) {
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
    // Those that harm are those that ask the gates.
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

/// Whether a rule names an end by the wall clock that is over.
fn is_past(rule: &str) -> bool {
    let end = rule.split_once("--datestop ").and_then(|(_, rest)| rest.split(' ').next());
    let end = end.and_then(|end| humantime::parse_rfc3339(&format!("{end}Z")).ok());
    end.is_some_and(|end| SystemTime::now() > end + Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_by_the_wall_clock_is_read_back() {
        let rule = |left| format!("-m time --datestop {} -j DROP", until(left).expect("not so far"));
        assert!(!is_past(&rule(Duration::from_secs(5))));
        assert!(is_past("-m recent -m time --datestop 2001-01-01T00:00:00 -j DROP"));
        assert!(!is_past("-m recent --name fd4_x_lease -j DROP"));
        assert_eq!(until(Duration::from_secs(40 * 365 * 86_400)), None, "rules end in 2038");
    }
}
