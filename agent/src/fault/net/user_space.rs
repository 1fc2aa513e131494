//! Treating packets in user space: a table that sends the chosen ones to a queue, and the queue.
//!
//! A packet is never in the hands of this process for longer than its loop runs: the rules ask a third gate, which only
//! the loop keeps open, and with nobody at the queue the kernel lets packets pass.

use std::time::Duration;

use firedrill_wire::{
    Span,
    api::{Claim, Problem},
    evidence::{Evidence, Seen},
    fault::Direction,
};
use ring::digest::{Context, SHA256};

use super::{
    iptables,
    peers::Peers,
    rules::{ALIVE_FOR, Fate, Harm},
    shape::{Basis, Engine, Shape, effect, notes},
    table_fault::{self, Wanted},
    words,
};
use crate::{
    fault::{Ask, InjectError, Live, Prepared, refuse},
    host::{
        Host,
        nft::{
            table::{ALIVE, Gate, Hook},
            table_name,
        },
        queue::{self, Counts, MOST, Spec},
    },
    undo::Undo,
};

/// The loop shows so often that it is alive.
const EVERY: Duration = Duration::from_millis(500);
/// Packets of one fault that wait take so many bytes at most.
const MEMORY: usize = 64 << 20;

/// What it will do, and how that is undone.
pub(super) fn prepare(
    shape: &(impl Shape + ?Sized),
    host: &Host,
    ask: &Ask,
    peers: Peers,
) -> Result<Prepared, Problem> {
    able(shape, ask)?;
    let number = host.queue_numbers.of(&ask.id).ok_or_else(|| {
        refuse(
            "no-queue-left",
            format!("{}: all {MOST} queues for packets are taken on this host", ask.fault.kind()),
            "undo some faults on traffic first",
        )
    })?;
    let effect = effect(shape, &peers, &format!("in user space by queue {number}"));
    let harm = harm(shape, &peers, number);
    let reaches = if harm.choice.forwarded { words::reaches(&shape.traffic()) } else { words::REACHES_NOT };
    let notes = notes(shape, &peers, reaches, about());
    let wanted = Wanted { ask, harm: &harm, peers: &peers, effect: &effect, notes };
    let mut prepared = table_fault::prepare_by(shape.engine(), host, &wanted)?;
    prepared.claims.push(Claim { what: format!("nfqueue:{number}"), shared: false });
    // In reverse: first the queue lets go of what it holds, and packets pass it by. When a chain goes, the kernel drops
    // what any queue holds.
    prepared.undo.push(Undo::StopQueue { number });
    prepared.switches.push(format!(
        "kernel: packets pass at once if the agent dies, and {} after it hangs",
        Span::from(ALIVE_FOR)
    ));
    prepared.basis = Basis { peers, engine: Engine::UserSpace { queue: number } }.text();
    Ok(prepared)
}

/// What is done to packets. The queue runs; nothing comes to it before the gates are open.
pub(super) fn begin(
    shape: &(impl Shape + ?Sized),
    host: &Host,
    live: &Live,
    peers: &Peers,
    number: u16,
) -> Result<Harm, InjectError> {
    start_queue(shape, host, live, peers, number)?;
    Ok(harm(shape, peers, number))
}

/// What the queue saw, beside what the table did.
pub(super) fn evidence(host: &Host, number: u16, mut evidence: Evidence) -> Evidence {
    match host.queues.counts(number) {
        Some(counts) => {
            evidence.exercised = if counts.seen > 0 { Seen::Yes } else { Seen::No };
            evidence.count = Some(counts.seen);
            evidence.detail = format!("{}; {}", seen(&counts), evidence.detail);
        }
        None => {
            (evidence.in_force, evidence.exercised) = (Seen::No, Seen::Unknown);
            evidence.detail =
                format!("engine: user space (NFQUEUE), whose queue does not run; {}", evidence.detail);
        }
    }
    evidence
}

fn harm(shape: &(impl Shape + ?Sized), peers: &Peers, number: u16) -> Harm {
    let mut harm = Harm::on(&shape.traffic(), peers, Fate::Queue(number));
    harm.choice.forwarded = queue::can(Hook::Forward, &shape.impair()).is_ok();
    harm.loopback = shape.loopback();
    harm
}

/// Refuses what user space cannot do.
fn able(shape: &(impl Shape + ?Sized), ask: &Ask) -> Result<(), Problem> {
    let direction = shape.traffic().direction;
    [(Hook::Input, Direction::Out), (Hook::Output, Direction::In)]
        .into_iter()
        .filter(|(_, without)| direction != *without)
        .try_for_each(|(hook, _)| queue::can(hook, &shape.impair()))
        .map_err(|why| {
            refuse(
                "engine-unable",
                format!("{}: {why}", ask.fault.kind()),
                "see docs/faults/README.md for what each kind can do",
            )
        })
}

/// Starts the queue unless it runs. Nothing comes to it before the gates are open.
fn start_queue(
    shape: &(impl Shape + ?Sized),
    host: &Host,
    live: &Live,
    peers: &Peers,
    number: u16,
) -> Result<(), InjectError> {
    if host.queues.counts(number).is_some() {
        return Ok(());
    }
    let by_iptables = iptables::of(live).is_some();
    let alive: Box<dyn FnMut() + Send> = if by_iptables {
        Box::new(iptables::keeper(host, live, ALIVE))
    } else {
        let gate = Gate { set: ALIVE, left: ALIVE_FOR };
        let keeper = host.nft.keeper(&table_name(&live.ask.id), gate);
        let mut keeper = keeper.map_err(|error| InjectError(error.to_string()))?;
        Box::new(move || keeper.keep())
    };
    let spec = Spec {
        number,
        owner: peers.whose(host).unwrap_or(0),
        impair: shape.impair(),
        look: shape.look(),
        seed: seed(host, &live.ask),
        memory: MEMORY,
        every: EVERY,
        // Rules of iptables cannot ask for the tag that the others ask for.
        sender: by_iptables.then(|| queue::sender(number)),
        alive,
    };
    let failed =
        |error| InjectError(format!("could not serve queue {number} for packets (NFQUEUE): {error}"));
    host.queues.start(spec).map_err(failed)
}

/// The same chances for the same fault on the same host, so that a run can be repeated; others on other hosts.
fn seed(host: &Host, ask: &Ask) -> u64 {
    let fault = serde_json::to_vec(&ask.fault).unwrap_or_default();
    let mut hash = Context::new(&SHA256);
    for part in [host.name.as_bytes(), &[0], &fault] {
        hash.update(part);
    }
    hash.finish().as_ref().iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

fn about() -> [String; 2] {
    [
        "engine: user space (NFQUEUE): the chosen packets pass through the agent, at the cost of about a fifth of a core for \
         10,000 of them a second; more than it can carry is dropped and counted as overflow"
            .to_owned(),
        format!("what waits takes {} MiB of memory at most; more is dropped and counted as overflow", MEMORY >> 20),
    ]
}

/// What the queue did, for people.
fn seen(counts: &Counts) -> String {
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
