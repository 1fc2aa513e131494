//! Reads the state of an unfinished run from its log.

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{InjectionId, api::HostState, journal::What};

use super::super::{host_logs::Had, tracked::Tracked};
use crate::{
    log::{Event, Log, Outcome, RunOutcome},
    score::{self, Scorecard},
};

/// Returns the hosts whose final state is unproven.
#[must_use]
pub fn unproven(card: &Scorecard) -> BTreeSet<String> {
    let hosts = card.hosts.iter().filter(|host| host.state == HostState::Unproven);
    hosts.map(|host| host.host.clone()).collect()
}

/// The state of an unfinished run.
pub(super) struct Left {
    /// The injections that were armed.
    pub(super) tracked: BTreeMap<InjectionId, Tracked>,
    /// The number of the newest event of each host.
    pub(super) events: BTreeMap<String, u64>,
    /// The number of the newest bin of each vantage.
    pub(super) bins: BTreeMap<String, u64>,
    /// The recorded bins of hosts' logs.
    pub(super) logs: Had,
    /// The `CLOCK_BOOTTIME` of each host at the run's time 0, in microseconds, by boot id.
    pub(super) zeros: BTreeMap<String, BTreeMap<String, i64>>,
    pub(super) attacks: Attacks,
    /// The outcome of the run and the hosts to ask again; `None` if the run has not ended.
    pub(super) outcome: Option<(RunOutcome, BTreeSet<String>)>,
}

/// The attacks, by their places in the plan.
#[derive(Default)]
pub(super) struct Attacks {
    /// The last attack that has begun.
    begun: Option<usize>,
    /// The attacks that have ended.
    ended: BTreeSet<usize>,
}

impl Attacks {
    /// Returns the attacks that have not ended, out of `count`, each with its outcome. `alternatives` returns the group of an attack, of which
    /// only one runs. In each group one attack counts: the one that had begun, or else the first that has not ended. The others are spared.
    pub(super) fn open(
        &self,
        count: usize,
        alternatives: impl Fn(usize) -> std::ops::Range<usize>,
    ) -> Vec<(usize, Outcome)> {
        let is_open = |index: &usize| !self.ended.contains(index);
        // The group of the attack before, and the attack in it that counts.
        let (mut group, mut counts) = (0..0, 0);
        let mut outcome = |index| {
            if !group.contains(&index) {
                group = alternatives(index);
                let begun = self.begun.filter(|begun| group.contains(begun));
                counts = begun.or_else(|| group.clone().find(is_open)).unwrap_or(index);
            }
            if self.begun == Some(index) {
                Outcome::Aborted("the coordinator died".to_owned())
            } else if index == counts {
                Outcome::NotRun("the coordinator died before it".to_owned())
            } else {
                Outcome::Spared("the coordinator died before it was its turn".to_owned())
            }
        };
        (0..count).filter(is_open).map(|index| (index, outcome(index))).collect()
    }
}

impl Left {
    /// Reads a log.
    pub(super) fn of(log: &Log) -> Self {
        let mut left = Self {
            tracked: BTreeMap::new(),
            events: BTreeMap::new(),
            bins: BTreeMap::new(),
            logs: Had::default(),
            zeros: BTreeMap::new(),
            attacks: Attacks::default(),
            outcome: None,
        };
        for record in &log.records {
            match &record.event {
                Event::Armed { attack, injection, host, start_us, hold, .. } => {
                    let tracked = Tracked::new(host.clone(), *attack, *start_us, *hold);
                    left.tracked.insert(injection.clone(), tracked);
                }
                Event::Agent { host, happened_us, what } => {
                    left.events.insert(host.clone(), what.seq);
                    if let What::Changed { injection, to, .. } = &what.what
                        && let Some(tracked) = left.tracked.get_mut(injection)
                    {
                        tracked.changed(*to, *happened_us);
                    }
                }
                Event::Clock { host, boot_at_zero_us, boot_id, .. } => {
                    left.zeros.entry(host.clone()).or_default().insert(boot_id.clone(), *boot_at_zero_us);
                }
                Event::HostLog(record) => left.logs.note(record),
                Event::Phase { attack, .. } => left.attacks.begun = Some(*attack),
                Event::AttackEnded { attack, .. } => {
                    left.attacks.ended.insert(*attack);
                }
                Event::RunEnded { outcome } => left.outcome = Some((outcome.clone(), BTreeSet::new())),
                _ => {}
            }
        }
        // Only bins that can be read count, so that the others are requested again.
        left.bins.extend(log.newest().flatten());
        if let Some((_, hosts)) = &mut left.outcome {
            *hosts = unproven(&score::judge(log));
            left.tracked.retain(|_, tracked| hosts.contains(&tracked.host));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_attack_that_had_begun_is_aborted() {
        let attacks = Attacks { begun: Some(1), ended: [0].into() };
        let aborted = Outcome::Aborted("the coordinator died".to_owned());
        let not_run = Outcome::NotRun("the coordinator died before it".to_owned());
        assert_eq!(attacks.open(3, |index| index..index + 1), [(1, aborted.clone()), (2, not_run.clone())]);
        // In a group of which only one attack runs, the others are spared.
        let open = attacks.open(3, |index| if index == 0 { 0..1 } else { 1..3 });
        assert!(matches!(&open[..], [(1, one), (2, Outcome::Spared(_))] if *one == aborted), "{open:?}");
        let none = Attacks::default().open(2, |_| 0..2);
        assert!(matches!(&none[..], [(0, Outcome::NotRun(_)), (1, Outcome::Spared(_))]), "{none:?}");
        // The leader was chosen and the others were spared, and then the coordinator died.
        let chosen = Attacks { begun: None, ended: [0, 2].into() };
        assert_eq!(chosen.open(3, |_| 0..3), [(1, not_run.clone())]);
        assert_eq!(Attacks::default().open(1, |index| index..index + 1), [(0, not_run)]);
        assert_eq!(Attacks { begun: Some(0), ended: [0].into() }.open(1, |index| index..index + 1), []);
    }
}
