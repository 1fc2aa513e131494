//! The kernel's engine: a table marks the chosen packets and redirects them to ifbs, where netem or tbf shapes them.
//!
//! When the table goes because its owner died, or when a gate closes, new packets pass as ever at once. The ifbs stay,
//! idle, until they are removed. The engine refuses if the kernel lacks something, and leaves all qdiscs of others
//! alone.

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

/// Maximum time that the removal of an ifb waits for the packets that it still holds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Maximum jitter of netem. It cuts longer ones off and says nothing (`sch_netem.c`, `INT_MAX` nanoseconds).
const JITTER_MOST: Duration = Duration::from_nanos(i32::MAX as u64);

/// The engine.
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

    /// Makes the ifbs.
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
            .map_err(|why| InjectError(format!("could not make a line for packets: {why}")))?;
        let detour = Detour::by(ways, shape.traffic().interfaces)
            .map_err(|error| InjectError(format!("interfaces could not be listed: {error}")))?;
        Ok(rule(shape, peers, detour))
    }

    fn detail(&self) -> String {
        ", and the kernel's qdiscs treat the packets".to_owned()
    }

    /// Adds the counts of the ifbs. Packets that were marked but never came to an ifb do not show that the fault landed.
    fn evidence(&self, shape: &dyn Shape, host: &Host, live: &Live, mut evidence: Evidence) -> Evidence {
        let counts = match host.ifbs.counts(&live.ask.id) {
            Ok(Some(counts)) => counts,
            Ok(None) => {
                (evidence.in_force, evidence.exercised) = (Seen::No, Seen::Unknown);
                evidence.detail = format!("engine: kernel, whose line is not there; {}", evidence.detail);
                return evidence;
            }
            Err(error) => {
                (evidence.in_force, evidence.exercised) = (Seen::Unknown, Seen::Unknown);
                evidence.detail = format!("{error}; {}", evidence.detail);
                return evidence;
            }
        };
        let chosen = evidence.count.unwrap_or(0);
        let impair = shape.impair();
        // Of what netem does by chance, the kernel counts only losses.
        let changed = (impair.loss != Loss::None).then_some(counts.dropped);
        met::say(&mut evidence, &impair, counts.seen(), changed);
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
/// The reason why this engine cannot do it, as a part of a sentence.
fn prepared(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, String> {
    let impair = shape.impair();
    let traffic = shape.traffic();
    if traffic.service.is_some() && traffic.direction != Direction::Out {
        return Err(
            "what comes in is chosen at the interfaces, where it is not known yet for which service it is"
                .to_owned(),
        );
    }
    able(host, ask, &impair)?;
    host.ssh.look();
    let unlisted = |error| format!("interfaces could not be listed: {error}");
    let detour = Detour::by(vec![FIRST_WAY], shape.traffic().interfaces).map_err(unlisted)?;
    let by = qdiscs(&impair);
    let prefix = ifb::prefix(&ask.id);
    let effect =
        effect(shape, peers, &format!("in the kernel by {by} on an interface of its own ({prefix}00)"));
    let notes = notes(shape, peers, about(shape, &detour));
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
    // The undo runs in reverse order: first the table, so that no more packets come; then the ifbs, once they have run
    // empty.
    let waits = (impair.delay + 4 * impair.jitter + Duration::from_millis(100)).min(PATIENCE);
    let patience = if impair.rate.is_some() { PATIENCE } else { waits };
    prepared.undo.insert(0, Undo::RemoveIfbs { prefix, patience: patience.into() });
    Ok(prepared)
}

fn rule(shape: &dyn Shape, peers: &Peers, detour: Detour) -> PacketRule {
    PacketRule::on(&shape.traffic(), peers, Action::Line(detour))
}

fn qdiscs(impair: &Impair) -> &'static str {
    if impair.rate.is_some() { "tbf" } else { "netem" }
}

/// Refuses parameters that this kernel cannot carry out.
fn able(host: &Host, ask: &Ask, impair: &Impair) -> Result<(), String> {
    if impair.jitter > JITTER_MOST {
        return Err(format!("netem's jitter ends at {}", Span::from(JITTER_MOST)));
    }
    kinds::has_qdisc(qdiscs(impair))?;
    kinds::has_ifb()?;
    host.ifbs.able(&ask.id, impair).map_err(|why| why.to_string())
}

fn about(shape: &dyn Shape, detour: &Detour) -> Vec<String> {
    let impair = shape.impair();
    let mut notes = vec![format!(
        "engine: kernel: chosen packets take a detour by an interface of the fault's own; the qdiscs of {} stay as they are",
        names(&detour.sending)
    )];
    if impair.rate.is_none() {
        notes.push(format!("{MOST_WAITING} packets can wait at once; more are dropped and counted"));
    } else {
        notes.push(
            "64 MiB can wait at once; more is dropped and counted; Ethernet headers count in the rate; packets that other faults \
             choose as well have a rate of their own, the same"
                .to_owned(),
        );
    }
    let by_chance = impair.loss != Loss::None
        || [impair.duplicate, impair.corrupt, impair.reorder.chance]
            .iter()
            .any(|chance| *chance != Chance::default());
    if by_chance && shape.traffic().direction != Direction::In {
        notes.push("what the kernel sends as one frame of several TCP segments meets chance once".to_owned());
    }
    if impair.corrupt != Chance::default() {
        notes.push(
            "netem flips a bit anywhere in the frame, headers included; what arrives was checked by the card already, so damage may \
             reach programs"
                .to_owned(),
        );
    }
    if impair.delay + 4 * impair.jitter > PATIENCE {
        notes.push(format!("what is not due {} after the end is lost", Span::from(PATIENCE)));
    }
    match shape.traffic().direction {
        Direction::Out => {}
        Direction::In => notes.push("what comes in is judged as it is on the wire, before destination NAT".to_owned()),
        Direction::Both => notes.push(
            "what comes in is judged as it is on the wire, before destination NAT; a forwarded packet takes one detour, not two"
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

fn names(all: &[String]) -> String {
    const SHOWN: usize = 6;
    let mut shown: Vec<_> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        shown.push(format!("{} more", all.len() - SHOWN));
    }
    shown.join(", ")
}
