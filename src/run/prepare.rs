//! The steps before any harm: connects to every host of the plan, and asks each agent for the effects of its faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use firedrill_wire::{
    InjectionId, RefusalCode,
    api::{Prepare, PrepareOne, Prepared, PreparedOne, Problem},
    fault::PeerTable,
};
use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use tokio::sync::watch;

use super::{Peer, Run, RunError, input::Input, watchers};
use crate::{
    alike,
    link::{self, Agent, Identity},
    log::Event,
    plan::model::COORDINATOR,
};

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

/// At least one agent refused.
pub(super) struct Refusal {
    /// The host and its reason, for people.
    pub(super) why: String,
    /// The answers of all agents.
    pub(super) answers: Vec<Answer>,
    /// Whether the reason is that a person undid the run or halted a host.
    pub(super) by_person: bool,
}

/// Whether a refusal means that a person undid the run, or halted the host.
pub(super) fn by_person(problem: &Problem) -> bool {
    matches!(problem.code, RefusalCode::Tombstone | RefusalCode::Halted)
}

/// Links to each agent: one for commands and one for streams.
const LINKS: u64 = 2;

/// Number of clock measurements; the one with the shortest round trip counts.
const ROUNDS: u32 = 5;

/// Maximum number of hosts that are asked at the same time. Each question contains all peers of its host.
const HOSTS_AT_ONCE: usize = 64;
/// Maximum number of injections in one question, and of their peers together, so that the answer comes in time.
const INJECTIONS_AT_ONCE: usize = 100;
const PEERS_AT_ONCE: usize = PeerTable::MOST;

/// Splits a host's questions into parts of limited size, in order.
fn parts(questions: Vec<(usize, PrepareOne)>) -> Vec<Vec<(usize, PrepareOne)>> {
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

impl Run {
    /// Returns the id of an injection. It is the same for prepare, arm and undo, and does not depend on answers.
    pub(super) fn injection_id(&self, attack: usize, place: usize) -> InjectionId {
        let text = format!("{}-{}-{}", self.id, attack + 1, place + 1);
        text.parse().unwrap_or_else(|_| unreachable!("a run's id leaves room for two numbers"))
    }

    /// Connects to all targets and vantages and measures their clocks. Reads events after `after`, by host; from now
    /// on for hosts that have no entry. With `without`, an unreachable host is waited for in the background;
    /// otherwise all must be reached. With `only`, other hosts are left out.
    pub(super) async fn connect(
        &mut self,
        identity: &Arc<Identity>,
        after: &BTreeMap<String, u64>,
        without: bool,
        only: Option<&BTreeSet<String>>,
    ) -> Result<Result<(), String>, RunError> {
        let plan = Arc::clone(&self.plan);
        let mut needed: BTreeSet<&str> = plan.targets();
        needed.extend(
            plan.probes
                .iter()
                .flat_map(|probe| &probe.from)
                .map(String::as_str)
                .filter(|at| *at != COORDINATOR),
        );
        needed.retain(|name| only.is_none_or(|only| only.contains(*name)));
        let hosts = plan.by_name();
        let asked = needed.iter().filter_map(|name| hosts.get(name).copied());
        if let Err(why) = link::all_at_once(asked, LINKS) {
            return Ok(Err(why));
        }
        let asked = needed.iter().filter_map(|name| hosts.get(name).copied()).map(|host| {
            let agent = Agent::new(host, Arc::clone(identity));
            async move {
                let met = async {
                    let status = agent.status().await?;
                    Ok::<_, link::LinkError>((status, link::offset(&agent, ROUNDS).await?))
                };
                let met = met.await;
                (host.name.clone(), agent, met)
            }
        });
        let mut unreachable = Vec::new();
        for (name, agent, met) in join_all(asked).await {
            let (status, offset) = match met {
                Ok(met) => met,
                Err(error) => {
                    unreachable.push((name.clone(), error.to_string()));
                    if without {
                        self.meet(&name, agent, after.get(&name).copied().unwrap_or(0), None)?;
                    }
                    continue;
                }
            };
            if let Some(by) = status.halted_by {
                let why =
                    format!("{name} was halted by {by}; `firedrill release --host {name}` ends the halt");
                unreachable.push((name.clone(), why));
            }
            let last_seq = after.get(&name).copied().unwrap_or(status.last_seq);
            self.meet(&name, agent, last_seq, Some(offset))?;
        }
        Ok(if unreachable.is_empty() { Ok(()) } else { Err(alike::likewise(&unreachable)) })
    }

    /// Starts to read the host's events; from now on its lease can be renewed.
    fn meet(
        &mut self,
        name: &str,
        agent: Agent,
        last_seq: u64,
        offset: Option<link::Offset>,
    ) -> Result<(), RunError> {
        let (active, watching) = watch::channel(false);
        watchers::renewal(agent.clone(), self.id.clone(), self.plan.lease, watching, &self.tasks);
        watchers::events(name.to_owned(), agent.clone(), last_seq, offset.is_some(), &self.tasks);
        let peer = Peer {
            agent,
            zeros: BTreeMap::new(),
            boot_id: offset.as_ref().map(|offset| offset.boot_id.clone()).unwrap_or_default(),
            reachable: offset.is_some(),
            touched: false,
            active,
            last_seq,
            early: Vec::new(),
        };
        self.peers.insert(name.to_owned(), peer);
        offset.map_or(Ok(()), |offset| self.take(Input::LinkBack { host: name.to_owned(), offset }))
    }

    /// Returns the questions to each host about some attacks.
    fn questions(&self, attacks: std::ops::Range<usize>) -> BTreeMap<String, Vec<(usize, PrepareOne)>> {
        let mut asked: BTreeMap<String, Vec<(usize, PrepareOne)>> = BTreeMap::new();
        for index in attacks {
            for (place, injection) in self.plan.attacks[index].injections.iter().enumerate() {
                let one = PrepareOne {
                    id: self.injection_id(index, place),
                    fault: injection.fault.clone(),
                    hold: injection.hold,
                };
                asked.entry(injection.host.clone()).or_default().push((index, one));
            }
        }
        asked
    }

    /// Asks the agents about some attacks and records their answers. With `only_look` nothing will be armed.
    pub(super) async fn ask(
        &mut self,
        attacks: std::ops::Range<usize>,
        only_look: bool,
    ) -> Result<Result<Vec<Answer>, Refusal>, RunError> {
        let calls = self.questions(attacks).into_iter().filter_map(|(host, questions)| {
            let agent = self.peers.get(&host)?.agent.clone();
            let (run, plan_digest, environment) =
                (self.id.clone(), self.digest.clone(), self.plan.environment.clone());
            Some(async move {
                let mut answered = Vec::new();
                for part in parts(questions) {
                    let (attacks, injections): (Vec<usize>, Vec<PrepareOne>) = part.into_iter().unzip();
                    let (plan_digest, environment) = (plan_digest.clone(), environment.clone());
                    let ask = Prepare { plan_digest, environment, injections, only_look };
                    match agent.prepare(&run, &ask).await {
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
                let written = Event::Prepared { host: host.clone(), attack, prepared: prepared.clone() };
                self.recorder.write(written)?;
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

    /// Asks about the whole plan. One refusal stops the run with nothing touched.
    pub(super) async fn prepare_all(
        &mut self,
        only_look: bool,
    ) -> Result<Result<Vec<Answer>, Refusal>, RunError> {
        self.ask(0..self.plan.attacks.len(), only_look).await
    }

    /// Returns the answer of a touched host's agent that a person undid the run or halted the host, if there is one.
    /// An undo with nothing in force creates no event; the agent then refuses the run's next question. A host without
    /// an answer counts as not barred.
    pub(super) async fn barred(&self) -> Option<String> {
        let calls = self.peers.iter().filter(|(_, peer)| peer.touched).map(|(host, peer)| {
            let (agent, run) = (peer.agent.clone(), self.id.clone());
            let ask = Prepare {
                plan_digest: self.digest.clone(),
                environment: self.plan.environment.clone(),
                injections: Vec::new(),
                only_look: true,
            };
            async move { (host, agent.prepare(&run, &ask).await) }
        });
        join_all(calls).await.into_iter().find_map(|(host, answer)| {
            let problem = answer.as_ref().err()?.problem().filter(|problem| by_person(problem))?;
            Some(format!("on {host}: {}", problem.title))
        })
    }
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
            let one = |number: usize| PrepareOne {
                id: format!("run-1-{number}").parse().expect("an id"),
                fault: Fault::NetBlock(NetBlock { to: to.clone(), ..NetBlock::default() }),
                hold: Span::secs(1),
            };
            let parts = parts((0..count).map(|number| (number, one(number))).collect());
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
