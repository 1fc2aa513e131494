//! The engine in user space: rules send the chosen packets to a queue, and a loop of this process shapes and reinjects them.
//!
//! Packets come to the queue only while the loop runs: the rules have a third gate, which only the loop keeps open. If no
//! process serves the queue, the kernel lets packets pass.

use std::time::Duration;

use firedrill_wire::{
    RefusalCode, Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
    fault::Direction,
};
use ring::digest::{Context, SHA256};

use super::{Shaper, Unable, met};
use crate::{
    fault::net::{
        packet_rules::{self, Wanted},
        rules::{ALIVE_FOR, Action, PacketRule},
        shape::{Shape, effect, notes},
        words::Reach,
    },
    host::{
        Host,
        nft::table::Hook,
        queue::{self, Counts, MOST, Spec},
    },
    injection::{Ask, InjectError, Live, Peers, Prepared, ShapeEngine, refuse},
    undo::Undo,
};

/// The interval at which the loop shows that it is alive.
const EVERY: Duration = Duration::from_millis(500);
/// Maximum memory for the waiting packets of one fault, in bytes.
const MEMORY: usize = 64 << 20;

/// The engine, with the queue that was chosen for an injection.
pub(super) struct UserSpaceQueue(pub(super) u16);

impl Shaper for UserSpaceQueue {
    fn prepare(shape: &dyn Shape, host: &Host, ask: &Ask, peers: &Peers) -> Result<Prepared, Unable> {
        check_impairment(shape, ask)?;
        let number = host.queue_numbers.of(&ask.id).ok_or_else(|| {
            refuse(
                RefusalCode::NoQueueLeft,
                format!("{}: all {MOST} queues for packets are taken on this host", ask.fault.kind()),
                "undo some faults on traffic first",
            )
        })?;
        let effect = effect(shape, peers, &format!("in user space by queue {number}"));
        let rule = rule(shape, peers, number);
        let reach = if rule.selector.forwarded { Reach::of(&shape.traffic()) } else { Reach::Own };
        let notes = notes(shape, peers, engine_notes());
        let wanted = Wanted {
            ask,
            rule: &rule,
            peers,
            effect: &effect,
            shaped_by: Some(ShapeEngine::UserSpace { queue: number }),
            reach: Some(reach),
            notes,
        };
        let mut prepared = packet_rules::prepare(shape.engine(), host, &wanted)?;
        prepared.claims.push(Claim { what: format!("nfqueue:{number}"), shared: false });
        // The undo runs in reverse order: first the queue releases the packets that it holds, and further packets bypass
        // it. This order matters because the kernel drops the packets in all queues when it removes a chain.
        prepared.undo.push(Undo::StopQueue { number });
        prepared.switches.push(format!(
            "kernel: packets pass at once if the agent dies, and {} after it hangs",
            Span::from(ALIVE_FOR)
        ));
        Ok(prepared)
    }

    /// Starts the queue unless it runs.
    fn begin(
        &self,
        shape: &dyn Shape,
        host: &Host,
        live: &Live,
        peers: &Peers,
    ) -> Result<PacketRule, InjectError> {
        start_queue(shape, host, live, peers, self.0)?;
        Ok(rule(shape, peers, self.0))
    }

    fn detail(&self) -> String {
        format!(", and queue {} serves in user space", self.0)
    }

    /// Adds the counts of the queue.
    fn evidence(&self, shape: &dyn Shape, host: &Host, _live: &Live, mut evidence: Evidence) -> Evidence {
        match host.queues.counts(self.0) {
            Some(counts) => {
                let changed = counts.lost + counts.duplicated + counts.corrupted + counts.reordered;
                met::add(&mut evidence, &shape.impair(), counts.seen, Some(changed));
                evidence.detail = format!("{}; {}", counts_words(&counts), evidence.detail);
            }
            None => {
                (evidence.in_force, evidence.exercised) = (Seen::No, Seen::Unknown);
                evidence.detail =
                    format!("engine: user space (NFQUEUE), whose queue does not run; {}", evidence.detail);
            }
        }
        evidence
    }
}

/// Returns the rule that sends the chosen packets to the queue. It leaves out forwarded packets if the queue cannot do this
/// to them.
fn rule(shape: &dyn Shape, peers: &Peers, number: u16) -> PacketRule {
    let mut rule = PacketRule::on(&shape.traffic(), peers, Action::Queue(number));
    rule.selector.forwarded = queue::can(Hook::Forward, &shape.impair()).is_ok();
    rule.loopback = shape.loopback();
    rule
}

/// Refuses parameters that a queue cannot carry out at a hook through which chosen packets come.
fn check_impairment(shape: &dyn Shape, ask: &Ask) -> Result<(), Problem> {
    let hooks: &[Hook] = match shape.traffic().direction {
        Direction::In => &[Hook::Input],
        Direction::Out => &[Hook::Output],
        Direction::Both => &[Hook::Input, Hook::Output],
    };
    hooks.iter().try_for_each(|hook| queue::can(*hook, &shape.impair())).map_err(|why| {
        refuse(
            RefusalCode::EngineUnable,
            format!("{}: {why}", ask.fault.kind()),
            "see docs/faults/README.md for what each kind can do",
        )
    })
}

/// Starts the queue unless it runs. No packet comes to it before the gates of the rule are open.
fn start_queue(
    shape: &dyn Shape,
    host: &Host,
    live: &Live,
    peers: &Peers,
    number: u16,
) -> Result<(), InjectError> {
    if host.queues.counts(number).is_some() {
        return Ok(());
    }
    let gate = packet_rules::queue_gate(host, live, number)?;
    let spec = Spec {
        number,
        // 0 for a fault on the packets of all users and services.
        owner: peers.whose(host).unwrap_or(0),
        impair: shape.impair(),
        look: shape.look(),
        seed: seed(host, &live.ask),
        memory: MEMORY,
        every: EVERY,
        sender: gate.sender,
        alive: gate.keep,
    };
    let failed =
        |error| InjectError(format!("could not serve queue {number} for packets (NFQUEUE): {error}"));
    host.queues.start(spec).map_err(failed)
}

/// Returns the seed of the random numbers. The same fault on the same host gets the same seed, so that a run can be
/// repeated. Other hosts get other seeds.
fn seed(host: &Host, ask: &Ask) -> u64 {
    let fault = serde_json::to_vec(&ask.fault).unwrap_or_default();
    let mut hash = Context::new(&SHA256);
    for part in [host.name.as_bytes(), &[0], &fault] {
        hash.update(part);
    }
    hash.finish().as_ref().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

/// Returns the notes for the plan on what this engine costs.
fn engine_notes() -> [String; 2] {
    [
        "engine: user space (NFQUEUE): the chosen packets pass through the agent, at the cost of about a fifth of a core for \
         10,000 of them a second; more than it can carry is dropped and counted as overflow"
            .to_owned(),
        format!("waiting packets take {} MiB of memory at most; more are dropped and counted as overflow", MEMORY >> 20),
    ]
}

/// Returns the counts of the queue in words for people.
fn counts_words(counts: &Counts) -> String {
    let mut text =
        format!("engine: user space (NFQUEUE), {} packets seen, {} passed", counts.seen, counts.passed);
    for (count, what) in [
        (counts.lost, "lost"),
        (counts.duplicated, "sent twice"),
        (counts.corrupted, "corrupted"),
        (counts.falsified, "made to say something else"),
        (counts.others, "others passed unchanged"),
        (counts.reordered, "sent ahead"),
        (counts.held, "held now"),
        (counts.overflowed, "DROPPED for want of room"),
        (counts.failed, "FAILED to be received or sent on"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if let Some(mean) = counts.delay_us.checked_div(counts.passed) {
        text.push_str(&format!(", {}.{:03} ms added on average", mean / 1000, mean % 1000));
    }
    text
}
