//! Enforces `keep` and `max_share` across runs: the hosts of the groups that an attack touches are asked for the
//! faults of other runs.
//!
//! Two runs that arm at once see each other, because each asks after it has armed everywhere and before anything may
//! start. The run with the later id gives way; the other waits until that has happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use firedrill_wire::{
    RunId,
    api::{AgentStatus, OpenOne},
    journal::State,
};
use futures_util::{StreamExt as _, stream};

use super::{
    claim::described, clock::signed, error::RunError, facts::Facts, peers::Peers, recorder::Recorder,
};
use crate::{
    alike,
    link::{Agent, LinkError},
    plan::radius,
};

mod limits;
#[cfg(test)]
mod tests;

use limits::{Group, groups, owned};

/// Maximum number of hosts that are asked at once.
const AT_ONCE: usize = 64;
/// Interval at which hosts are asked again while two runs decide which of them gives way.
const AGAIN: Duration = Duration::from_millis(50);

/// The reason why a host is not available: another run's fault, or no answer.
#[derive(Clone)]
struct Taken {
    why: String,
    /// Whether the other run has armed and will give way to this one.
    gives_way: bool,
}

/// The limits of an attack, and the hosts to ask.
pub(super) struct Bounds {
    run: RunId,
    groups: Vec<Group>,
    /// For each instant at which a fault begins: the hosts under a fault.
    instants: Vec<BTreeSet<String>>,
    agents: BTreeMap<String, Agent>,
    /// Hosts that did not answer; they are not asked again.
    silent: BTreeMap<String, Taken>,
    /// Duration of the slowest answer, in microseconds.
    pub(super) slowest_us: i64,
}

/// The result of asking the hosts.
enum Room {
    /// The attack keeps within the guard's limits.
    Enough,
    /// It will, as soon as another run has given way.
    Soon(String),
    /// It does not; with the hosts or runs in the way.
    None(String),
}

impl Bounds {
    /// Returns the limits of an attack; `None` if the guard has none for its targets.
    fn of(facts: &Facts, peers: &Peers, index: usize) -> Option<Self> {
        let (plan, attack) = (&facts.plan, facts.plan.attacks.get(index)?);
        let groups = groups(plan, attack);
        if groups.is_empty() {
            return None;
        }
        let off = plan.attacks[..index].iter().flat_map(radius::powered_off);
        let off: BTreeSet<String> = off.map(str::to_owned).collect();
        let wanted: BTreeSet<&String> = groups.iter().flat_map(|group| &group.hosts).collect();
        let hosts = plan.by_name();
        let agent = |name: &String| match peers.agent(name) {
            Some(agent) => Some(agent.clone()),
            None => Some(Agent::new(hosts.get(name.as_str())?, Arc::clone(&facts.identity))),
        };
        let agents = wanted.into_iter().filter(|name| !off.contains(*name));
        Some(Self {
            run: facts.id.clone(),
            agents: agents.filter_map(|name| Some((name.clone(), agent(name)?))).collect(),
            groups,
            instants: radius::instants(attack)
                .iter()
                .map(|hit| owned(hit).union(&off).cloned().collect())
                .collect(),
            silent: BTreeMap::new(),
            slowest_us: 0,
        })
    }

    /// Asks the hosts. `armed` tells that this attack has armed: other runs see it, and those with a later id give
    /// way.
    async fn look(&mut self, armed: bool) -> Room {
        let asked: Vec<(String, Agent)> =
            self.agents.iter().map(|(name, agent)| (name.clone(), agent.clone())).collect();
        let calls = asked.into_iter().map(|(name, agent)| async move {
            let began = std::time::Instant::now();
            let status = agent.status().await;
            (name, status, signed(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)))
        });
        let answers: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        let mut taken = BTreeMap::new();
        let mut slowest_us = 0;
        for (name, status, took_us) in answers {
            match status {
                Ok(status) => {
                    slowest_us = took_us.max(slowest_us);
                    taken.extend(self.taken(&status, armed).map(|one| (name, one)));
                }
                Err(error) => self.unheard(name, &error),
            }
        }
        taken.extend(self.silent.clone());
        self.slowest_us = slowest_us;
        self.room(&taken)
    }

    /// Counts a host that cannot be asked as one under a fault, whatever the reason: the connection may have been
    /// refused by a bastion, or by a host that restarts. It is not asked again.
    fn unheard(&mut self, name: String, error: &LinkError) {
        self.agents.remove(&name);
        let why = format!("{name} cannot be asked, so it counts as one under a fault ({error})");
        self.silent.insert(name, Taken { why, gives_way: false });
    }

    /// Returns a fault of another run on a host, if there is one.
    fn taken(&self, status: &AgentStatus, armed: bool) -> Option<Taken> {
        let theirs = status.open.iter().filter(|one| one.run != self.run);
        let gives_way = |one: &OpenOne| armed && one.state == State::Armed && !one.due && one.run > self.run;
        // A fault that does not give way has priority.
        let one = theirs.min_by_key(|one| gives_way(one))?;
        Some(Taken { why: described(status, one), gives_way: gives_way(one) })
    }

    fn room(&self, taken: &BTreeMap<String, Taken>) -> Room {
        let mut soon = None;
        for group in &self.groups {
            for hit in &self.instants {
                let ours = group.hosts.intersection(hit).count();
                let others =
                    || taken.iter().filter(|(name, _)| group.hosts.contains(*name) && !hit.contains(*name));
                let firm = others().filter(|(_, one)| !one.gives_way).count();
                let why = || {
                    let who: Vec<&str> = others().map(|(_, one)| one.why.as_str()).collect();
                    format!(
                        "the guard's {} would be exceeded, with {ours} of them under this attack: {}; wait for that to end",
                        group.rule,
                        who.join("; ")
                    )
                };
                if ours + firm > group.most && firm > 0 {
                    return Room::None(why());
                }
                if ours + others().count() > group.most && firm < others().count() {
                    soon.get_or_insert_with(why);
                }
            }
        }
        soon.map_or(Room::Enough, Room::Soon)
    }
}

/// Checks that the attack keeps within the guard's limits together with other runs; the inner error is the reason
/// why it does not.
pub(super) async fn room_for(
    (facts, peers): (&Facts, &Peers),
    recorder: &mut Recorder,
    attack: usize,
) -> Result<Result<Option<Bounds>, String>, RunError> {
    let Some(mut bounds) = Bounds::of(facts, peers, attack) else { return Ok(Ok(None)) };
    let room = bounds.look(false).await;
    let silent: Vec<&str> = bounds.silent.keys().map(String::as_str).collect();
    if let Some(one) = bounds.silent.values().next() {
        let text = match silent.len() {
            1 => one.why.clone(),
            _ => format!(
                "{} cannot be asked, so each counts as one under a fault; the first: {}",
                alike::names(&silent),
                one.why
            ),
        };
        recorder.note(text)?;
    }
    Ok(match room {
        Room::Enough => Ok(Some(bounds)),
        Room::Soon(why) | Room::None(why) => Err(why),
    })
}

/// Asks again when everything is armed, before anything may start.
pub(super) async fn still_room(facts: &Facts, bounds: Option<Bounds>, start_us: i64) -> Result<(), String> {
    let Some(mut bounds) = bounds else { return Ok(()) };
    loop {
        match bounds.look(true).await {
            Room::Enough => return Ok(()),
            Room::None(why) => return Err(why),
            Room::Soon(why) if facts.now_us() + 2 * bounds.slowest_us >= start_us => {
                return Err(why);
            }
            Room::Soon(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
