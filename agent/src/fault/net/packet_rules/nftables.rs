//! Holds the rules of a fault on traffic in an nftables table of its own. The agent's socket owns the table, so the kernel deletes it
//! when the agent is gone.
//!
//! Never changes tables of others.

use std::time::Duration;

use firedrill_wire::{
    RefusalCode, Span,
    api::Claim,
    evidence::{Evidence, Seen},
};

use super::{
    super::rules::{self, ALIVE_FOR, Action, PacketRule, Selector},
    BEHIND, MakeRule, PacketRules, QueueGate, Unable, Wanted,
    followed::{follow_names, followed_words},
};
use crate::{
    host::{
        Host,
        nft::{
            self, Installed,
            table::{ALIVE, Gate, HOLD, LEASE},
        },
    },
    injection::{Ask, InjectError, Injected, Live, Peers, Prepared, RuleEngine, refuse},
    undo::Undo,
};

/// The mechanisms, in words for the plan, that end the fault even if the agent dies or hangs.
const SWITCHES: [&str; 2] =
    ["kernel: the table goes with its owner", "kernel: lease and hold end in the table"];

/// The driver of nf_tables.
pub(super) struct Nftables;

impl PacketRules for Nftables {
    fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable> {
        let Wanted { ask, rule, effect, .. } = *wanted;
        // The lease is not known yet, so the hold stands for it: the kernel accepts a table with any time-out.
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
            notes: wanted.all_notes(host, false),
            basis: wanted.basis(RuleEngine::Nftables),
        })
    }

    fn stage(&self, host: &Host, live: &Live, rule: &PacketRule) -> Result<(), InjectError> {
        let table = rules::table(host, &live.ask.id, rule, live.lease.into(), live.ask.hold.into());
        host.nft.stage(&table).map_err(|error| InjectError(error.to_string()))
    }

    fn inject(&self, host: &Host, live: &Live, rule: &MakeRule<'_>) -> Result<Injected, InjectError> {
        let hold = Duration::from(live.ask.hold) + BEHIND;
        let name = nft::table_name(&live.ask.id);
        if let Some(rules) = host.nft.open_gates(&name, live.lease.into(), hold) {
            let detail = format!("opened the gates of table inet {name} with {rules} rules");
            return Ok(Injected { detail, undo: None });
        }
        let table = rules::table(host, &live.ask.id, &rule()?, live.lease.into(), hold);
        let installed = host.nft.install(&table).map_err(|error| InjectError(error.to_string()))?;
        let done = match installed {
            Installed::New => "installed",
            Installed::WasThere => "found complete",
            Installed::Replaced => "replaced",
        };
        let detail = format!("{done} table inet {} with {} rules", table.name, table.rules());
        Ok(Injected { detail, undo: None })
    }

    fn follow(&self, host: &Host, live: &Live, peers: &Peers) {
        let new_adder = || host.nft.adder(&nft::table_name(&live.ask.id), rules::peers_set);
        follow_names(host, live, peers, new_adder());
        if let Some(service) = &peers.service {
            let known_cgroups = service.cgroup().numbers;
            let folder = service.folder.clone();
            host.followers.follow_service(&live.ask.id, folder, known_cgroups, rules::SERVICE, new_adder());
        }
    }

    fn evidence(&self, host: &Host, live: &Live) -> Evidence {
        let name = nft::table_name(&live.ask.id);
        let without_counts =
            |in_force, detail| Evidence { in_force, exercised: Seen::Unknown, count: None, detail };
        let look = match host.nft.look(&name) {
            Err(error) => return without_counts(Seen::Unknown, error.to_string()),
            Ok(None) => return without_counts(Seen::No, format!("table inet {name} is not there")),
            Ok(Some(look)) => look,
        };
        // The gates of lease and hold come first, because people look for them; then the others.
        let mut gates = vec![LEASE, HOLD];
        gates.extend(look.gates.keys().map(String::as_str).filter(|name| ![LEASE, HOLD].contains(name)));
        let time_left = |gate: &str| match look.left(gate) {
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
                gates.iter().map(|gate| format!("{gate} {}", time_left(gate))).collect::<Vec<_>>().join(", ")
            ) + &followed_words(host, live),
        }
    }

    fn renew(&self, host: &Host, live: &Live, lease: Span) -> Result<(), InjectError> {
        let table = nft::table_name(&live.ask.id);
        host.nft.renew(&table, lease.into()).map_err(|error| InjectError(error.to_string()))
    }

    fn queue_gate(&self, host: &Host, live: &Live, _queue: u16) -> Result<QueueGate, InjectError> {
        let gate = Gate { set: ALIVE, left: ALIVE_FOR };
        let keeper = host.nft.keeper(&nft::table_name(&live.ask.id), gate);
        let mut keeper = keeper.map_err(|error| InjectError(error.to_string()))?;
        Ok(QueueGate { keep: Box::new(move || keeper.keep()), sender: None })
    }
}

/// Returns the refusal for a table that the kernel did not accept with this error. Tries out simpler tables to find the reason: the
/// kernel lacks only queues, only the match for services, or something that no table can do without.
fn unable(host: &Host, ask: &Ask, rule: &PacketRule, error: &str) -> Unable {
    let would_take = |rule: &PacketRule| {
        let table = rules::table(host, &ask.id, rule, ask.hold.into(), ask.hold.into());
        host.nft.try_out(&table).is_ok()
    };
    let without_queue = PacketRule { action: Action::Drop, ..rule.clone() };
    if matches!(rule.action, Action::Queue(_)) && would_take(&without_queue) {
        return Unable::Host(refuse(
            RefusalCode::NoQueues,
            format!("{}: this kernel gives no packets to user space (NFQUEUE): {error}", ask.fault.kind()),
            "load xt_NFQUEUE and nfnetlink_queue, or take a kernel that has them; `firedrill doctor` says whether it works",
        ));
    }
    if rule.selector.service.is_some() {
        let of_any_service = Selector { service: None, ..rule.selector.clone() };
        if would_take(&PacketRule { selector: of_any_service, ..rule.clone() }) {
            return Unable::Host(refuse(
                RefusalCode::NoServiceMatch,
                format!(
                    "{}: this kernel's nftables cannot choose packets by service: {error}",
                    ask.fault.kind()
                ),
                "take Linux 5.13 or newer with the module nft_socket, or choose the traffic by `user` or ports",
            ));
        }
    }
    Unable::Firewall(refuse(
        RefusalCode::NftablesUnable,
        error,
        "owner tables need Linux 5.12 and CAP_NET_ADMIN; `firedrill doctor` says what this host has",
    ))
}
