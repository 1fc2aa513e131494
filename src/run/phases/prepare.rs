//! Asks each agent for the effects of its faults, before any harm. Agents only read for their answers.

use firedrill_wire::{
    RefusalCode,
    api::{Prepare, PrepareOne, Prepared, PreparedOne, Problem, Signed},
};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};

use super::{
    super::{error::RunError, facts::Facts, peers::Peers, recorder::Recorder},
    questions::{parts, questions},
};
use crate::{alike, log::Event, plan::Plan};

/// An agent's answer to one injection of the plan.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The host.
    pub host: String,
    /// The attack, by its place in the plan.
    pub attack: usize,
    /// The answer.
    pub prepared: PreparedOne,
}

/// The refusal of at least one agent, or an agent without an answer.
pub(crate) struct Refusal {
    /// The host and its reason, for people.
    pub(crate) why: String,
    /// The answers that came.
    pub(crate) answers: Vec<Answer>,
    /// Whether the reason is that a person undid the run or halted a host.
    pub(crate) by_person: bool,
}

/// Whether a refusal means that a person undid the run, or halted the host.
pub(super) fn by_person(problem: &Problem) -> bool {
    matches!(problem.code, RefusalCode::Tombstone | RefusalCode::Halted)
}

/// Maximum number of hosts that are asked at the same time. Each question contains all peers of its host.
const HOSTS_AT_ONCE: usize = 64;

/// Asks the agents about the attacks with these places in the plan, and records their answers. Agents get the approvals of the run, too.
/// `only_look` is whether nothing will be armed afterwards. The inner error is that an agent refused or did not answer.
pub(crate) async fn prepare(
    (facts, peers): (&Facts, &Peers),
    recorder: &mut Recorder,
    attacks: std::ops::Range<usize>,
    approvals: &[Signed],
    only_look: bool,
) -> Result<Result<Vec<Answer>, Refusal>, RunError> {
    let calls =
        questions(facts, attacks, !approvals.is_empty()).into_iter().filter_map(|(host, questions)| {
            let agent = peers.agent(&host)?.clone();
            Some(async move {
                let mut answered = Vec::new();
                for part in parts(questions) {
                    let (attacks, injections): (Vec<usize>, Vec<PrepareOne>) = part.into_iter().unzip();
                    match agent.prepare(&facts.id, &question(facts, injections, approvals, only_look)).await {
                        Ok(answer) => answered.extend(attacks.into_iter().zip(answer.injections)),
                        Err(error) => return (host, answered, Some(error)),
                    }
                }
                (host, answered, None)
            })
        });
    let calls: Vec<_> = calls.collect();
    let answered: Vec<_> = stream::iter(calls).buffered(HOSTS_AT_ONCE).collect().await;
    let (mut answers, mut refusals, mut person) = (Vec::new(), Vec::new(), false);
    for (host, answered, error) in answered {
        for (attack, prepared) in answered {
            if let Prepared::Refused(problem) = &prepared.answer {
                person |= by_person(problem);
                let mut why = format!("{host} refuses: {}", problem.title);
                if !problem.hint.is_empty() {
                    why = format!("{why} ({})", problem.hint);
                }
                refusals.push((host.clone(), why));
            }
            recorder.write(Event::Prepared { host: host.clone(), attack, prepared: prepared.clone() })?;
            answers.push(Answer { host: host.clone(), attack, prepared });
        }
        if let Some(error) = error {
            person |= error.problem().is_some_and(by_person);
            refusals.push((host.clone(), format!("{host} did not prepare: {error}")));
        }
    }
    refusals.dedup();
    Ok(if refusals.is_empty() {
        Ok(answers)
    } else {
        Err(Refusal { why: alike::likewise(&refusals), answers, by_person: person })
    })
}

/// Returns a message about hosts that want more approvals for attacks for which the plan asks nobody, so that these attacks can never be
/// armed; `None` if there are none.
pub(crate) fn lacking(plan: &Plan, answers: &[Answer]) -> Option<String> {
    let asks = |attack: usize| plan.attacks.get(attack).is_some_and(|attack| attack.approve.is_some());
    let mut lacking: Vec<(String, String)> = Vec::new();
    for answer in answers.iter().filter(|answer| !asks(answer.attack)) {
        if let Prepared::Ready { lacks: Some(lacks), .. } = &answer.prepared.answer {
            lacking.push((answer.host.clone(), format!("{}: {lacks}", answer.host)));
        }
    }
    lacking.dedup();
    let next = "have others run `firedrill approve`, and name the files with --approve";
    (!lacking.is_empty()).then(|| format!("{}; {next}", alike::likewise(&lacking)))
}

/// Makes the question about some injections of a host.
fn question(facts: &Facts, injections: Vec<PrepareOne>, approvals: &[Signed], only_look: bool) -> Prepare {
    let (plan_digest, environment) = (facts.digest.clone(), facts.plan.environment.clone());
    Prepare { plan_digest, environment, injections, only_look, approvals: approvals.to_vec() }
}

/// Asks the touched hosts whether a person undid the run there, or halted the host, and returns the first such answer. The question is
/// needed because an undo with nothing in force creates no event; the agent only refuses the run's next question. A host without an answer
/// counts as not undone.
pub(crate) async fn barred(facts: &Facts, peers: &Peers) -> Option<String> {
    let calls = peers.touched().map(|(host, agent)| async move {
        (host, agent.prepare(&facts.id, &question(facts, Vec::new(), &[], true)).await)
    });
    join_all(calls).await.into_iter().find_map(|(host, answer)| {
        let problem = answer.as_ref().err()?.problem().filter(|problem| by_person(problem))?;
        Some(format!("on {host}: {}", problem.title))
    })
}
