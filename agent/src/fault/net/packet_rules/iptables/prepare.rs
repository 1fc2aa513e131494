//! Prepares the chains of a rule. Tries them out in a network namespace where they have no effect.

use firedrill_wire::{RefusalCode, api::Claim};

use super::{
    super::{Unable, Wanted},
    expressible::{check_expressible, families},
    plan::{SOME_TIME, chains, gates, with_time_or_without},
    render::Render,
};
use crate::{
    fault::net::rules::PacketRule,
    host::{
        Host,
        iptables::{Listing, Table},
        nft::expr::Family,
    },
    injection::{IptablesChains, Prepared, RuleEngine, refuse},
    undo::Undo,
};

/// Tries the chains out in a temporary network namespace, and returns what will be installed.
///
/// # Errors
/// A refusal: iptables rules cannot express the fault, or the kernel or the programs lack something.
pub(super) fn prepare(host: &Host, wanted: &Wanted<'_>) -> Result<Prepared, Unable> {
    let Wanted { ask, rule, effect, .. } = *wanted;
    let unable = |why: String| {
        Unable::Firewall(refuse(
            RefusalCode::EngineUnable,
            format!("{}: iptables cannot do it: {why}", ask.fault.kind()),
            "install iptables, with xt_recent in the kernel, or use nftables; `firedrill doctor` says what this host has",
        ))
    };
    check_expressible(rule).map_err(unable)?;
    let families = families(rule);
    for family in &families {
        let program = host.iptables.program(*family);
        if !program.is_there() {
            let name = program.name();
            return Err(unable(format!("there is no {name}-restore on this host, or no {name}-save")));
        }
    }
    // The lease is not known yet. The kernel accepts gates with any time, so the hold is used in its place.
    let gates = gates(&rule.action, ask.hold.into(), ask.hold.into());
    let tried = with_time_or_without(|with_time| {
        let until = with_time.then(|| SOME_TIME.to_owned());
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
    let mut notes = wanted.all_notes(host, by_queue);
    notes.push(format!(
        "engine: iptables ({flavour}): {} rules in chains {}*, with jumps to them at the top of table {}, which stays there, \
         empty, if it did not exist before; lease and hold are counted in whole seconds, rounded up",
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
        notes.extend(queue_notes(rule));
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

/// Returns the notes for people about faults that send packets to a queue.
fn queue_notes(rule: &PacketRule) -> Vec<String> {
    let mut notes = vec![
        "iptables can make only one fault at a time that lets packets through; packets that its queue lets go on skip the \
         later rules of table raw"
            .to_owned(),
    ];
    if Render::misses_forwarded_to_peers(rule) {
        notes.push(
            "forwarded packets are not reached on their way to the peers: table raw sees them before routing, when it is not \
             known by which interface they will leave"
                .to_owned(),
        );
    }
    notes
}
