//! The phases of an attack at the times when they took place. The fault lasts from when agents began to inject it
//! until the last one had undone it, whatever was planned. Baseline and recovery end when the plan says; the time of
//! waiting after them belongs to no phase.

use firedrill_plan::plan::model::{Attack, Phase};
use firedrill_wire::journal::State;

use super::facts::{AttackFacts, Facts};

/// One phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PhaseSpan {
    pub(crate) phase: Phase,
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// Uncertainty of its beginning, in microseconds.
    pub(crate) edge_us: i64,
}

/// All phases of an attack, in order. Nothing is judged between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Phases {
    pub(crate) all: Vec<PhaseSpan>,
    /// Time at which agents began to inject the first fault, from which outages count; `None` where no fault was ever
    /// in force.
    pub(crate) fault_us: Option<i64>,
    /// Time at which the last fault was undone; for an irreversible fault, the time at which it was done.
    pub(crate) healed_us: Option<i64>,
    /// Uncertainty of the targets' clocks, in microseconds.
    pub(crate) uncertainty_us: i64,
}

impl Phases {
    /// Returns the phases of the attack with this index, as far as the log goes.
    pub(crate) fn of(facts: &Facts<'_>, index: usize, attack: &AttackFacts<'_>) -> Self {
        let end = facts.attack_end_us(index);
        let logged =
            |wanted: Phase| attack.phases.iter().find(|(phase, _)| *phase == wanted).map(|(_, at)| *at);
        let injections = &attack.injections;
        let began = injections.iter().filter_map(|one| one.began_us()).min();
        let in_force = injections.iter().any(|one| one.in_force_us().is_some());
        let fault_us = began.filter(|_| in_force);
        // A disarmed injection did no harm.
        let harmful = || injections.iter().filter(|one| one.first(&[State::Disarmed]).is_none());
        let healed_us = if fault_us.is_some() && harmful().all(|one| healed(facts, one).is_some()) {
            harmful().filter_map(|one| healed(facts, one)).max()
        } else {
            None
        };
        // An irreversible fault is done at once, but its effects are measured for the planned time.
        let watched = injections.iter().any(|one| !one.fault().reversible());
        let until = match (healed_us, logged(Phase::Recovery)) {
            (Some(healed), Some(planned)) if watched => Some(healed.max(planned)),
            (Some(healed), _) => Some(healed),
            (None, planned) => planned,
        };
        let uncertainty_us = injections.iter().map(|one| one.uncertainty_us).max().unwrap_or(0);
        let starts = [
            (Phase::Baseline, logged(Phase::Baseline), 0, attack.baseline_until_us),
            (Phase::Fault, began.or_else(|| logged(Phase::Fault)), uncertainty_us, None),
            (Phase::Recovery, until, uncertainty_us, attack.recovery_until_us),
            (Phase::Settle, logged(Phase::Settle), 0, None),
        ];
        let mut all: Vec<PhaseSpan> = Vec::new();
        for (phase, from, edge_us, planned) in starts {
            let Some(from) = from.filter(|from| *from < end) else { continue };
            // Late events must not reverse the order: a phase begins no earlier than the one before it.
            let from = all.last().map_or(from, |last| from.max(last.from_us));
            if let Some(last) = all.last_mut() {
                last.until_us = last.until_us.min(from);
            }
            let until_us = planned.map_or(end, |planned| planned.clamp(from, end));
            all.push(PhaseSpan { phase, from_us: from, until_us, edge_us });
        }
        Self { all, fault_us, healed_us, uncertainty_us }
    }

    pub(crate) fn get(&self, phase: Phase) -> Option<&PhaseSpan> {
        self.all.iter().find(|span| span.phase == phase)
    }
}

/// Returns the time at which an injection was over.
pub(crate) fn healed(facts: &Facts<'_>, one: &super::facts::InjectionFacts<'_>) -> Option<i64> {
    if !one.fault().takes_host_down() {
        return one.ended_us();
    }
    // The host is back when its agent serves again.
    let from = one.in_force_us()?;
    let host = one.planned.host.as_str();
    let back = |list: &[(&str, i64)]| {
        list.iter().filter(|(name, at)| *name == host && *at >= from).map(|(_, at)| *at).min()
    };
    back(&facts.starts).or_else(|| back(&facts.rebooted))
}

/// Returns the planned duration of a phase, in microseconds, limited so that sums do not overflow.
pub(crate) fn planned_us(attack: &Attack, phase: Phase) -> i64 {
    let span = match phase {
        Phase::Baseline => attack.baseline,
        Phase::Fault => attack.hold,
        Phase::Recovery => attack.recovery,
        Phase::Settle => attack.settle,
    };
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 8)
}
