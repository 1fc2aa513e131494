//! Judges attacks while measurements are read, one block of the log at a time and in the order of time. Each attack
//! is judged as soon as everything around it was read, and its measurements are freed then. So memory depends on the
//! longest attack, not on the run.

use std::sync::{Arc, mpsc::sync_channel};

use firedrill_plan::plan::Plan;
use firedrill_probe::{cells::Grid, seconds::Stream};

use super::{
    attack,
    card::AttackCard,
    efficacy::Doubt,
    facts::Facts,
    phases::Phases,
    samples::{Samples, uncertainty},
};
use crate::log::{Damaged, Log};

/// An observer of the judgement of a log.
pub(crate) trait Eye {
    /// Whether it also needs measurements that no attack needs.
    fn wants_all(&self) -> bool;
    /// Receives the seconds of one probe at one vantage in one block.
    fn stream(&mut self, stream: &Stream, grid: &Arc<Grid>);
    /// Receives a judged attack and its samples.
    fn attack(&mut self, card: &AttackCard, samples: &Samples<'_>);
}

/// An observer that ignores everything.
pub(crate) struct Blind;

impl Eye for Blind {
    fn wants_all(&self) -> bool {
        false
    }

    fn stream(&mut self, _: &Stream, _: &Arc<Grid>) {}

    fn attack(&mut self, _: &AttackCard, _: &Samples<'_>) {}
}

/// Judged attacks, in the requested order, and the measurements that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) attacks: Vec<AttackCard>,
    pub(crate) damaged: Vec<Damaged>,
}

/// Judges the listed attacks of a log.
pub(crate) fn judge(facts: &Facts<'_>, log: &Log, indexes: &[usize], eye: &mut dyn Eye) -> Judged {
    let Some(plan) = facts.plan else { return Judged::default() };
    let phases: Vec<Phases> =
        indexes.iter().map(|index| Phases::of(facts, *index, &facts.attacks[*index])).collect();
    let unsure_us = log.worst_uncertainty_us();
    let samples = phases.iter().map(|phases| Samples::new(phases, unsure_us));
    let open: Vec<Open<'_>> = indexes
        .iter()
        .zip(&phases)
        .zip(samples)
        .map(|((index, phases), samples)| Open { index: *index, phases, samples, card: None })
        .collect();
    let wants_all = eye.wants_all();
    let mut chunks: Vec<usize> = (0..log.chunks.len())
        .filter(|place| {
            let chunk = &log.chunks[*place];
            wants_all || open.iter().any(|one| one.samples.overlaps(chunk.from_us, chunk.until_us))
        })
        .collect();
    chunks.sort_by_key(|place| log.chunks[*place].from_us);
    let mut reading = Reading { facts, plan, log, eye, open, damaged: Vec::new() };
    each(log, &chunks, |place, read| {
        reading.close_before(log.chunks[place].from_us);
        reading.take(place, read);
    });
    reading.close_before(i64::MAX);
    let attacks = reading.open.into_iter().filter_map(|one| one.card).collect();
    Judged { attacks, damaged: reading.damaged }
}

/// Reads blocks one after another, and calls `with` for each; if there are many, a second thread reads ahead.
fn each(log: &Log, chunks: &[usize], mut with: impl FnMut(usize, Result<Vec<Stream>, Damaged>)) {
    /// Below this number of blocks, reading takes less time than starting a thread.
    const FEW: usize = 8;
    /// Maximum number of blocks that were read and not judged yet.
    const AHEAD: usize = 4;
    let (few, many) = if chunks.len() > FEW { (&[][..], chunks) } else { (chunks, &[][..]) };
    few.iter().for_each(|place| with(*place, log.measured(*place)));
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let read = move || {
            let mut all = many.iter().map(|place| (*place, log.measured(*place)));
            all.try_for_each(|read| sender.send(read))
        };
        if many.is_empty() {
            return;
        }
        if std::thread::Builder::new().spawn_scoped(scope, read).is_ok() {
            receiver.into_iter().for_each(|(place, read)| with(place, read));
        } else {
            many.iter().for_each(|place| with(*place, log.measured(*place)));
        }
    });
}

/// An attack whose measurements are still being read.
struct Open<'a> {
    index: usize,
    phases: &'a Phases,
    samples: Samples<'a>,
    card: Option<AttackCard>,
}

/// The state while a log is read.
struct Reading<'r, 'a> {
    facts: &'r Facts<'a>,
    plan: &'a Plan,
    log: &'r Log,
    eye: &'r mut dyn Eye,
    open: Vec<Open<'r>>,
    damaged: Vec<Damaged>,
}

impl Reading<'_, '_> {
    /// Adds the measurements of the block with this index, or the reason why they cannot be read.
    fn take(&mut self, place: usize, read: Result<Vec<Stream>, Damaged>) {
        let streams = match read {
            Ok(streams) => streams,
            Err(damaged) => return self.damaged.push(damaged),
        };
        // Probes and vantages that are not in the plan are not judged.
        let planned = |stream: &&Stream| self.log.scales.pace(&stream.probe, &stream.vantage).is_some();
        for stream in streams.iter().filter(planned) {
            let grid = self.log.scales.grid(&stream.probe);
            self.eye.stream(stream, &grid);
            let clock = self.log.uncertainty_us(&stream.vantage, place);
            let uncertainty_us = uncertainty(&stream.vantage, clock);
            for one in self.open.iter_mut().filter(|one| one.card.is_none()) {
                one.samples.take(stream, &grid, uncertainty_us);
            }
        }
    }

    /// Judges the attacks that need no measurements from `from_us` on.
    fn close_before(&mut self, from_us: i64) {
        for one in self.open.iter_mut().filter(|one| one.card.is_none()) {
            if one.samples.until_us() >= from_us && from_us != i64::MAX {
                continue;
            }
            one.samples.close();
            let around = |damaged: &&Damaged| one.samples.overlaps(damaged.from_us, damaged.until_us);
            let doubt = |damaged: &Damaged| Doubt { void: false, text: damaged.text.clone() };
            let doubts = self.damaged.iter().filter(around).map(doubt).collect();
            let card = attack::judged(self.facts, self.plan, (one.index, one.phases), &one.samples, doubts);
            self.eye.attack(&card, &one.samples);
            one.samples.forget();
            one.card = Some(card);
        }
    }
}
