//! Faults that are one nftables table. All of them prepare, install, look and renew in the same way.

use std::time::Duration;

use firedrill_probe::clock;
use firedrill_wire::{
    RefusalCode, Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
    fault::Engine,
};

use super::{
    iptables,
    rules::{self, Action, PacketRule, Selector},
};
use crate::{
    host::{
        Firewall, Host,
        nft::{
            self, Installed,
            table::{HOLD, LEASE},
        },
        peer_set::Adds,
    },
    injection::{
        Ask, Basis, InjectError, Injected, Live, Packets, Peers, Prepared, RuleEngine, ShapeEngine, refuse,
    },
    undo::Undo,
};

/// Time by which the kernel's end of the hold comes after the agent's. The kernel counts the hold from the moment at
/// which its gates open. The agent counts it from the moment at which the fault is in force, which it journals a little
/// later. The kernel's end is for an agent that cannot act. It must not race with the last look of an agent that can.
pub(in crate::fault) const BEHIND: Duration = Duration::from_secs(1);

/// The switches that still end the fault if the agent dies.
const SWITCHES: [&str; 2] =
    ["kernel: the table goes with its owner", "kernel: lease and hold end in the table"];

/// A fault that is to be prepared.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The request.
    pub ask: &'a Ask,
    /// The harm that the rules do.
    pub rule: &'a PacketRule,
    /// The peers whose traffic it is about.
    pub peers: &'a Peers,
    /// The effect, as a sentence.
    pub effect: &'a str,
    /// The engine to which the rules hand packets that they let through, if they do.
    pub shaped_by: Option<ShapeEngine>,
    /// Notes that people should read before they agree.
    pub notes: Vec<String>,
}

impl Wanted<'_> {
    /// Returns the basis of an injection whose rules this firewall has.
    pub(super) fn basis(&self, rules: RuleEngine) -> Basis {
        Basis::Packets(Packets { peers: self.peers.clone(), rules, shaped_by: self.shaped_by })
    }

    /// Returns all notes; the first one says which traffic is spared.
    pub(super) fn all_notes(&self, host: &Host) -> Vec<String> {
        let mut notes = vec![rules::exempt(host, self.rule.loopback)];
        notes.extend_from_slice(&self.notes);
        notes
    }
}

/// Prepares the fault by nftables. Uses iptables chains if the kernel cannot do it by nftables, or if this host or the
/// scenario asks for them.
///
/// # Errors
/// A refusal: neither can do it, or this host and the scenario do not allow the one that can.
pub fn prepare_by(asked: Engine, host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Problem> {
    host.ssh.look();
    match chosen(asked, host, wanted.ask)? {
        Firewall::Nftables => prepare(host, wanted),
        Firewall::Iptables => iptables::prepare(host, wanted),
        Firewall::Auto => prepare(host, wanted).or_else(|unable| {
            if unable.code != RefusalCode::NftablesUnable {
                return Err(unable);
            }
            let mut prepared = iptables::prepare(host, wanted).map_err(|also| Problem {
                title: format!("{}; nor by iptables: {}", unable.title, also.title),
                ..unable.clone()
            })?;
            prepared.notes.push(format!("iptables it is, because nftables cannot: {}", unable.title));
            Ok(prepared)
        }),
    }
}

/// Returns the firewall that both the host's configuration and the scenario allow.
///
/// # Errors
/// The refusal, if they allow none in common.
pub fn chosen(asked: Engine, host: &Host, ask: &Ask) -> Result<Firewall, Problem> {
    let no = |configured: &str, other: &str| {
        Err(refuse(
            RefusalCode::EngineUnable,
            format!(
                "{}: this host's agent is configured for faults by {configured} only, not {other}",
                ask.fault.kind()
            ),
            "leave the engine to `auto`, or change `firewall` in the host's agent.toml",
        ))
    };
    match (asked, host.firewall) {
        (Engine::Iptables, Firewall::Nftables) => no("nftables", "iptables"),
        (Engine::Kernel, Firewall::Iptables) => no("iptables", "nftables"),
        (Engine::Iptables, _) => Ok(Firewall::Iptables),
        (Engine::Kernel, _) => Ok(Firewall::Nftables),
        (Engine::Auto | Engine::UserSpace, configured) => Ok(configured),
    }
}

/// Tries the table out without installing it, and returns what will be installed.
///
/// # Errors
/// A refusal: the kernel would not accept the table.
pub fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Problem> {
    let Wanted { ask, rule, effect, .. } = *wanted;
    // Here only the hold is known, so it also stands for the lease. The timeout does not matter to whether the kernel
    // accepts the table.
    let table = rules::table(host, &ask.id, rule, ask.hold.into(), ask.hold.into());
    let mut tried = host.nft.try_out(&table);
    if tried.is_err() && matches!(rule.action, Action::Queue(_)) {
        host.nft.load_queues();
        tried = host.nft.try_out(&table);
    }
    tried.map_err(|error| unable(host, ask, rule, &error.to_string()))?;
    Ok(Prepared {
        claims: vec![
            Claim { what: "nft:inet".to_owned(), shared: true },
            Claim { what: format!("nft-table:{}", table.name), shared: false },
        ],
        effects: vec![format!("{effect} (table inet {})", table.name)],
        undo: vec![Undo::DeleteNftTable { table: table.name }],
        switches: SWITCHES.map(str::to_owned).to_vec(),
        notes: wanted.all_notes(host),
        basis: wanted.basis(RuleEngine::Nftables),
    })
}

/// Returns the refusal of a table that the kernel does not accept. Finds out whether the kernel lacks only queues, only
/// the match for services, or more.
fn unable(host: &Host, ask: &Ask, rule: &PacketRule, error: &str) -> Problem {
    let plain = PacketRule { action: Action::Drop, ..rule.clone() };
    let plain = rules::table(host, &ask.id, &plain, ask.hold.into(), ask.hold.into());
    if matches!(rule.action, Action::Queue(_)) && host.nft.try_out(&plain).is_ok() {
        return refuse(
            RefusalCode::NoQueues,
            format!("{}: this kernel gives no packets to user space (NFQUEUE): {error}", ask.fault.kind()),
            "load xt_NFQUEUE and nfnetlink_queue, or take a kernel that has them; `firedrill doctor` says when it does",
        );
    }
    if rule.selector.service.is_some() {
        let anybodys = Selector { service: None, ..rule.selector.clone() };
        let plain = PacketRule { selector: anybodys, ..rule.clone() };
        let plain = rules::table(host, &ask.id, &plain, ask.hold.into(), ask.hold.into());
        if host.nft.try_out(&plain).is_ok() {
            return refuse(
                RefusalCode::NoServiceMatch,
                format!("{}: this kernel cannot tell a service's packets: {error}", ask.fault.kind()),
                "Linux 5.13 with nft_socket can; or choose by `user` or ports",
            );
        }
    }
    refuse(
        RefusalCode::NftablesUnable,
        error,
        "owner tables need Linux 5.12 and CAP_NET_ADMIN; `firedrill doctor` says what this host has",
    )
}

/// Returns the peers that were resolved at `prepare`.
///
/// # Errors
/// Something else was prepared.
pub fn peers(live: &Live) -> Result<&Peers, InjectError> {
    Ok(&live.prepared.basis.packets()?.peers)
}

/// Installs the table with closed gates, so that no packet is judged.
///
/// # Errors
/// The kernel refused.
pub fn stage(host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError> {
    if let RuleEngine::Iptables(made) = &live.prepared.basis.packets()?.rules {
        return iptables::stage(host, live, rule, made, live.ask.hold.into());
    }
    let table = rules::table(host, &live.ask.id, rule, live.lease.into(), live.ask.hold.into());
    host.nft.stage(&table).map_err(|error| InjectError(error.to_string()))
}

/// Opens the gates of the staged table, or installs the table. The kernel ends the fault at the end of the lease or of
/// the hold, whichever comes first.
///
/// # Errors
/// The hold is over, or the kernel refused.
pub fn inject(
    host: &Host,
    live: &Live,
    rule: impl FnOnce() -> Result<PacketRule, InjectError>,
) -> Result<Injected, InjectError> {
    let left = live.ends_boot_us.saturating_sub(clock::boot_us());
    if left < 1_000 {
        return Err(InjectError(format!("{} would end before it begins: its hold is over", live.ask.id)));
    }
    let hold = Duration::from(live.ask.hold);
    if let RuleEngine::Iptables(made) = &live.prepared.basis.packets()?.rules {
        let injected = iptables::inject(host, live, rule, made, hold)?;
        follow(host, live, host.iptables.adder(&live.ask.id));
        return Ok(injected);
    }
    let hold = hold + BEHIND;
    let name = nft::table_name(&live.ask.id);
    if let Some(rules) = host.nft.open_gates(&name, live.lease.into(), hold) {
        let detail = format!("opened the gates of table inet {name} with {rules} rules");
        follow_all(host, live, &name);
        return Ok(Injected { detail, undo: None });
    }
    let table = rules::table(host, &live.ask.id, &rule()?, live.lease.into(), hold);
    let installed = host.nft.install(&table).map_err(|error| InjectError(error.to_string()))?;
    let how = match installed {
        Installed::New => "installed",
        Installed::WasThere => "found whole",
        Installed::Replaced => "installed anew",
    };
    let detail = format!("{how} table inet {} with {} rules", table.name, table.rules());
    follow_all(host, live, &name);
    Ok(Injected { detail, undo: None })
}

/// Starts to look up names among the peers again and again while the rules exist.
fn follow(host: &Host, live: &Live, adder: impl Adds + Send + 'static) {
    if live.ask.fault.on_traffic().is_none() {
        return;
    }
    if let Ok(peers) = peers(live) {
        let names = peers.names().map(str::to_owned).collect();
        host.followers.follow(&live.ask.id, names, peers.all().collect(), adder);
    }
}

/// Like [`follow`], and also starts to look up the service's cgroup again and again. Only tables can match cgroups.
fn follow_all(host: &Host, live: &Live, table: &str) {
    let adder = || host.nft.adder(table, rules::peers_set);
    follow(host, live, adder());
    if live.ask.fault.on_traffic().is_some()
        && let Ok(Peers { service: Some(service), .. }) = peers(live)
    {
        let known = service.cgroup().numbers;
        host.followers.follow_service(&live.ask.id, service.folder.clone(), known, rules::SERVICE, adder());
    }
}

/// Returns, in words for people, the changes of names and services that were followed. Empty if none are followed or
/// nothing is new.
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

/// Looks whether the table exists with all gates open, and reads its counters.
#[must_use]
pub fn evidence(host: &Host, live: &Live) -> Evidence {
    let packets = match live.prepared.basis.packets() {
        Ok(packets) => packets,
        Err(error) => return error.unseen(),
    };
    if let RuleEngine::Iptables(made) = &packets.rules {
        let mut evidence = iptables::evidence(host, live, made);
        evidence.detail.push_str(&followed(host, live));
        return evidence;
    }
    let name = nft::table_name(&live.ask.id);
    let unknown = |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
    let look = match host.nft.look(&name) {
        Err(error) => return unknown(Seen::Unknown, error.to_string()),
        Ok(None) => return unknown(Seen::No, format!("table inet {name} is not there")),
        Ok(Some(look)) => look,
    };
    // The gates of lease and hold come first, because people wait for them; then the others.
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

/// Extends the lease gate.
///
/// # Errors
/// The lease has ended or the table is gone.
pub fn renew(host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
    if let RuleEngine::Iptables(_) = &live.prepared.basis.packets()?.rules {
        return iptables::renew(host, live);
    }
    let table = nft::table_name(&live.ask.id);
    host.nft.renew(&table, lease.into()).map_err(|error| InjectError(error.to_string()))
}
