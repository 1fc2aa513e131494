//! Collects all records except measurements in one pass, sorted by attack, host and injection. Judges nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use firedrill_plan::plan::{
    Plan,
    model::{Injection, Phase},
};
use firedrill_sources::AlertSeen;
use firedrill_wire::{
    Fault, InjectionId,
    api::{EndState, Prepared},
    evidence::Evidence,
    exchange::{Exchange, Exchanged},
    journal::{HealReason, State, What},
};

use super::{sampled::SampledFacts, step_facts::StepFacts};
use crate::log::{Event, HostLog, Log, Moment, Outcome, RunOutcome, SourceClock, WritesRead};

/// The contents of a log.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) run: Option<String>,
    pub(crate) plan: Option<&'a Plan>,
    pub(crate) wall: &'a str,
    pub(crate) operator: &'a str,
    pub(crate) version: &'a str,
    pub(crate) attempt: u32,
    /// Numbers of missing records.
    pub(crate) missing: Vec<String>,
    /// Names of records that this version does not know.
    pub(crate) unknown: BTreeSet<&'a str>,
    pub(crate) ended: Option<&'a RunOutcome>,
    pub(crate) last_us: i64,
    pub(crate) attacks: Vec<AttackFacts<'a>>,
    /// Times in which the coordinator did not run: start and end.
    pub(crate) gaps: Vec<(i64, i64)>,
    /// The answers of sources, by objective.
    pub(crate) sampled: BTreeMap<&'a str, SampledFacts<'a>>,
    /// The answers of sources about alerts, by objective.
    pub(crate) alerts: BTreeMap<&'a str, Vec<AlertFacts<'a>>>,
    /// The records of hosts' logs, by log and host, with the uncertainty of the host's clock.
    pub(crate) logs: BTreeMap<(&'a str, &'a str), Vec<(i64, &'a HostLog)>>,
    /// The records that vantages read back, in the order of time.
    pub(crate) writes: Vec<&'a WritesRead>,
    /// The guards that tripped: time, reason, and whether the condition could not be evaluated.
    pub(crate) guards: Vec<(i64, &'a str, bool)>,
    /// Times at which a host's agent started.
    pub(crate) starts: Vec<(&'a str, i64)>,
    /// Times at which the link to a host broke.
    pub(crate) lost: Vec<(&'a str, i64)>,
    /// Times at which the link to a host came back after a reboot.
    pub(crate) rebooted: Vec<(&'a str, i64)>,
    /// Hosts whose agents have answered prepare.
    pub(crate) prepared: BTreeSet<&'a str>,
    /// Hosts on which something was armed or happened.
    pub(crate) touched: BTreeSet<&'a str>,
    pub(crate) hosts_ended: BTreeMap<&'a str, &'a EndState>,
    /// The steps between attacks, in the plan's order.
    pub(crate) steps: Vec<StepFacts<'a>>,
    index: Index<'a>,
}

/// One answer of a source about an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlertFacts<'a> {
    pub(crate) asked_us: i64,
    pub(crate) answered_us: i64,
    pub(crate) clock: Option<SourceClock>,
    pub(crate) firing: &'a [AlertSeen],
    pub(crate) failed: Option<&'a str>,
}

/// Indexes of injections: their attack, and their place in it. A map, because there are many events and injections.
#[derive(Debug, Default)]
struct Index<'a> {
    by_id: HashMap<&'a InjectionId, Vec<(usize, usize)>>,
    /// Indexes by attack and host.
    by_host: HashMap<(usize, &'a str), Vec<usize>>,
}

impl Index<'_> {
    /// Returns the first injection of that id.
    fn first(&self, id: &InjectionId) -> Option<(usize, usize)> {
        self.by_id.get(id)?.iter().min().copied()
    }

    /// Returns the index of the injection of that id in an attack.
    fn in_attack(&self, attack: usize, id: &InjectionId) -> Option<usize> {
        self.by_id.get(id)?.iter().find(|(of, _)| *of == attack).map(|(_, place)| *place)
    }
}

/// The records of one attack.
#[derive(Debug, Default)]
pub(crate) struct AttackFacts<'a> {
    pub(crate) phases: Vec<(Phase, i64)>,
    /// The planned end of its baseline.
    pub(crate) baseline_until_us: Option<i64>,
    /// The planned end of its recovery.
    pub(crate) recovery_until_us: Option<i64>,
    /// The start of the last pause before it. A path that was tried out earlier is no evidence.
    paused_us: Option<i64>,
    pub(crate) ended: Option<(i64, Outcome)>,
    pub(crate) injections: Vec<InjectionFacts<'a>>,
}

/// The records of one injection of the plan.
#[derive(Debug)]
pub(crate) struct InjectionFacts<'a> {
    pub(crate) planned: &'a Injection,
    pub(crate) id: Option<&'a InjectionId>,
    pub(crate) armed: bool,
    pub(crate) effects: &'a [String],
    pub(crate) undo: &'a [String],
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) looks: Vec<(i64, &'a Evidence)>,
    pub(crate) exchanges: Vec<ExchangeFacts<'a>>,
    /// Uncertainty of the host's clock, in microseconds.
    pub(crate) uncertainty_us: i64,
}

/// A change of state, as the host journaled it.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) at_us: i64,
    pub(crate) to: State,
    pub(crate) reason: Option<&'a HealReason>,
    pub(crate) detail: &'a str,
}

/// An exchange from the log.
#[derive(Debug)]
pub(crate) struct ExchangeFacts<'a> {
    pub(crate) moment: Moment,
    pub(crate) asker: &'a str,
    pub(crate) other: &'a str,
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    pub(crate) ask: &'a Exchange,
    pub(crate) met: Option<&'a Exchanged>,
    pub(crate) failed: Option<&'a str>,
}

impl InjectionFacts<'_> {
    /// Returns the planned fault.
    pub(crate) fn fault(&self) -> &Fault {
        &self.planned.fault
    }

    /// Returns the time of the first change to one of these states.
    pub(crate) fn first(&self, states: &[State]) -> Option<i64> {
        self.changes.iter().find(|change| states.contains(&change.to)).map(|change| change.at_us)
    }

    /// Returns the time at which the injection of the effect began, from which harm is possible.
    pub(crate) fn began_us(&self) -> Option<i64> {
        self.first(&[State::Injecting]).or_else(|| self.in_force_us())
    }

    /// Returns the time at which the effect was in force.
    pub(crate) fn in_force_us(&self) -> Option<i64> {
        let made = self.first(&[State::InForce, State::Done]);
        // A host that goes down cannot report it, or reports it only when it is back.
        if self.fault().takes_host_down() { self.first(&[State::Injecting]).or(made) } else { made }
    }

    /// Returns the time at which its undo began.
    pub(crate) fn undoing_us(&self) -> Option<i64> {
        self.first(&[State::Undoing])
    }

    /// Returns the time at which it was undone, or done if it cannot be undone.
    pub(crate) fn ended_us(&self) -> Option<i64> {
        self.first(&[State::Undone, State::Done])
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn of(log: &'a Log) -> Self {
        let mut facts = Self { missing: log.missing.clone(), last_us: log.last_us, ..Self::default() };
        // The newest measurement of each clock at the time of the record.
        let mut clocks: BTreeMap<&str, i64> = BTreeMap::new();
        for record in &log.records {
            match &record.event {
                Event::Clock { host, uncertainty_us, .. } => {
                    clocks.insert(host, i64::try_from(*uncertainty_us).unwrap_or(i64::MAX / 8));
                }
                Event::Agent { host, happened_us, what } => {
                    let uncertainty = clocks.get(host.as_str()).copied().unwrap_or(0);
                    facts.agent(host, *happened_us, &what.what, uncertainty);
                }
                Event::HostLog(one) => {
                    let uncertainty = clocks.get(one.host.as_str()).copied().unwrap_or(0);
                    facts.logs.entry((&one.log, &one.host)).or_default().push((uncertainty, one));
                }
                Event::WritesRead(one) => facts.writes.push(one),
                other => facts.plain(record.at_us, other),
            }
        }
        for injection in facts.attacks.iter_mut().flat_map(|attack| &mut attack.injections) {
            injection.changes.sort_by_key(|change| change.at_us);
        }
        facts.sampled.values_mut().for_each(SampledFacts::sort);
        facts
    }

    /// Takes a record that needs no clock of a host.
    fn plain(&mut self, at_us: i64, event: &'a Event) {
        match event {
            Event::RunStarted { run, plan, wall, operator, version, attempt } => {
                self.run = Some(run.to_string());
                (self.wall, self.operator, self.version, self.attempt) = (wall, operator, version, *attempt);
                self.attacks = plan
                    .attacks
                    .iter()
                    .map(|attack| AttackFacts {
                        injections: attack.injections.iter().map(InjectionFacts::new).collect(),
                        ..AttackFacts::default()
                    })
                    .collect();
                self.steps = plan.steps.iter().map(StepFacts::new).collect();
                self.index = Index::default();
                for (index, attack) in plan.attacks.iter().enumerate() {
                    for (place, one) in attack.injections.iter().enumerate() {
                        self.index.by_host.entry((index, &one.host)).or_default().push(place);
                    }
                }
                self.plan = Some(plan);
            }
            Event::Prepared { host, attack, prepared } => {
                self.prepared.insert(host);
                if let Prepared::Ready { effects, undo, .. } = &prepared.answer
                    && let Some(one) = self.injection(*attack, &prepared.id, host, None)
                {
                    (one.effects, one.undo) = (effects, undo);
                }
            }
            Event::Phase { attack, phase, until_us } => {
                if let Some(facts) = self.attacks.get_mut(*attack) {
                    facts.phases.push((*phase, at_us));
                    match phase {
                        Phase::Baseline => facts.baseline_until_us = Some(*until_us),
                        Phase::Recovery => facts.recovery_until_us = Some(*until_us),
                        Phase::Fault | Phase::Settle => {}
                    }
                }
            }
            Event::Armed { attack, injection, host, kind, .. } => {
                self.touched.insert(host);
                if let Some(one) = self.injection(*attack, injection, host, Some(kind)) {
                    one.armed = true;
                }
            }
            Event::Sampled { objective, until_us, samples, unsure_us, took_us, failed, .. } => {
                let failed = failed.as_deref().map(|why| (*until_us, why));
                let one = self.sampled.entry(objective).or_default();
                one.take(at_us, samples, (*took_us, *unsure_us), failed);
            }
            Event::AlertSeen { objective, asked_us, answered_us, clock, firing, failed } => {
                let (asked_us, answered_us, clock) = (*asked_us, *answered_us, *clock);
                let one = AlertFacts { asked_us, answered_us, clock, firing, failed: failed.as_deref() };
                self.alerts.entry(objective).or_default().push(one);
            }
            Event::LinkLost { host, .. } => self.lost.push((host, at_us)),
            Event::LinkBack { host, rebooted } => {
                if *rebooted {
                    self.rebooted.push((host, at_us));
                }
            }
            Event::GuardTripped { why, blind } => self.guards.push((at_us, why, *blind)),
            Event::Gap { from_us, to_us } => self.gaps.push((*from_us, *to_us)),
            Event::Exchanged { attack, injection, moment, asker, other, from_us, ask, met, failed } => {
                if let Some(place) = self.index.in_attack(*attack, injection) {
                    let facts = &mut self.attacks[*attack];
                    if *moment == Moment::Before
                        && facts.paused_us.is_some_and(|paused_us| *from_us < paused_us)
                    {
                        return;
                    }
                    facts.injections[place].exchanges.push(ExchangeFacts {
                        moment: *moment,
                        asker,
                        other,
                        from_us: *from_us,
                        until_us: at_us,
                        ask,
                        met: met.as_ref(),
                        failed: failed.as_deref(),
                    });
                }
            }
            Event::Paused { attack, .. } => {
                // After the pause the baseline is measured again, and the paths are tried out again.
                if let Some(facts) = self.attacks.get_mut(*attack) {
                    facts.paused_us = Some(at_us);
                    for one in &mut facts.injections {
                        one.exchanges.retain(|met| met.moment != Moment::Before);
                    }
                    facts.phases.retain(|(phase, _)| *phase != Phase::Baseline);
                    facts.baseline_until_us = None;
                }
            }
            Event::AttackEnded { attack, outcome, .. } => {
                if let Some(facts) = self.attacks.get_mut(*attack) {
                    facts.ended = Some((at_us, outcome.clone()));
                }
            }
            Event::StepBegan { step, .. }
            | Event::StepEnded { step, .. }
            | Event::PutBackAsked { step, .. }
            | Event::PutBackEnded { step, .. } => {
                if let Some(facts) = self.steps.get_mut(*step) {
                    facts.take(at_us, event);
                }
            }
            Event::HostEnded { host, end } => {
                self.hosts_ended.insert(host, end);
            }
            Event::Unknown { name, .. } => {
                self.unknown.insert(name);
            }
            Event::RunEnded { outcome } => self.ended = Some(outcome),
            Event::ApprovalAsked { .. }
            | Event::ApprovalGiven { .. }
            | Event::PauseAsked { .. }
            | Event::Resumed { .. }
            | Event::SkipAsked { .. }
            | Event::LeaderAsked(_)
            | Event::Note { .. }
            | Event::Clock { .. }
            | Event::HostLog(_)
            | Event::WritesRead(_)
            | Event::Bin { .. }
            | Event::Bins { .. }
            | Event::Agent { .. } => {}
        }
    }

    /// Takes an event of an agent; `uncertainty_us` is that of its clock.
    fn agent(&mut self, host: &'a str, at_us: i64, what: &'a What, uncertainty_us: i64) {
        match what {
            What::AgentStarted { .. } => self.starts.push((host, at_us)),
            What::Changed { injection, run, to, reason, detail, .. } => {
                if self.run.as_deref() != Some(run.as_str()) {
                    return;
                }
                self.touched.insert(host);
                if let Some((attack, place)) = self.index.first(injection) {
                    let one = &mut self.attacks[attack].injections[place];
                    one.uncertainty_us = one.uncertainty_us.max(uncertainty_us);
                    one.changes.push(Change { at_us, to: *to, reason: reason.as_ref(), detail });
                }
            }
            What::Looked { injection, evidence, .. } => {
                if let Some((attack, place)) = self.index.first(injection) {
                    self.attacks[attack].injections[place].looks.push((at_us, evidence));
                }
            }
            What::Unknown { .. } => {
                self.unknown.insert("an agent's event");
            }
            What::UndoRetry { .. }
            | What::LeaseExpired { .. }
            | What::RunUndone { .. }
            | What::Distrusted { .. }
            | What::Halted { .. }
            | What::Released { .. } => {}
        }
    }

    /// Returns the plan's injection of an id: the one that has the id already, otherwise the first of that host (and
    /// kind) without an id.
    fn injection(
        &mut self,
        attack: usize,
        id: &'a InjectionId,
        host: &str,
        kind: Option<&str>,
    ) -> Option<&mut InjectionFacts<'a>> {
        let all = &mut self.attacks.get_mut(attack)?.injections;
        if let Some(place) = self.index.in_attack(attack, id) {
            return all.get_mut(place);
        }
        let free = |one: &InjectionFacts<'_>| {
            one.id.is_none() && kind.is_none_or(|kind| one.planned.fault.kind() == kind)
        };
        let places = self.index.by_host.get(&(attack, host))?;
        let place = places.iter().copied().find(|place| all.get(*place).is_some_and(free))?;
        self.index.by_id.entry(id).or_default().push((attack, place));
        let one = all.get_mut(place)?;
        one.id = Some(id);
        Some(one)
    }

    /// Returns the end of an attack's last phase, as far as the log goes.
    pub(crate) fn attack_end_us(&self, attack: usize) -> i64 {
        self.attacks.get(attack).and_then(|facts| facts.ended.as_ref()).map_or(self.last_us, |(at, _)| *at)
    }
}

impl<'a> InjectionFacts<'a> {
    fn new(planned: &'a Injection) -> Self {
        Self {
            planned,
            id: None,
            armed: false,
            effects: &[],
            undo: &[],
            changes: Vec::new(),
            looks: Vec::new(),
            exchanges: Vec::new(),
            uncertainty_us: 0,
        }
    }
}
