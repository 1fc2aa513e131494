//! Chooses the firewall of a fault, and hands each later step to the chosen one.

use firedrill_probe::clock;
use firedrill_wire::{RefusalCode, Span, api::Problem, evidence::Evidence, fault::Engine};

#[cfg(test)]
use super::null::{self, Null};
use super::{MakeRule, PacketRules, QueueGate, Unable, Wanted, iptables::Iptables, nftables::Nftables};
use crate::{
    fault::net::rules::PacketRule,
    host::{Firewall, Host},
    injection::{Ask, InjectError, Injected, Live, Packets, Peers, Prepared, RuleEngine, refuse},
};

/// Prepares the fault by nftables. Uses iptables chains if the kernel cannot do it by nftables, or if this host or the
/// scenario asks for them.
///
/// # Errors
/// A refusal: no firewall that both this host and the scenario allow can do it.
pub(in crate::fault) fn prepare(
    asked: Engine,
    host: &Host,
    wanted: &Wanted<'_>,
) -> Result<Prepared, Problem> {
    host.ssh.look();
    #[cfg(test)]
    if null::is_meant(&wanted.ask.id) {
        return Null::prepare(host, wanted).map_err(Unable::problem);
    }
    match allowed(asked, host, wanted.ask)? {
        Firewall::Nftables => prepare_by_nftables(host, wanted),
        Firewall::Iptables => Iptables::prepare(host, wanted).map_err(Unable::problem),
        Firewall::Auto => Nftables::prepare(host, wanted).or_else(|unable| {
            let unable = match unable {
                Unable::Firewall(problem) => problem,
                Unable::Host(problem) => return Err(problem),
            };
            let mut prepared = Iptables::prepare(host, wanted).map_err(|also| Problem {
                title: format!("{}; nor by iptables: {}", unable.title, also.problem().title),
                ..unable.clone()
            })?;
            prepared.notes.push(format!("iptables is used, because nftables cannot: {}", unable.title));
            Ok(prepared)
        }),
    }
}

/// Prepares the fault by nftables and no other firewall.
///
/// # Errors
/// A refusal: the kernel would not accept the table.
pub(in crate::fault::net) fn prepare_by_nftables(
    host: &Host,
    wanted: &Wanted<'_>,
) -> Result<Prepared, Problem> {
    Nftables::prepare(host, wanted).map_err(Unable::problem)
}

/// Returns the firewall that both the host's configuration and the scenario allow.
///
/// # Errors
/// The refusal, if they allow none in common.
pub(in crate::fault::net) fn allowed(asked: Engine, host: &Host, ask: &Ask) -> Result<Firewall, Problem> {
    let refusal = |configured: &str, asked: &str| {
        Err(refuse(
            RefusalCode::EngineUnable,
            format!(
                "{}: this host's agent is configured for faults by {configured} only, not {asked}",
                ask.fault.kind()
            ),
            "leave the engine to `auto`, or change `firewall` in the host's agent.toml",
        ))
    };
    match (asked, host.firewall) {
        (Engine::Iptables, Firewall::Nftables) => refusal("nftables", "iptables"),
        (Engine::Kernel, Firewall::Iptables) => refusal("iptables", "nftables"),
        (Engine::Iptables, _) => Ok(Firewall::Iptables),
        (Engine::Kernel, _) => Ok(Firewall::Nftables),
        (Engine::Auto | Engine::UserSpace, configured) => Ok(configured),
    }
}

/// Calls a closure with the prepared basis and the chosen firewall.
///
/// # Errors
/// The injection has another basis, or the closure's error.
fn with<T>(
    live: &Live,
    call: impl FnOnce(&Packets, &dyn PacketRules) -> Result<T, InjectError>,
) -> Result<T, InjectError> {
    let packets = live.prepared.basis.packets()?;
    match &packets.rules {
        RuleEngine::Nftables => call(packets, &Nftables),
        RuleEngine::Iptables(chains) => call(packets, &Iptables(chains)),
        #[cfg(test)]
        RuleEngine::Null => call(packets, &Null),
    }
}

/// Returns the peers that were resolved at `prepare`.
///
/// # Errors
/// The injection has another basis than packets.
pub(in crate::fault) fn peers(live: &Live) -> Result<&Peers, InjectError> {
    Ok(&live.prepared.basis.packets()?.peers)
}

/// Installs the rule with closed gates, so that it has no effect yet.
///
/// # Errors
/// The firewall refused.
pub(in crate::fault) fn stage(host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError> {
    with(live, |_, rules| rules.stage(host, live, rule))
}

/// Opens the gates of the staged rule, or installs the rule. The kernel ends the fault at the end of the lease or of
/// the hold, whichever comes first.
///
/// # Errors
/// The hold is over, or the firewall refused.
pub(in crate::fault) fn inject(
    host: &Host,
    live: &Live,
    rule: &MakeRule<'_>,
) -> Result<Injected, InjectError> {
    let left_us = live.ends_boot_us.saturating_sub(clock::boot_us());
    // The kernel counts gates in milliseconds.
    if left_us < 1_000 {
        return Err(InjectError(format!("{} would end before it begins: its hold is over", live.ask.id)));
    }
    with(live, |packets, rules| {
        let injected = rules.inject(host, live, rule)?;
        if live.ask.fault.on_traffic().is_some() {
            rules.follow(host, live, &packets.peers);
        }
        Ok(injected)
    })
}

/// Looks whether the rule is there with all gates open, and reads its counters.
#[must_use]
pub(in crate::fault) fn evidence(host: &Host, live: &Live) -> Evidence {
    with(live, |_, rules| Ok(rules.evidence(host, live))).unwrap_or_else(InjectError::unseen)
}

/// Keeps the gate of the lease open for the time `lease` from now on.
///
/// # Errors
/// The lease has ended, or the rule is gone.
pub(in crate::fault) fn renew(host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
    with(live, |_, rules| rules.renew(host, live, lease))
}

/// Returns the gate of a queue to which the rule will send packets.
///
/// # Errors
/// The firewall could not be reached.
pub(in crate::fault::net) fn queue_gate(
    host: &Host,
    live: &Live,
    queue: u16,
) -> Result<QueueGate, InjectError> {
    with(live, |_, rules| rules.queue_gate(host, live, queue))
}
