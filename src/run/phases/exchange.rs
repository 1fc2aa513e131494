//! Exchanges packets over the paths of faults: before, while they are in force, and after.
//!
//! Exchanges run in the background, and nothing waits for them. If one fails, the log has the reason.

use firedrill_wire::Span;

use super::super::{clock::signed, facts::Facts, input::Input, peers::Peers, tasks::Tasks};
use crate::{
    log::{Event, Moment},
    plan::{
        exchange::{self, AFTER_START},
        model::Attack,
    },
};

/// Starts the exchanges of an attack for one moment, from `from_us` on the run's clock on. During the fault, each exchange begins shortly
/// after its injection.
pub(super) fn exchange(
    (facts, peers, tasks): (&Facts, &Peers, &Tasks),
    index: usize,
    attack: &Attack,
    moment: Moment,
    from_us: i64,
) {
    let pairs_of_each = exchange::all(&facts.plan, attack);
    for (place, (injection, pairs)) in attack.injections.iter().zip(pairs_of_each).enumerate() {
        let after = match moment {
            Moment::During => injection.at + AFTER_START,
            Moment::Before | Moment::After => Span::ZERO,
        };
        let wait = from_us + signed(after.as_micros()) - facts.now_us();
        let wait = std::time::Duration::from_micros(u64::try_from(wait).unwrap_or(0));
        for pair in pairs.into_iter().flatten() {
            let Some(agent) = peers.agent(&pair.asker) else { continue };
            let (agent, run, clock) = (agent.clone(), facts.id.clone(), facts.clock);
            let mail = tasks.clone();
            let injection = facts.injection_id(index, place);
            tasks.spawn(async move {
                tokio::time::sleep(wait).await;
                let from_us = clock.now_us();
                let (met, failed) = match agent.exchange(&run, &pair.ask).await {
                    Ok(met) => (Some(met), None),
                    Err(error) => (None, Some(error.to_string())),
                };
                let (asker, other) = (pair.asker, pair.other);
                let event = Event::Exchanged {
                    attack: index,
                    injection,
                    moment,
                    asker,
                    other,
                    from_us,
                    ask: pair.ask,
                    met,
                    failed,
                };
                // The result is ignored: if the run is over, nobody needs the record.
                mail.send(Input::Exchanged(Box::new(event)));
            });
        }
    }
}
