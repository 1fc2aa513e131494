//! Connects to every host that a run needs: asks for its status, measures its clock, and starts to read its events. Arms nothing.

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

/// The hosts to connect to, and the requirements on them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Whom<'a> {
    /// The number of the newest event in the log, by host. Events of other hosts are read from now on.
    pub(crate) after: Option<&'a BTreeMap<String, u64>>,
    /// Whether the run goes on without hosts that cannot be reached, and waits for them in the background. Otherwise that is an error.
    pub(crate) without: bool,
    /// The hosts to connect to; `None` for all.
    pub(crate) only: Option<&'a BTreeSet<String>>,
    /// Whether faults of other runs on a host are only noted. Otherwise they are an error.
    pub(crate) beside_others: bool,
}

impl Whom<'_> {
    fn newest(&self, host: &str) -> Option<u64> {
        self.after?.get(host).copied()
    }
}

/// Connects to the hosts and measures their clocks. The inner error names the hosts that
/// were not reached, are halted, or have a fault of another run; or says that this process may not open enough links.
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

/// Returns the hosts that a run needs: those that faults touch, that measure, or whose logs are read.
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
    fn only_targets_and_vantages_are_needed() {
        let mut drill = Drill::one();
        assert_eq!(needed(&drill.plan()), BTreeSet::from(["app1", "canary"]));
        drill.vantages = vec![COORDINATOR];
        assert_eq!(needed(&drill.plan()), BTreeSet::from(["app1"]));
    }
}
