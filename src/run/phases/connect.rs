//! Reaches every host of a plan: measures its clock, and reads its events from then on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::future::join_all;

use super::super::{
    claim::{BESIDE, fault_of_another},
    error::RunError,
    facts::Facts,
    peers::Peers,
    recorder::Recorder,
    tasks::Tasks,
};
use crate::{
    alike,
    link::{self, Agent},
    plan::{Plan, model::COORDINATOR},
};

/// Links to each agent: one for commands and one for streams.
const LINKS: u64 = 2;

/// Number of clock measurements; the one with the shortest round trip counts.
const ROUNDS: u32 = 5;

/// The hosts to connect to, and the events of theirs that the log has already.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whom<'a> {
    /// The number of the newest event in the log, by host; hosts without an entry are read from now on.
    pub(crate) after: Option<&'a BTreeMap<String, u64>>,
    /// Whether a host that cannot be reached is waited for in the background; otherwise all must be reached.
    pub(crate) without: bool,
    /// Other hosts are left out.
    pub(crate) only: Option<&'a BTreeSet<String>>,
    /// Whether faults of other runs on a host are noted; otherwise they count as an error.
    pub(crate) beside_others: bool,
}

impl Whom<'_> {
    fn newest(&self, host: &str) -> Option<u64> {
        self.after?.get(host).copied()
    }
}

/// Connects to all targets and vantages and measures their clocks. The inner error names the hosts that
/// were not reached, are halted, or have a fault of another run.
pub(crate) async fn connect(
    (facts, tasks): (&Facts, &Tasks),
    peers: &mut Peers,
    recorder: &mut Recorder,
    whom: Whom<'_>,
) -> Result<Result<(), String>, RunError> {
    let plan = &facts.plan;
    let mut needed = needed(plan);
    needed.retain(|name| whom.only.is_none_or(|only| only.contains(*name)));
    let hosts = plan.by_name();
    let asked = || needed.iter().filter_map(|name| hosts.get(name).copied());
    if let Err(why) = link::all_at_once(asked(), LINKS) {
        return Ok(Err(why));
    }
    let calls = asked().map(|host| {
        let agent = Agent::new(host, Arc::clone(&facts.identity));
        async move {
            let met = async {
                let status = agent.status().await?;
                Ok::<_, link::LinkError>((status, link::offset(&agent, ROUNDS).await?))
            };
            let met = met.await;
            (host.name.clone(), agent, met)
        }
    });
    let mut unfit = Vec::new();
    for (name, agent, met) in join_all(calls).await {
        let (status, offset) = match met {
            Ok(met) => met,
            Err(error) => {
                unfit.push((name.clone(), error.to_string()));
                if whom.without {
                    peers.meet((facts, tasks), &name, agent, whom.newest(&name).unwrap_or(0), None);
                }
                continue;
            }
        };
        if let Some(by) = &status.halted_by {
            let why = format!("{name} was halted by {by}; `firedrill release --host {name}` ends the halt");
            unfit.push((name.clone(), why));
        }
        if let Some(why) = fault_of_another(&status, &facts.id) {
            if whom.beside_others {
                recorder.note(why)?;
            } else {
                unfit.push((name.clone(), format!("{why}; {BESIDE}")));
            }
        }
        let last_seq = whom.newest(&name).unwrap_or(status.last_seq);
        peers.meet((facts, tasks), &name, agent, last_seq, Some(offset.boot_id.clone()));
        let zero_us = facts.clock.zero_there(offset.boot_minus_local_us);
        peers.back(&name, &offset, zero_us);
        recorder.clock(&name, zero_us, &offset)?;
    }
    Ok(if unfit.is_empty() { Ok(()) } else { Err(alike::likewise(&unfit)) })
}

/// Returns the hosts that faults touch, those that measure, and those whose logs are read.
fn needed(plan: &Plan) -> BTreeSet<&str> {
    let vantages = plan.probes.iter().flat_map(|probe| &probe.from).map(String::as_str);
    let mut needed = plan.targets();
    needed.extend(vantages.filter(|at| *at != COORDINATOR));
    needed.extend(plan.logs.iter().flat_map(|log| &log.on).map(String::as_str));
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_judge::testing::Drill;

    #[test]
    fn targets_and_vantages_are_reached_and_no_other_host() {
        let mut drill = Drill::one();
        assert_eq!(needed(&drill.plan()), BTreeSet::from(["app1", "canary"]));
        drill.vantages = vec![COORDINATOR];
        assert_eq!(needed(&drill.plan()), BTreeSet::from(["app1"]));
    }
}
