//! Enforces the guard's limits `keep` and `max_share` across runs: the hosts of the groups that an attack touches are asked for the
//! faults of other runs.
//!
//! Two runs that arm at the same time see each other, because each asks after it has armed everywhere and before anything may
//! start. The run with the later id gives way; the other waits until the faults of the first are gone.

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

/// The reason why a host counts as one under a fault: a fault of another run, or no answer.
#[derive(Clone)]
struct Taken {
    why: String,
    /// Whether the other run has only armed, and will give way to this run.
    gives_way: bool,
}

/// The limits of an attack, and the hosts to ask.
pub(super) struct Bounds {
    run: RunId,
    groups: Vec<Group>,
    /// For each time at which a fault of the attack begins: the hosts under a fault of this run.
    instants: Vec<BTreeSet<String>>,
    agents: BTreeMap<String, Agent>,
    /// Hosts that did not answer; they are not asked again.
    silent: BTreeMap<String, Taken>,
    /// Duration of the slowest answer to the last questions, in microseconds.
    pub(super) slowest_us: i64,
}

/// The result of asking the hosts.
enum Room {
    /// The attack keeps within the guard's limits.
    Enough,
    /// It will keep within them as soon as another run has given way; with the reason why it does not yet.
    Soon(String),
    /// It would exceed a limit; with the reason.
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
        // Hosts that an earlier attack has switched off stay under a fault, and cannot be asked.
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

    /// Asks the hosts. `armed` is whether this attack has armed: then other runs see it, and those with a later id give way.
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
                    taken.extend(self.taken(&status, armed).map(|fault| (name, fault)));
                }
                Err(error) => self.unheard(name, &error),
            }
        }
        taken.extend(self.silent.clone());
        self.slowest_us = slowest_us;
        self.room(&taken)
    }

    /// Counts a host that cannot be asked as one under a fault, whatever the error is: also a refused connection does not prove that no agent
    /// runs there, because a bastion, or a host that restarts, may have refused it. The host is not asked again.
    fn unheard(&mut self, name: String, error: &LinkError) {
        self.agents.remove(&name);
        let why = format!("{name} cannot be asked, so it counts as one under a fault ({error})");
        self.silent.insert(name, Taken { why, gives_way: false });
    }

    /// Returns a fault of another run on a host, if there is one.
    fn taken(&self, status: &AgentStatus, armed: bool) -> Option<Taken> {
        let theirs = status.open.iter().filter(|open| open.run != self.run);
        let gives_way =
            |open: &OpenOne| armed && open.state == State::Armed && !open.due && open.run > self.run;
        // Of several faults, one that does not give way is returned: `false` sorts before `true`.
        let open = theirs.min_by_key(|open| gives_way(open))?;
        Some(Taken { why: described(status, open), gives_way: gives_way(open) })
    }

    /// Compares the hosts under a fault, of this run and of others, with the limits.
    fn room(&self, taken: &BTreeMap<String, Taken>) -> Room {
        let mut soon = None;
        for group in &self.groups {
            for hit in &self.instants {
                let ours = group.hosts.intersection(hit).count();
                let others =
                    || taken.iter().filter(|(name, _)| group.hosts.contains(*name) && !hit.contains(*name));
                let firm = others().filter(|(_, taken)| !taken.gives_way).count();
                let why = || {
                    let who: Vec<&str> = others().map(|(_, taken)| taken.why.as_str()).collect();
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

/// Checks that the attack keeps within the guard's limits together with other runs. Returns the limits, for [`still_room`]; `None` if there
/// are none for the attack's targets. The inner error is the reason why a limit would be exceeded.
pub(super) async fn room_for(
    (facts, peers): (&Facts, &Peers),
    recorder: &mut Recorder,
    attack: usize,
) -> Result<Result<Option<Bounds>, String>, RunError> {
    let Some(mut bounds) = Bounds::of(facts, peers, attack) else { return Ok(Ok(None)) };
    let room = bounds.look(false).await;
    let silent: Vec<&str> = bounds.silent.keys().map(String::as_str).collect();
    if let Some(first) = bounds.silent.values().next() {
        let text = match silent.len() {
            1 => first.why.clone(),
            _ => format!(
                "{} cannot be asked, so each counts as one under a fault; the first: {}",
                alike::names(&silent),
                first.why
            ),
        };
        recorder.note(text)?;
    }
    Ok(match room {
        Room::Enough => Ok(Some(bounds)),
        Room::Soon(why) | Room::None(why) => Err(why),
    })
}

/// Asks again when everything is armed, before anything may start. `start_us` is the time of the start on the run's clock. While another run
/// is giving way, asks again and again. The error is the reason why a limit would be exceeded.
pub(super) async fn still_room(facts: &Facts, bounds: Option<Bounds>, start_us: i64) -> Result<(), String> {
    let Some(mut bounds) = bounds else { return Ok(()) };
    loop {
        match bounds.look(true).await {
            Room::Enough => return Ok(()),
            Room::None(why) => return Err(why),
            // Another round of questions, and what follows it, would not be done before the start.
            Room::Soon(why) if facts.now_us() + 2 * bounds.slowest_us >= start_us => {
                return Err(why);
            }
            Room::Soon(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
