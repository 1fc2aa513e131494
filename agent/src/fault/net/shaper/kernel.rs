//! Shapes packets in the kernel: a table of nftables marks the chosen packets and redirects them to ifbs (interfaces that only queue), whose
//! qdisc, netem or tbf, shapes them.
//!
//! When the table is deleted because its owner died, or when its lease or its hold ends, new packets pass unchanged at once. The ifbs stay
//! without traffic until the undo removes them. Refuses if the kernel lacks something. Never changes a qdisc of another program.

use std::time::Duration;

use firedrill_wire::{
    RefusalCode, Span,
    evidence::{Evidence, Seen},
    fault::Direction,
};

use super::{Shaper, Unable, met};
use crate::{
    fault::net::{
        detour::Detour,
        packet_rules::{self, Wanted},
        rules::{Action, PacketRule},
        shape::{Shape, effect, notes},
        words::Reach,
    },
    host::{
        Host,
        ifb::{self, FIRST_WAY, MOST_WAITING},
        impair::{Chance, Impair, Loss},
        kinds,
    },
    injection::{Ask, InjectError, Live, Peers, Prepared, ShapeEngine, refuse},
    undo::Undo,
};

/// Maximum time that the removal of ifbs waits for the packets in their queues. Packets that are still there after it are lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// Maximum jitter of netem, which shortens a longer one without an error (`sch_netem.c`, `INT_MAX` nanoseconds).
const JITTER_MOST: Duration = Duration::from_nanos(i32::MAX as u64);

/// The engine that shapes packets by qdiscs of the kernel.
pub(super) struct KernelQdiscs;

impl Shaper for KernelQdiscs {
    fn prepare(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, Unable> {
        prepared(shape, host, ask, peers).map_err(|why| {
            let problem = refuse(
                RefusalCode::EngineUnable,
                format!("{}: the kernel's engine cannot do it: {why}", ask.fault.kind()),
                "install the distribution's extra kernel modules (netem, ifb; Linux 5.16 or newer), or leave the engine to `auto`",
            );
            Unable { why, problem }
        })
    }

    /// Makes the fault's ifbs. Returns the rule that redirects the chosen packets to them.
    fn begin(
        &self,
        shape: &dyn Shape,
        host: &Host,
        live: &Live,
        peers: &Peers,
    ) -> Result<PacketRule, InjectError> {
        let ways = host
            .ifbs
            .make(&live.ask.id, &shape.impair())
            .map_err(|why| InjectError(format!("could not make the fault's ifbs: {why}")))?;
        let detour = Detour::by(ways, shape.traffic().interfaces)
            .map_err(|error| InjectError(format!("interfaces could not be listed: {error}")))?;
        Ok(rule(shape, peers, detour))
    }

    fn detail(&self) -> String {
        ", and the kernel's qdiscs treat the packets".to_owned()
    }

    /// Adds the counts of the ifbs to the evidence of the table. Only packets that came to an ifb show that the fault landed, not those that
    /// the table marked.
    fn evidence(&self, shape: &dyn Shape, host: &Host, live: &Live, mut evidence: Evidence) -> Evidence {
        let counts = match host.ifbs.counts(&live.ask.id) {
            Ok(Some(counts)) => counts,
            Ok(None) => {
                (evidence.in_force, evidence.exercised) = (Seen::No, Seen::Unknown);
                evidence.detail =
                    format!("engine: kernel, but an ifb of the fault is gone; {}", evidence.detail);
                return evidence;
            }
            Err(error) => {
                (evidence.in_force, evidence.exercised) = (Seen::Unknown, Seen::Unknown);
                evidence.detail = format!("{error}; {}", evidence.detail);
                return evidence;
            }
        };
        // This count is read first, because `met::add` replaces it by that of the ifbs.
        let chosen = evidence.count.unwrap_or(0);
        let impair = shape.impair();
        // Of the packets that netem changes by chance, the kernel counts only those that it drops.
        let changed = (impair.loss != Loss::None).then_some(counts.dropped);
        met::add(&mut evidence, &impair, counts.seen(), changed);
        let mut text = format!(
            "engine: kernel (qdiscs), {} packets seen, {} passed, {} dropped, {} held now",
            counts.seen(),
            counts.passed,
            counts.dropped,
            counts.waiting
        );
        if chosen > 0 && counts.seen() == 0 {
            text.push_str(
                ", although packets were chosen: they left by an interface that came later, or another program gave them a priority",
            );
        }
        evidence.detail = format!("{text}; {}", evidence.detail);
        evidence
    }
}

/// Prepares the fault: its effects, and the undo.
///
/// # Errors
/// The reason why this engine cannot make the fault, as a clause.
fn prepared(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, String> {
    let impair = shape.impair();
    let traffic = shape.traffic();
    if traffic.service.is_some() && traffic.direction != Direction::Out {
        return Err(
            "it chooses incoming packets at the interfaces, where it is not known yet for which service they are"
                .to_owned(),
        );
    }
    check_kernel(host, ask, &impair)?;
    host.ssh.look();
    let unlisted = |error| format!("interfaces could not be listed: {error}");
    let detour = Detour::by(vec![FIRST_WAY], shape.traffic().interfaces).map_err(unlisted)?;
    let qdisc = qdisc_of(&impair);
    let prefix = ifb::prefix(&ask.id);
    let effect =
        effect(shape, peers, &format!("in the kernel by {qdisc} on an interface of its own ({prefix}00)"));
    let notes = notes(shape, peers, engine_notes(shape, &detour));
    let rule = rule(shape, peers, detour);
    let wanted = Wanted {
        ask,
        rule: &rule,
        peers,
        effect: &effect,
        shaped_by: Some(ShapeEngine::Kernel),
        reach: Some(Reach::of(&shape.traffic())),
        notes,
    };
    let mut prepared = packet_rules::prepare_by_nftables(host, &wanted).map_err(|problem| problem.title)?;
    // The undo runs from the last entry to the first: it deletes the table, so that no more packets come, and then removes the ifbs, which
    // are inserted as its first entry. It waits for the packets in their queues, which netem delays by at most four times the jitter more
    // than the delay, because its tables of distributions end there.
    let longest_delay = (impair.delay + 4 * impair.jitter + Duration::from_millis(100)).min(PATIENCE);
    let patience = if impair.rate.is_some() { PATIENCE } else { longest_delay };
    prepared.undo.insert(0, Undo::RemoveIfbs { prefix, patience: patience.into() });
    Ok(prepared)
}

/// Returns the rule that sends the chosen packets on the detour.
fn rule(shape: &dyn Shape, peers: &Peers, detour: Detour) -> PacketRule {
    PacketRule::on(&shape.traffic(), peers, Action::Line(detour))
}

/// Returns the name of the qdisc that shapes.
fn qdisc_of(impair: &Impair) -> &'static str {
    if impair.rate.is_some() { "tbf" } else { "netem" }
}

/// Checks that this kernel can shape with these parameters.
///
/// # Errors
/// The reason why it cannot, as a clause.
fn check_kernel(host: &Host, ask: &Ask, impair: &Impair) -> Result<(), String> {
    if impair.jitter > JITTER_MOST {
        return Err(format!("netem's jitter is at most {}", Span::from(JITTER_MOST)));
    }
    kinds::has_qdisc(qdisc_of(impair))?;
    kinds::has_ifb()?;
    host.ifbs.able(&ask.id, impair).map_err(|why| why.to_string())
}

/// Returns the notes for the plan on what this engine does and what it cannot do.
fn engine_notes(shape: &dyn Shape, detour: &Detour) -> Vec<String> {
    let impair = shape.impair();
    let mut notes = vec![format!(
        "engine: kernel: chosen packets take a detour by an interface of the fault's own; the qdiscs of {} stay as they are",
        shortened(&detour.sending)
    )];
    if impair.rate.is_none() {
        notes.push(format!("{MOST_WAITING} packets can wait at once; more are dropped and counted"));
    } else {
        notes.push(
            "64 MiB can wait at once; more is dropped and counted; Ethernet headers count in the rate; packets that another \
             fault chooses too have a queue of their own, with the same rate"
                .to_owned(),
        );
    }
    let by_chance = impair.loss != Loss::None
        || [impair.duplicate, impair.corrupt, impair.reorder.chance]
            .iter()
            .any(|chance| *chance != Chance::default());
    if by_chance && shape.traffic().direction != Direction::In {
        notes.push(
            "several TCP segments that the kernel sends as one frame share their fate: chance decides once"
                .to_owned(),
        );
    }
    if impair.corrupt != Chance::default() {
        notes.push(
            "netem flips a bit anywhere in the frame, headers included; what arrives was checked by the card already, so damage may \
             reach programs"
                .to_owned(),
        );
    }
    // A queue with a rate can hold more than leaves within that time.
    if impair.rate.is_some() || impair.delay + 4 * impair.jitter > PATIENCE {
        notes.push(format!("packets not due within {} after the end are lost", Span::from(PATIENCE)));
    }
    match shape.traffic().direction {
        Direction::Out => {}
        Direction::In => notes.push("incoming packets are chosen as they are on the wire, before destination NAT".to_owned()),
        Direction::Both => notes.push(
            "incoming packets are chosen as they are on the wire, before destination NAT; a forwarded packet takes one detour, not two"
                .to_owned(),
        ),
    }
    notes.push(
        "a priority that a firewall gave chosen packets (iptables CLASSIFY, `meta priority set`) is lost for them; \
         a priority from 0 to 15 is kept"
            .to_owned(),
    );
    notes
}

/// Joins names, and counts those after the first six.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<_> = names.iter().take(SHOWN).cloned().collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown.join(", ")
}
