//! The acts of an attack as they really were: the fault lasts from when the agents began to make it until the last one
//! had put it back, whatever was planned. Bins are cut along those edges.

use firedrill_wire::journal::State;

use super::facts::{AttackFacts, Facts, Sample};
use crate::plan::model::{Attack, Phase};

/// One act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Act {
    pub(crate) phase: Phase,
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// How unsure its beginning is.
    pub(crate) edge_us: i64,
}

/// All acts of an attack, in order and without gaps between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Acts {
    pub(crate) all: Vec<Act>,
    /// When the first fault was in force, from which people count.
    pub(crate) fault_us: Option<i64>,
    /// When the last fault was put back; for one that cannot be, when it was done.
    pub(crate) healed_us: Option<i64>,
    /// How well the targets' clocks are known.
    pub(crate) uncertainty_us: i64,
}

impl Acts {
    pub(crate) fn of(facts: &Facts<'_>, index: usize, attack: &AttackFacts<'_>) -> Self {
        let end = facts.attack_end_us(index);
        let logged =
            |wanted: Phase| attack.phases.iter().find(|(phase, _)| *phase == wanted).map(|(_, at)| *at);
        let injections = &attack.injections;
        let began = injections.iter().filter_map(|one| one.began_us()).min();
        let fault_us = injections.iter().filter_map(|one| one.in_force_us()).min();
        // What was disarmed has harmed nobody.
        let harmful = || injections.iter().filter(|one| one.first(&[State::Disarmed]).is_none());
        let healed_us = if fault_us.is_some() && harmful().all(|one| healed(facts, one).is_some()) {
            harmful().filter_map(|one| healed(facts, one)).max()
        } else {
            None
        };
        // What cannot be undone is over in an instant, but its harm is watched for as long as the plan says.
        let watched = injections.iter().any(|one| !one.fault().reversible());
        let until = match (healed_us, logged(Phase::Recovery)) {
            (Some(healed), Some(planned)) if watched => Some(healed.max(planned)),
            (Some(healed), _) => Some(healed),
            (None, planned) => planned,
        };
        let uncertainty_us = injections.iter().map(|one| one.uncertainty_us).max().unwrap_or(0);
        let starts = [
            (Phase::Baseline, logged(Phase::Baseline), 0),
            (Phase::Fault, began.or_else(|| logged(Phase::Fault)), uncertainty_us),
            (Phase::Recovery, until, uncertainty_us),
            (Phase::Settle, logged(Phase::Settle), 0),
        ];
        let mut all: Vec<Act> = Vec::new();
        for (phase, from, edge_us) in starts {
            let Some(from) = from.filter(|from| *from < end) else { continue };
            // Late events never turn time around: an act begins where the one before has begun, or after.
            let from = all.last().map_or(from, |last| from.max(last.from_us));
            if let Some(last) = all.last_mut() {
                last.until_us = from;
            }
            all.push(Act { phase, from_us: from, until_us: end, edge_us });
        }
        Self { all, fault_us, healed_us, uncertainty_us }
    }

    pub(crate) fn get(&self, phase: Phase) -> Option<&Act> {
        self.all.iter().find(|act| act.phase == phase)
    }

    /// The acts that a bin touches, by their places; `None` stands for before the first and after the last.
    fn touched(&self, sample: &Sample<'_>) -> Vec<Option<usize>> {
        let unsure = sample.uncertainty_us.unwrap_or(0);
        let (from, until) = (sample.from_us.saturating_sub(unsure), sample.until_us.saturating_add(unsure));
        let mut touched = Vec::new();
        if self.all.first().is_none_or(|first| from < first.from_us.saturating_sub(first.edge_us)) {
            touched.push(None);
        }
        for (place, act) in self.all.iter().enumerate() {
            let next_edge = self.all.get(place + 1).map_or(0, |next| next.edge_us);
            let begins = act.from_us.saturating_sub(act.edge_us);
            let ends = act.until_us.saturating_add(next_edge);
            if from < ends && begins < until {
                touched.push(Some(place));
            }
        }
        if self.all.last().is_some_and(|last| until > last.until_us) {
            touched.push(None);
        }
        touched
    }

    /// The share of a bin's time that certainly belongs to some phases.
    fn share_of_time(&self, sample: &Sample<'_>, during: &[Phase]) -> f64 {
        let unsure = sample.uncertainty_us.unwrap_or(0);
        let mut inside = 0_i64;
        for (place, act) in self.all.iter().enumerate() {
            let wanted = |other: Option<&Act>| other.is_some_and(|other| during.contains(&other.phase));
            if !wanted(Some(act)) {
                continue;
            }
            // An edge between two phases that are both wanted is none.
            let (before, next) =
                (place.checked_sub(1).and_then(|before| self.all.get(before)), self.all.get(place + 1));
            let begins = if wanted(before) { 0 } else { act.edge_us.saturating_add(unsure) };
            let ends =
                if wanted(next) { 0 } else { next.map_or(0, |next| next.edge_us).saturating_add(unsure) };
            let from = sample.from_us.max(act.from_us.saturating_add(begins));
            let until = sample.until_us.min(act.until_us.saturating_sub(ends));
            inside = inside.saturating_add(until.saturating_sub(from).max(0));
        }
        inside as f64 / sample.until_us.saturating_sub(sample.from_us).max(1) as f64
    }

    /// The part of a bin that belongs to some phases.
    pub(crate) fn part<'s, 'a>(&self, sample: &'s Sample<'a>, during: &[Phase]) -> Part<'s, 'a> {
        let touched = self.touched(sample);
        let wanted =
            |place: &Option<usize>| place.is_some_and(|place| during.contains(&self.all[place].phase));
        if touched.iter().all(wanted) && !touched.is_empty() {
            return Part::Whole(sample);
        }
        if !touched.iter().any(wanted) {
            return Part::None;
        }
        // The bin lies across an edge. Where all its requests were good, a part of its time has its part of them.
        if sample.bad == 0 {
            let side = self.share_of_time(sample, during);
            return if side > 0.0 { Part::Side(sample, side) } else { Part::None };
        }
        // Its bad requests have times: where all are clearly on one side, they are that side's, with the good ones in
        // proportion.
        let [before, after] = touched.as_slice() else { return Part::Unsure(sample) };
        let Some(edge) = after.or(before.map(|place| place + 1)) else { return Part::Unsure(sample) };
        let (at, edge_us) = self
            .all
            .get(edge)
            .map(|act| (act.from_us, act.edge_us))
            .or_else(|| self.all.last().map(|act| (act.until_us, 0)))
            .unwrap_or_default();
        let zone = edge_us.saturating_add(sample.uncertainty_us.unwrap_or(0));
        let length = (sample.until_us - sample.from_us).max(1) as f64;
        let side = match (sample.first_bad_us, sample.last_bad_us) {
            (Some(first), _) if first >= at.saturating_add(zone) => {
                (after, (sample.until_us - at) as f64 / length)
            }
            (_, Some(last)) if last < at.saturating_sub(zone) => {
                (before, (at - sample.from_us) as f64 / length)
            }
            _ => return Part::Unsure(sample),
        };
        if wanted(side.0) { Part::Side(sample, side.1.clamp(0.0, 1.0)) } else { Part::None }
    }
}

/// What of a bin belongs to the phases that were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'s, 'a> {
    /// Nothing, or nothing that is needed.
    None,
    /// All of it.
    Whole(&'s Sample<'a>),
    /// All its bad requests, and this share of all its requests.
    Side(&'s Sample<'a>, f64),
    /// It lies across an edge, and which side its bad requests were on cannot be told.
    Unsure(&'s Sample<'a>),
}

/// When an injection was over.
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

/// How long the plan wants a phase to be, in microseconds.
pub(crate) fn planned_us(attack: &Attack, phase: Phase) -> i64 {
    let span = match phase {
        Phase::Baseline => attack.baseline,
        Phase::Fault => attack.hold,
        Phase::Recovery => attack.recovery,
        Phase::Settle => attack.settle,
    };
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 8)
}
