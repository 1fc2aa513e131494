//! Has vantages read back the records that their probes wrote: before the fault, and after the recovery. What cannot be read back is in the log with
//! the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{clock::signed, error::RunError, parts::Run, read_backs::ReadBackAsked, stop::Stop};
use crate::{
    log::Moment,
    plan::{
        Plan,
        model::{Attack, Goal},
    },
};

/// Time within which vantages answer: two passes of a minute at most, the time between, and the link.
const WITHIN_US: u64 = 160_000_000;

/// Returns the vantages that an attack is judged by, with their probes that write.
fn writers(plan: &Plan, attack: &Attack) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let judged = plan.objectives.iter().filter(|one| attack.judge.contains(&one.name));
    let judged = judged.filter(|one| matches!(one.goal, Goal::LostWrites(_)));
    for probe in judged.filter_map(|one| plan.probes.iter().find(|probe| probe.name == one.probe)) {
        for vantage in &probe.from {
            all.entry(vantage.clone()).or_default().insert(probe.name.clone());
        }
    }
    all
}

/// Reads back, and waits for it. The inner error is the reason why the run must stop.
pub(super) async fn read_back(
    run: &mut Run,
    index: usize,
    attack: &Attack,
    moment: Moment,
) -> Result<Result<(), Stop>, RunError> {
    let writers = writers(&run.facts.plan, attack);
    if writers.is_empty() {
        return Ok(Ok(()));
    }
    let from_us = run.facts.now_us();
    for (vantage, probes) in writers {
        let asked = ReadBackAsked { vantage, probes, attack: index, moment, from_us };
        run.vantages.read_back(asked, &run.facts, &run.peers, &run.tasks);
    }
    let went = run.pump(from_us + signed(WITHIN_US), |run| !run.vantages.is_reading_back()).await?;
    let why = match &went {
        Ok(_) => format!("it did not answer within {} seconds", WITHIN_US / 1_000_000),
        Err(stop) => format!("the run ended before it answered: {}", stop.reason()),
    };
    // Whoever answers later is not heard: the verdict counts what is known now.
    for asked in run.vantages.stop_reading_back() {
        for event in asked.answered(Err(why.clone()), |_, _| None) {
            run.recorder.write(event)?;
        }
    }
    Ok(went.map(|_| ()))
}
