//! Faults on traffic by iptables, used if nf_tables cannot be used, or if this host or the scenario asks for it.
//!
//! Choice, exemptions and ends are the same as by nftables. If that is not possible, the fault is refused; nothing is
//! approximated. Unlike an nftables table, chains outlive the process that made them, so somebody must remove them.
//! Until then their gates end the fault.

mod evidence;
mod render;

pub(super) use evidence::evidence;

use std::{
    fs,
    time::{Duration, SystemTime},
};

use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
    fault::Engine,
};

use super::{
    rules::{self, ALIVE_FOR, Action, PacketRule},
    table_fault::{BEHIND, Wanted},
    words,
};
use crate::{
    host::{
        Host,
        iptables::{Chains, Gate, Gates, IptablesError, Listing, Made, Table, prefix},
        nft::{
            expr::Family,
            table::{ALIVE, HOLD, LEASE},
        },
    },
    injection::{InjectError, Injected, IptablesChains, Live, Prepared, RuleEngine, refuse},
    undo::Undo,
};
use render::Render;

/// An end for rules that are only tried out: a time far from now that rules can name.
const SOME_TIME: &str = "2037-01-01T00:00:00";
/// The last end that a rule is given, in seconds since 1970: one hour before the last second that iptables can name.
const LAST: u64 = (1 << 31) - 3_600;

/// Returns the function that keeps a gate of the chains open once they are made.
pub(super) fn keeper(host: &Host, live: &Live, gate: &'static str) -> impl FnMut() + Send + use<> {
    host.iptables.keeper(&live.ask.id, gate)
}

/// Tries the chains out in a temporary network namespace, and returns what will be installed.
///
/// # Errors
/// A refusal: iptables rules cannot express the fault, or the kernel or the programs lack something.
pub(super) fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Problem> {
    let Wanted { ask, rule, effect, .. } = *wanted;
    let unable = |why: String| {
        refuse(
            RefusalCode::EngineUnable,
            format!("{}{BECAUSE}{why}", ask.fault.kind()),
            "install iptables, with xt_recent in the kernel, or use nftables; `firedrill doctor` says what this host has",
        )
    };
    sayable(rule).map_err(unable)?;
    let families = families(rule);
    for family in &families {
        let program = host.iptables.program(*family);
        if !program.is_there() {
            let name = program.name();
            return Err(unable(format!("there is no {name}-restore on this host, or no {name}-save")));
        }
    }
    let gates = gates(&rule.action, ask.hold.into(), ask.hold.into());
    let tried = with_time_or_without(|until| {
        let until = until.then(|| SOME_TIME.to_owned());
        let chains = chains(host, &ask.id, rule, &families, &gates, until.as_deref());
        host.iptables.try_out(&ask.id, &chains).map(|()| chains)
    });
    let chains = tried.map_err(|error| unable(error.to_string()))?;
    host.iptables.warm_up(&chains).map_err(|error| unable(error.to_string()))?;
    for family in &families {
        // The undo has to read the chains. If they cannot be read now, they could not be put back either.
        let program = host.iptables.program(*family);
        Listing::read(&program, chains.table, &chains.prefix).map_err(|error| unable(error.to_string()))?;
    }
    let flavour = host.iptables.program(Family::V4).flavour().map_err(|error| unable(error.to_string()))?;
    let by_queue = chains.table == Table::Raw;
    let mut notes = wanted.all_notes(host);
    if let Some(reaches) = notes.iter_mut().find(|note| by_queue && *note == words::REACHES) {
        words::REACHES_BEFORE_NAT.clone_into(reaches);
    }
    notes.push(format!(
        "engine: iptables ({flavour}): {} rules in chains {}*, jumped to from the top of table {}, which is there, empty, \
         from now on if it was not before; lease and hold are counted in whole seconds, rounded up",
        chains.count(),
        chains.prefix,
        chains.table
    ));
    let mut claims = vec![
        Claim { what: "iptables".to_owned(), shared: true },
        Claim { what: format!("iptables-chains:{}", chains.prefix), shared: false },
    ];
    if by_queue {
        claims.push(Claim { what: "iptables-queue".to_owned(), shared: false });
        notes.extend(of_queues(rule));
    }
    let decided = IptablesChains { table: chains.table, program: host.iptables.program.clone(), families };
    Ok(Prepared {
        claims,
        effects: vec![format!("{effect} (iptables chains {}*)", chains.prefix)],
        undo: vec![Undo::RemoveChains {
            injection: ask.id.clone(),
            table: decided.table,
            program: decided.program.clone(),
            families: decided.families.clone(),
        }],
        switches: vec![
            "kernel: lease and hold end in the rules".to_owned(),
            "guardian: removes the rules if the agent dies".to_owned(),
        ],
        notes,
        basis: wanted.basis(RuleEngine::Iptables(decided)),
    })
}

/// Returns the notes for people about faults that let packets through (queues).
fn of_queues(rule: &PacketRule) -> Vec<String> {
    let mut notes = vec![
        "one fault that lets packets through can be made by iptables at a time; what its queue has let go on is not judged \
         by later rules of table raw"
            .to_owned(),
    ];
    if Render::leaves_out_leaving(rule) {
        notes.push(
            "what the host forwards is not reached on its way to the peers: before it is routed nobody knows by which \
             interface it will leave"
                .to_owned(),
        );
    }
    notes
}

const BECAUSE: &str = ": iptables cannot do it: ";

/// Checks that iptables rules can express a harm; the error says why they cannot.
fn sayable(rule: &PacketRule) -> Result<(), String> {
    let rules::Selector {
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
    } = &rule.selector;
    if matches!(rule.action, Action::Line(_)) {
        return Err("packets of several faults cannot be sent through lines of the kernel".to_owned());
    }
    let most = peers.len().max(rule.except.len());
    if most > Engine::IPTABLES_PEERS {
        let peers = Engine::IPTABLES_PEERS;
        return Err(format!("{most} peers need nftables: a rule for each, {peers} at most"));
    }
    if service.is_some() {
        return Err("a service's packets need nftables; choose by `user` or ports".to_owned());
    }
    if flows.is_some() {
        return Err("a share of the flows needs nftables: iptables draws anew for each packet".to_owned());
    }
    // Rules are text, so only names without special characters can stand in them.
    let plain = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|one| one.is_ascii_alphanumeric() || "._-@".contains(one))
    };
    match interfaces.iter().find(|name| !plain(name)) {
        Some(odd) => Err(format!("an interface of the name {odd:?} cannot stand in a rule")),
        None => Ok(()),
    }
}

/// Returns the address families that the fault is about: those of the peers, or all that the host has.
fn families(rule: &PacketRule) -> Vec<Family> {
    let all = rule.selector.peers.is_empty();
    let named = |v4: bool| rule.selector.peers.iter().any(|peer| peer.addr().is_ipv4() == v4);
    let has_v6 = || fs::read_to_string("/proc/thread-self/net/if_inet6").is_ok_and(|text| !text.is_empty());
    let mut families = Vec::new();
    if all || rule.selector.followed || named(true) {
        families.push(Family::V4);
    }
    // A name may get addresses of the other family later.
    if named(false) || (all || rule.selector.followed) && has_v6() {
        families.push(Family::V6);
    }
    families
}

fn gates(action: &Action, lease: Duration, hold: Duration) -> Vec<Gate> {
    let mut gates = vec![Gate::new(LEASE, lease), Gate::new(HOLD, hold + BEHIND)];
    if matches!(action, Action::Queue(_)) {
        gates.push(Gate::new(ALIVE, ALIVE_FOR));
    }
    gates
}

/// Calls `what` for rules with the hold's end by the wall clock, then without it if that fails, because the kernel may
/// have no such match. That end is only the second of the two ends of the hold.
fn with_time_or_without<T>(
    mut what: impl FnMut(bool) -> Result<T, IptablesError>,
) -> Result<T, IptablesError> {
    what(true).or_else(|_| what(false))
}

fn chains(
    host: &Host,
    id: &firedrill_wire::InjectionId,
    rule: &PacketRule,
    families: &[Family],
    gates: &[Gate],
    until: Option<&str>,
) -> Chains {
    Render { host, id, rule, families, gates, until }.chains()
}

/// Returns the time one second after the end of a hold that has `left` left, as rules name it; `None` if they cannot
/// name it.
fn until(left: Duration) -> Option<String> {
    let end = SystemTime::now() + left + Duration::from_secs(1);
    let seconds = end.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let text = (seconds < LAST).then(|| humantime::format_rfc3339_seconds(end).to_string())?;
    text.strip_suffix('Z').map(str::to_owned)
}

/// Installs the chains with closed gates, so that no packet is harmed.
///
/// # Errors
/// The error of the iptables programs.
pub(super) fn stage(
    host: &Host,
    live: &Live,
    rule: &PacketRule,
    decided: &IptablesChains,
    hold: Duration,
) -> Result<(), InjectError> {
    if decided.program != host.iptables.program {
        return Err(InjectError(format!(
            "prepared with {}, and now there is {}",
            decided.program, host.iptables.program
        )));
    }
    let gates = gates(&rule.action, live.lease.into(), hold);
    // The hold counts from the start. Either the start is still to come, or it is now.
    let planned = Duration::from_micros(live.ends_boot_us.saturating_sub(clock::boot_us()));
    let left = planned.max(live.ask.hold.into());
    let staged = with_time_or_without(|with| {
        let until = if with { until(left + BEHIND) } else { None };
        let chains = chains(host, &live.ask.id, rule, &decided.families, &gates, until.as_deref());
        host.iptables.stage(&live.ask.id, &chains, Gates::closed(decided.families.clone(), &gates))
    });
    staged.map_err(|error| InjectError(error.to_string()))
}

/// Opens the gates of the staged chains, or installs them and then opens the gates.
///
/// # Errors
/// The error of the iptables programs, or a gate could not be opened.
pub(super) fn inject(
    host: &Host,
    live: &Live,
    rule: impl FnOnce() -> Result<PacketRule, InjectError>,
    decided: &IptablesChains,
    hold: Duration,
) -> Result<Injected, InjectError> {
    let id = &live.ask.id;
    let how = match host.iptables.look(id) {
        Some(Made { gates, .. }) if gates.are_open() => "found open",
        Some(_) => "opened the gates of",
        None => {
            stage(host, live, &rule()?, decided, hold)?;
            "installed"
        }
    };
    host.iptables.with_gates(id, |gates| gates.open(id)).map_err(|error| InjectError(error.to_string()))?;
    let detail = format!("{how} iptables chains {}* in table {}", prefix(id), decided.table);
    Ok(Injected { detail, undo: None })
}

/// Extends the lease gate.
///
/// # Errors
/// The lease has ended, or there are no chains of this process.
pub(super) fn renew(host: &Host, live: &Live) -> Result<(), InjectError> {
    let id = &live.ask.id;
    host.iptables
        .with_gates(id, |gates| gates.keep(id, LEASE))
        .map_err(|error| InjectError(error.to_string()))
}
