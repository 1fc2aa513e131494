//! Records the run on disk, in memory, and on the screen, in that order. Measurements are kept in memory only for the
//! judgement of a baseline; for verdicts they are read from the log.

use std::{collections::BTreeSet, path::Path};

use firedrill_wire::{Span, probe::Bin};

use super::{
    blocked::Blocked,
    clock::{RunClock, signed},
    error::RunError,
    screen::Observer,
};
use crate::{
    link::Offset,
    log::{Event, Log, Outcome, Writer},
    plan::model::Phase,
    score::{self, window::Window},
    verdict::Verdict,
};

/// The recorder of a run's events.
pub(super) struct Recorder {
    writer: Writer,
    /// Measurements since the current baseline began: time of arrival, vantage, start, and bin. `None` if no baseline is being measured.
    baseline: Option<Vec<(i64, String, i64, Bin)>>,
    /// The starts of all phases so far, in microseconds on the run's clock.
    phases: Vec<i64>,
    clock: RunClock,
    observer: Box<dyn Observer>,
    blocked: Blocked,
}

impl Recorder {
    /// Creates the run's folder and its log.
    pub(super) fn create(
        folder: &Path,
        clock: RunClock,
        observer: Box<dyn Observer>,
    ) -> Result<Self, RunError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| RunError::Folder { path: folder.to_path_buf(), source })?;
        let writer = Writer::create(&folder.join("events.jsonl"))?;
        Ok(Self::resume(writer, clock, observer))
    }

    /// Continues a log.
    pub(super) fn resume(writer: Writer, clock: RunClock, observer: Box<dyn Observer>) -> Self {
        Self { writer, baseline: None, phases: Vec::new(), clock, observer, blocked: Blocked::new() }
    }

    /// Returns the value that shows background tasks whether a write blocks the run.
    pub(super) fn blocked(&self) -> Blocked {
        self.blocked.clone()
    }

    /// Writes a record.
    pub(super) fn write(&mut self, event: Event) -> Result<(), RunError> {
        let now = self.clock.now_us();
        let record = self.blocked.during(now, || self.writer.append(now, event))?;
        match &record.event {
            Event::Phase { phase, .. } => {
                self.phases.push(record.at_us);
                self.baseline = (*phase == Phase::Baseline).then(Vec::new);
            }
            Event::AttackEnded { .. } | Event::Paused { .. } => self.baseline = None,
            _ => {}
        }
        self.blocked.during(self.clock.now_us(), || self.observer.record(&record));
        Ok(())
    }

    /// Writes a record with a text for people.
    pub(super) fn note(&mut self, text: String) -> Result<(), RunError> {
        self.write(Event::Note { text })
    }

    /// Writes the clock of a host at the run's time 0.
    pub(super) fn clock(&mut self, host: &str, zero_us: i64, offset: &Offset) -> Result<(), RunError> {
        self.write(Event::Clock {
            host: host.to_owned(),
            boot_at_zero_us: zero_us,
            uncertainty_us: offset.uncertainty_us,
            boot_id: offset.boot_id.clone(),
        })
    }

    /// Writes that an attack has ended, or did not run.
    pub(super) fn ended(
        &mut self,
        attack: usize,
        outcome: Outcome,
        verdict: Option<Verdict>,
    ) -> Result<(), RunError> {
        self.write(Event::AttackEnded { attack, outcome, verdict })
    }

    /// Writes that a phase of an attack begins, and returns its end in microseconds on the run's clock.
    pub(super) fn phase(&mut self, attack: usize, phase: Phase, length: Span) -> Result<i64, RunError> {
        let until_us = self.clock.now_us() + signed(length.as_micros());
        self.write(Event::Phase { attack, phase, until_us })?;
        Ok(until_us)
    }

    /// Records the measurements of a vantage in a second that began at `start_us`. They are written some seconds
    /// later, together with others.
    pub(super) fn measured(&mut self, vantage: String, start_us: i64, bin: Bin) -> Result<(), RunError> {
        let now = self.clock.now_us();
        self.blocked.during(now, || self.writer.measured(now, &vantage, start_us, &bin))?;
        if let Some(baseline) = &mut self.baseline {
            baseline.push((now, vantage, start_us, bin));
        }
        Ok(())
    }

    /// Returns the number of phases that had begun by the time `us` on the run's clock.
    pub(super) fn phase_at(&self, us: i64) -> usize {
        self.phases.partition_point(|start_us| *start_us <= us)
    }

    /// Writes no more to the file, so that healing does not wait for a disk. A log without its end is never judged as `held`.
    pub(super) fn give_up_file(&mut self) {
        self.writer.give_up_file();
    }

    /// Takes the log of a run that is over.
    pub(super) fn take_log(&mut self) -> Log {
        self.writer.take_log()
    }

    /// Returns the number of records, without measurements.
    pub(super) fn len(&self) -> usize {
        self.writer.log().records.len()
    }

    /// Returns the bins of the current baseline that arrived at `since_us` or later, with vantage and start, newest first.
    pub(super) fn bins(&self, since_us: i64) -> impl Iterator<Item = (&str, i64, &Bin)> {
        let newest = self.baseline.iter().flatten().rev().take_while(move |(at_us, ..)| *at_us >= since_us);
        newest.map(|(_, vantage, start_us, bin)| (vantage.as_str(), *start_us, bin))
    }

    /// Returns the outcome and the verdict of an attack; `None` if it has not ended.
    pub(super) fn ended_as(&self, index: usize) -> Option<(Outcome, Option<Verdict>)> {
        self.writer.log().records.iter().rev().find_map(|record| match &record.event {
            Event::AttackEnded { attack, outcome, verdict } if *attack == index => {
                Some((outcome.clone(), *verdict))
            }
            _ => None,
        })
    }

    /// Returns the people who approved an attack from record number `since` on, and whether a person said no.
    pub(super) fn approvals(&self, index: usize, since: usize) -> (BTreeSet<String>, bool) {
        let (mut names, mut no) = (BTreeSet::new(), false);
        for record in &self.writer.log().records[since..] {
            match &record.event {
                Event::ApprovalGiven { attack, by, yes: true, .. } if *attack == index => {
                    names.insert(by.clone());
                }
                Event::ApprovalGiven { attack, yes: false, .. } if *attack == index => no = true,
                _ => {}
            }
        }
        (names, no)
    }

    /// Judges an attack by the log so far, in the same way as the report.
    pub(super) fn verdict(&mut self, attack: usize) -> Result<Verdict, RunError> {
        let now = self.clock.now_us();
        self.blocked.during(now, || self.writer.flush(now))?;
        let card = score::attack_so_far(self.writer.log(), attack, now, &Outcome::Ran);
        Ok(card.and_then(|card| card.verdict).unwrap_or(Verdict::Unknown))
    }

    /// Updates the screen.
    pub(super) fn show(&mut self, now_us: i64, window: &Window) {
        self.blocked.during(now_us, || self.observer.tick(now_us, window));
    }

    /// Shows a text to people at once.
    pub(super) fn say(&mut self, text: &str) {
        self.blocked.during(self.clock.now_us(), || self.observer.say(text));
    }
}

/// Ends the screen, which restores the terminal.
impl Drop for Recorder {
    fn drop(&mut self) {
        self.observer.close();
    }
}
