//! Prepares the chains of a rule. Tries them out in a network namespace where they have no effect.

use firedrill_wire::{RefusalCode, api::Claim};

use super::{
    super::{Unable, Wanted},
    plan::{SOME_TIME, chains, gates, with_time_or_without},
    render::Render,
    sayable::{families, sayable},
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
    let mut notes = wanted.all_notes(host, by_queue);
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
