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
    RunId, Share,
    api::{AgentStatus, OpenOne},
    journal::State,
};
use futures_util::{StreamExt as _, stream};

use super::{Run, RunError, clock::signed};
use crate::{
    alike,
    link::{Agent, Identity, LinkError},
    log::Event,
    plan::{
        model::{Attack, Plan},
        radius,
    },
};

/// Maximum number of hosts that are asked at once.
const AT_ONCE: usize = 64;
/// Interval at which hosts are asked again while two runs decide which of them gives way.
const AGAIN: Duration = Duration::from_millis(50);

/// A group of hosts with a limit for hosts under a fault at once.
struct Group {
    /// The guard's rule in words.
    rule: String,
    hosts: BTreeSet<String>,
    most: usize,
}

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
pub(super) enum Room {
    /// The attack keeps within the guard's limits.
    Enough,
    /// It will, as soon as another run has given way.
    Soon(String),
    /// It does not; with the hosts or runs in the way.
    None(String),
}

impl Bounds {
    /// Returns the limits of an attack; `None` if the guard has none for its targets.
    pub(super) fn of(run: &Run, identity: &Arc<Identity>, index: usize) -> Option<Self> {
        let (plan, attack) = (&run.plan, run.plan.attacks.get(index)?);
        let groups = groups(plan, attack);
        if groups.is_empty() {
            return None;
        }
        let off = plan.attacks[..index].iter().flat_map(radius::powered_off);
        let off: BTreeSet<String> = off.map(str::to_owned).collect();
        let wanted: BTreeSet<&String> = groups.iter().flat_map(|group| &group.hosts).collect();
        let hosts = plan.by_name();
        let agent = |name: &String| match run.peers.get(name) {
            Some(peer) => Some(peer.agent.clone()),
            None => Some(Agent::new(hosts.get(name.as_str())?, Arc::clone(identity))),
        };
        let agents = wanted.into_iter().filter(|name| !off.contains(*name));
        Some(Self {
            run: run.id.clone(),
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
    pub(super) async fn look(&mut self, armed: bool) -> Room {
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
        let left = one.ends_boot_us.saturating_sub(status.clock.boot_us) / 1_000_000;
        let why = format!(
            "{} has {} of run {} ({}, by {}; {}, at most {left} s more)",
            status.host,
            one.kind,
            one.run,
            one.about.drill,
            one.about.operator,
            if one.state == State::Armed { "armed" } else { "in force" },
        );
        Some(Taken { why, gives_way: gives_way(one) })
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

/// Returns the groups that have a limit and contain a target of the attack.
fn groups(plan: &Plan, attack: &Attack) -> Vec<Group> {
    let targets: BTreeSet<&str> = attack.injections.iter().map(|one| one.host.as_str()).collect();
    let with = |label: &str| {
        let mut groups = radius::groups(&plan.hosts, label);
        groups.retain(|_, hosts| targets.iter().any(|target| hosts.contains(target)));
        groups
    };
    let mut all = Vec::new();
    if let Some(max) = &plan.guard.max_share {
        all.extend(with(&max.of).into_iter().map(|(value, hosts)| {
            let (of, hosts) = (radius::name(&max.of, value), owned(&hosts));
            let most = allowed(max.share, hosts.len());
            let rule = format!("max_share ({} of the {} hosts of {of})", max.share, hosts.len());
            Group { rule, hosts, most }
        }));
    }
    if !plan.guard.keep.is_empty() {
        all.extend(with("role").into_iter().filter_map(|(role, hosts)| {
            let (keep, hosts) = (*plan.guard.keep.get(role)?, owned(&hosts));
            let most = hosts.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
            let rule = format!("keep ({keep} of the {} hosts of role `{role}`)", hosts.len());
            Some(Group { rule, hosts, most })
        }));
    }
    all
}

/// Returns the maximum number of hosts under a fault out of `all`.
fn allowed(share: Share, all: usize) -> usize {
    (0..=all).rev().find(|count| radius::within(*count, all, share)).unwrap_or(0)
}

fn owned(hosts: &BTreeSet<&str>) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

impl Run {
    /// Checks that the attack keeps within the guard's limits together with other runs; the inner error is the reason
    /// why it does not.
    pub(super) async fn room_for(
        &mut self,
        attack: usize,
    ) -> Result<Result<Option<Bounds>, String>, RunError> {
        let bounds = self.identity.as_ref().and_then(|identity| Bounds::of(self, identity, attack));
        let Some(mut bounds) = bounds else { return Ok(Ok(None)) };
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
            self.recorder.write(Event::Note { text })?;
        }
        Ok(match room {
            Room::Enough => Ok(Some(bounds)),
            Room::Soon(why) | Room::None(why) => Err(why),
        })
    }

    /// Asks again when everything is armed, before anything may start.
    pub(super) async fn still_room(&self, bounds: Option<Bounds>, start_us: i64) -> Result<(), String> {
        let Some(mut bounds) = bounds else { return Ok(()) };
        loop {
            match bounds.look(true).await {
                Room::Enough => return Ok(()),
                Room::None(why) => return Err(why),
                Room::Soon(why) if self.clock.now_us() + 2 * bounds.slowest_us >= start_us => {
                    return Err(why);
                }
                Room::Soon(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_wire::api::{About, Clock};

    use super::*;

    fn bounds(most: usize) -> Bounds {
        let hosts = ["app1", "app2", "app3"].map(String::from).into();
        Bounds {
            run: "r5".parse().unwrap(),
            groups: vec![Group { rule: "keep (2 of the 3 hosts of role `app`)".into(), hosts, most }],
            instants: vec![["app1".to_owned()].into()],
            agents: BTreeMap::new(),
            silent: BTreeMap::new(),
            slowest_us: 0,
        }
    }

    fn status(host: &str, open: &[(&str, State, bool)]) -> AgentStatus {
        let open = open.iter().map(|(run, state, due)| OpenOne {
            id: "x".parse().unwrap(),
            run: run.parse().unwrap(),
            kind: "service-stop".into(),
            state: *state,
            ends_boot_us: 30_000_000,
            effects: Vec::new(),
            about: About { drill: "stopit".into(), operator: "bob".into(), ticket: None },
            due: *due,
        });
        AgentStatus {
            host: host.into(),
            version: String::new(),
            clock: Clock { boot_us: 10_000_000, boot_id: String::new(), wall_us: 0 },
            halted_by: None,
            open: open.collect(),
            last_seq: 0,
            warnings: Vec::new(),
        }
    }

    fn room(bounds: &Bounds, armed: bool, statuses: &[AgentStatus]) -> Room {
        let taken = statuses.iter().filter_map(|one| Some((one.host.clone(), bounds.taken(one, armed)?)));
        bounds.room(&taken.collect())
    }

    #[test]
    fn what_other_runs_hold_counts_and_is_named() {
        let bounds = bounds(1);
        assert!(matches!(room(&bounds, false, &[status("app2", &[])]), Room::Enough));
        let own = status("app2", &[("r5", State::InForce, false)]);
        assert!(matches!(room(&bounds, false, &[own]), Room::Enough), "this run's own");
        let same = status("app1", &[("r1", State::InForce, false)]);
        assert!(
            matches!(room(&bounds, false, &[same]), Room::Enough),
            "the same host, which is under a fault anyway"
        );
        for state in [State::Armed, State::InForce, State::Stuck] {
            let Room::None(why) = room(&bounds, false, &[status("app2", &[("r9", state, false)])]) else {
                panic!("{state:?} does not count")
            };
            for part in [
                "keep (2 of the 3 hosts",
                "app2 has service-stop of run r9 (stopit, by bob",
                "at most 20 s more",
            ] {
                assert!(why.contains(part), "{why}");
            }
        }
        let wide = super::tests::bounds(2);
        assert!(matches!(
            room(&wide, false, &[status("app2", &[("r9", State::InForce, false)])]),
            Room::Enough
        ));
    }

    #[test]
    fn a_host_that_cannot_be_asked_counts_whatever_the_text_says() {
        for why in [
            "Connection refused (os error 111)",
            "ssh: connect to host bastion port 22: Connection refused",
            "no route to host",
        ] {
            let mut bounds = bounds(1);
            let (host, at, why) = ("app2".to_owned(), "10.0.0.2:7077".to_owned(), why.to_owned());
            bounds.unheard("app2".to_owned(), &LinkError::Unreachable { host, at, why: why.clone() });
            let Room::None(told) = bounds.room(&bounds.silent) else { panic!("`{why}` counts as free") };
            assert!(told.contains("app2 cannot be asked") && told.contains(&why), "{told}");
        }
    }

    #[test]
    fn of_two_that_armed_at_once_the_later_id_gives_way() {
        let bounds = bounds(1);
        let at = |run, state, due| room(&bounds, true, &[status("app2", &[(run, state, due)])]);
        assert!(matches!(at("r9", State::Armed, false), Room::Soon(_)), "it sees this one, and gives way");
        assert!(matches!(at("r9", State::Armed, true), Room::None(_)), "it looked before, and will start");
        assert!(matches!(at("r9", State::InForce, false), Room::None(_)));
        assert!(matches!(at("r1", State::Armed, false), Room::None(_)), "this one gives way");
        let both = status("app2", &[("r9", State::Armed, false), ("r1", State::InForce, false)]);
        assert!(matches!(room(&bounds, true, &[both]), Room::None(_)));
    }

    #[test]
    fn a_share_is_as_many_hosts_as_the_plan_allows() {
        for (share, all, most) in
            [("50%", 3, 1), ("34%", 3, 1), ("33%", 3, 0), ("100%", 3, 3), ("10%", 10, 1)]
        {
            let share: Share = share.parse().unwrap();
            assert_eq!(allowed(share, all), most, "{share} of {all}");
        }
    }
}
