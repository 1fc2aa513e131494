//! Makes the questions to each agent about a plan, divided into parts that the agent can answer in time. Sends nothing.

use std::collections::BTreeMap;

use firedrill_wire::{api::PrepareOne, fault::PeerTable};

use super::super::facts::Facts;

/// Maximum number of injections in a part.
const INJECTIONS_AT_ONCE: usize = 100;
/// Maximum number of peers of all faults in a part together.
const PEERS_AT_ONCE: usize = PeerTable::MOST_NAMES;

/// Divides a host's questions into parts of limited size, in their order. Each question has the place of its attack. A question that alone
/// exceeds the limit is a part of its own.
pub(super) fn parts(questions: Vec<(usize, PrepareOne)>) -> Vec<Vec<(usize, PrepareOne)>> {
    let mut parts: Vec<Vec<(usize, PrepareOne)>> = Vec::new();
    let mut peers = 0;
    for question in questions {
        let own: usize = question.1.fault.selectors().iter().map(|peers| peers.weight()).sum();
        match parts.last_mut() {
            Some(part) if part.len() < INJECTIONS_AT_ONCE && peers + own <= PEERS_AT_ONCE => {
                peers += own;
                part.push(question);
            }
            _ => {
                peers = own;
                parts.push(vec![question]);
            }
        }
    }
    parts
}

/// Returns the questions to each host about the attacks with these places in the plan. With `approved`, each has the proof that approvals of
/// the plan are about it.
pub(super) fn questions(
    facts: &Facts,
    attacks: std::ops::Range<usize>,
    approved: bool,
) -> BTreeMap<String, Vec<(usize, PrepareOne)>> {
    let tree = approved.then(|| facts.faults());
    let mut asked: BTreeMap<String, Vec<(usize, PrepareOne)>> = BTreeMap::new();
    // The tree has a leaf for each injection of the plan, in order. This is the first one of these attacks.
    let mut leaf = facts.plan.attacks[..attacks.start].iter().map(|attack| attack.injections.len()).sum();
    for index in attacks {
        for (place, injection) in facts.plan.attacks[index].injections.iter().enumerate() {
            let question = PrepareOne {
                id: facts.injection_id(index, place),
                fault: injection.fault.clone(),
                hold: injection.hold,
                proof: tree.map_or_else(Vec::new, |tree| tree.proof(leaf)),
            };
            leaf += 1;
            asked.entry(injection.host.clone()).or_default().push((index, question));
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_wire::{
        Fault, Span,
        fault::{NetBlock, PeerSet},
    };

    #[test]
    fn many_questions_are_asked_in_parts_that_can_be_answered_in_time() {
        let many = PeerSet::from(vec!["10.0.0.1".to_owned(); 90_000]);
        let ask = |count: usize, to: &PeerSet| -> Vec<(usize, usize)> {
            let question = |number: usize| PrepareOne {
                id: format!("run-1-{number}").parse().expect("an id"),
                fault: Fault::NetBlock(NetBlock { to: to.clone(), ..NetBlock::default() }),
                hold: Span::secs(1),
                proof: Vec::new(),
            };
            let parts = parts((0..count).map(|number| (number, question(number))).collect());
            assert_eq!(
                parts.iter().flatten().map(|(n, _)| *n).collect::<Vec<_>>(),
                (0..count).collect::<Vec<_>>()
            );
            parts.iter().map(|part| (part[0].0, part.len())).collect()
        };
        assert_eq!(ask(0, &many), []);
        assert_eq!(ask(250, &vec!["a".to_owned()].into()), [(0, 100), (100, 100), (200, 50)]);
        assert_eq!(ask(5, &many), [(0, 2), (2, 2), (4, 1)]);
    }
}
