//! A fault that is one nftables table: preparing, installing, looking at and renewing are the same for all of them.

use std::time::Duration;

use firedrill_probe::clock;
use firedrill_wire::{
    Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
};

use super::{
    peers::Peers,
    rules::{self, Choice, Fate, Harm},
};
use crate::{
    fault::{Ask, InjectError, Injected, Live, Prepared, refuse},
    host::{
        Host,
        nft::{
            self, Installed,
            table::{HOLD, LEASE},
        },
    },
    undo::Undo,
};

/// The kernel's own end of the hold comes so much after the agent's: it is for an agent that cannot act, and must not
/// race with the last look of one that can.
const BEHIND: Duration = Duration::from_millis(500);

/// What holds the fault if the agent dies.
const SWITCHES: [&str; 2] =
    ["kernel: the table goes with its owner", "kernel: lease and hold end in the table"];

/// Refuses parameters that cannot be.
///
/// # Errors
/// The refusal.
pub fn check(ask: &Ask) -> Result<(), Problem> {
    match ask.fault.misfit() {
        Some(wrong) => Err(refuse(wrong.code, format!("{}: {}", ask.fault.kind(), wrong.what), wrong.help)),
        None => Ok(()),
    }
}

/// Tries the table out without installing it, and says what it will be.
///
/// # Errors
/// A refusal: the kernel would not take the table.
pub fn prepare(
    host: &Host,
    ask: &Ask,
    harm: &Harm,
    peers: &Peers,
    effect: &str,
    notes: Vec<String>,
) -> Result<Prepared, Problem> {
    // The hold is the only time known here; the kernel takes or refuses any timeout alike.
    let table = rules::table(host, &ask.id, harm, ask.hold.into(), ask.hold.into());
    let mut tried = host.nft.try_out(&table);
    if tried.is_err() && matches!(harm.how, Fate::Queue(_)) {
        host.nft.load_queues();
        tried = host.nft.try_out(&table);
    }
    tried.map_err(|error| unable(host, ask, harm, &error.to_string()))?;
    let mut all_notes = vec![rules::exempt(host, harm.loopback)];
    all_notes.extend(notes);
    Ok(Prepared {
        claims: vec![
            Claim { what: "nft:inet".to_owned(), shared: true },
            Claim { what: format!("nft-table:{}", table.name), shared: false },
        ],
        effects: vec![format!("{effect} (table inet {})", table.name)],
        undo: vec![Undo::DeleteNftTable { table: table.name }],
        switches: SWITCHES.map(str::to_owned).to_vec(),
        notes: all_notes,
        basis: peers.basis(),
    })
}

/// The kernel does not take the table: it lacks the queues, or more than that.
fn unable(host: &Host, ask: &Ask, harm: &Harm, error: &str) -> Problem {
    let plain = Harm { how: Fate::Drop, ..harm.clone() };
    let plain = rules::table(host, &ask.id, &plain, ask.hold.into(), ask.hold.into());
    if matches!(harm.how, Fate::Queue(_)) && host.nft.try_out(&plain).is_ok() {
        return refuse(
            "no-queues",
            format!("{}: this kernel gives no packets to user space (NFQUEUE): {error}", ask.fault.kind()),
            "load xt_NFQUEUE and nfnetlink_queue, or take a kernel that has them; `firedrill doctor` says when it does",
        );
    }
    if harm.choice.service.is_some() {
        let anybodys = Choice { service: None, ..harm.choice.clone() };
        let plain = Harm { choice: anybodys, ..harm.clone() };
        let plain = rules::table(host, &ask.id, &plain, ask.hold.into(), ask.hold.into());
        if host.nft.try_out(&plain).is_ok() {
            return refuse(
                "no-service-match",
                format!("{}: this kernel cannot tell a service's packets: {error}", ask.fault.kind()),
                "Linux 5.13 with nft_socket can; or choose by `user` or ports",
            );
        }
    }
    refuse(
        "nftables-unable",
        error,
        "owner tables need Linux 5.12 and CAP_NET_ADMIN; `firedrill doctor` says what this host has",
    )
}

/// The peers that were found at prepare.
///
/// # Errors
/// The journal's basis is not one of ours.
pub fn peers(live: &Live) -> Result<Peers, InjectError> {
    Peers::from_basis(&live.prepared.basis)
        .map_err(|error| InjectError(format!("could not read the peers that were prepared: {error}")))
}

/// Installs the table with its gates closed: no packet is judged.
///
/// # Errors
/// The kernel refused.
pub fn stage(host: &Host, live: &Live, harm: &Harm) -> Result<(), InjectError> {
    let table = rules::table(host, &live.ask.id, harm, live.lease.into(), live.ask.hold.into());
    host.nft.stage(&table).map_err(|error| InjectError(error.to_string()))
}

/// Opens the gates of the staged table, or installs it; the kernel lifts it at the end of the lease or of the hold,
/// whichever is first.
///
/// # Errors
/// The hold is over, or the kernel refused.
pub fn inject(
    host: &Host,
    live: &Live,
    harm: impl FnOnce() -> Result<Harm, InjectError>,
) -> Result<Injected, InjectError> {
    let left = live.ends_boot_us.saturating_sub(clock::boot_us());
    if left < 1_000 {
        return Err(InjectError(format!("{} would end before it begins: its hold is over", live.ask.id)));
    }
    let hold = Duration::from_micros(left) + BEHIND;
    let name = nft::table_name(&live.ask.id);
    if let Some(rules) = host.nft.open_gates(&name, live.lease.into(), hold) {
        let detail = format!("opened the gates of table inet {name} with {rules} rules");
        follow(host, live, &name);
        return Ok(Injected { detail, undo: None });
    }
    let table = rules::table(host, &live.ask.id, &harm()?, live.lease.into(), hold);
    let installed = host.nft.install(&table).map_err(|error| InjectError(error.to_string()))?;
    let how = match installed {
        Installed::New => "installed",
        Installed::WasThere => "found whole",
        Installed::Replaced => "installed anew",
    };
    let detail = format!("{how} table inet {} with {} rules", table.name, table.rules());
    follow(host, live, &name);
    Ok(Injected { detail, undo: None })
}

/// Has names among the peers and the service's cgroup looked up again while the table is there.
fn follow(host: &Host, live: &Live, table: &str) {
    if live.ask.fault.on_traffic().is_none() {
        return;
    }
    if let Ok(peers) = peers(live) {
        let names = peers.names().map(str::to_owned).collect();
        let (known, adder) = (peers.all().collect(), host.nft.adder(table));
        host.followers.follow(&live.ask.id, names, known, rules::peers_set, adder);
        if let Some(service) = peers.service {
            let (known, adder) = (service.cgroup().numbers, host.nft.adder(table));
            host.followers.follow_service(&live.ask.id, service.folder, known, rules::SERVICE, adder);
        }
    }
}

/// What following them has brought, for people; empty where there are none, or where nothing is new.
fn followed(host: &Host, live: &Live) -> String {
    let mut text = String::new();
    if let Some(restarted) = host.followers.restarted(&live.ask.id) {
        if !restarted.added.is_empty() {
            text.push_str(&format!(
                "; the service was restarted {} times, and followed",
                restarted.added.len()
            ));
        }
        if let Some(failed) = &restarted.failed {
            text.push_str(&format!("; a restart of the service could not be followed: {failed}"));
        }
    }
    let Some(followed) = host.followers.followed(&live.ask.id) else { return text };
    if !followed.added.is_empty() {
        let added: Vec<_> = followed.added.iter().map(|network| network.addr().to_string()).collect();
        text.push_str(&format!("; names have come to mean {} too", added.join(", ")));
    }
    if let Some(failed) = &followed.failed {
        text.push_str(&format!("; names could not be followed: {failed}"));
    }
    text
}

/// Whether the table is there with both gates open, and what its counters saw.
#[must_use]
pub fn evidence(host: &Host, live: &Live) -> Evidence {
    let name = nft::table_name(&live.ask.id);
    let unknown = |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
    let look = match host.nft.look(&name) {
        Err(error) => return unknown(Seen::Unknown, error.to_string()),
        Ok(None) => return unknown(Seen::No, format!("table inet {name} is not there")),
        Ok(Some(look)) => look,
    };
    // The two that people wait for first, then the others.
    let mut names = vec![LEASE, HOLD];
    names.extend(look.gates.keys().map(String::as_str).filter(|name| ![LEASE, HOLD].contains(name)));
    let gates = |left: Option<Duration>| match left {
        Some(left) => Span::from(left).to_string(),
        None => "over".to_owned(),
    };
    Evidence {
        in_force: if look.is_open() { Seen::Yes } else { Seen::No },
        exercised: if look.packets > 0 { Seen::Yes } else { Seen::No },
        count: Some(look.packets),
        detail: format!(
            "table inet {name}: {} rules, {} packets, {}",
            look.rules,
            look.packets,
            names
                .iter()
                .map(|name| format!("{name} {}", gates(look.left(name))))
                .collect::<Vec<_>>()
                .join(", ")
        ) + &followed(host, live),
    }
}

/// Moves the lease gate.
///
/// # Errors
/// The lease has ended or the table is gone.
pub fn renew(host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
    let table = nft::table_name(&live.ask.id);
    host.nft.renew(&table, lease.into()).map_err(|error| InjectError(error.to_string()))
}
