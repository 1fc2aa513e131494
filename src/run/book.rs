//! The run's log on disk, in memory, and on the screen: a record is in all three, in that order.

use std::{collections::BTreeSet, path::Path};

use firedrill_wire::probe::Bin;

use super::{RunClock, RunError, guard::Watch, screen::Observer};
use crate::{
    log::{Event, Log, Outcome, Record, Writer},
    score,
    verdict::Verdict,
};

/// Where all that happens is written down.
pub(super) struct Book {
    writer: Writer,
    records: Vec<Record>,
    clock: RunClock,
    observer: Box<dyn Observer>,
    /// The file is given up: what comes is kept in memory only.
    lost: bool,
}

impl Book {
    /// Makes the run's folder and its log.
    pub(super) fn create(
        folder: &Path,
        clock: RunClock,
        observer: Box<dyn Observer>,
    ) -> Result<Self, RunError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| RunError::Folder { path: folder.to_path_buf(), source })?;
        let writer = Writer::create(&folder.join("events.jsonl"))?;
        Ok(Self { writer, records: Vec::new(), clock, observer, lost: false })
    }

    /// Goes on with a log.
    pub(super) fn resume(writer: Writer, log: Log, clock: RunClock, observer: Box<dyn Observer>) -> Self {
        Self { writer, records: log.records, clock, observer, lost: false }
    }

    /// Writes a record.
    pub(super) fn write(&mut self, event: Event) -> Result<(), RunError> {
        let at_us = self.clock.now_us();
        let record = if self.lost {
            let seq = self.records.last().map_or(1, |last| last.seq + 1);
            Record { v: Record::VERSION, seq, at_us, event }
        } else {
            self.writer.append(at_us, event)?
        };
        self.observer.record(&record);
        self.records.push(record);
        Ok(())
    }

    /// Gives the file up, so that healing need not wait for a disk. A log without its end never says `held`.
    pub(super) fn give_up_file(&mut self) {
        self.lost = true;
    }

    /// Hands all records over, of a run that is over.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bins in the records since a moment, with vantage and start, the newest first.
    pub(super) fn bins(&self, since_us: i64) -> impl Iterator<Item = (&str, i64, &Bin)> {
        let newest = self.records.iter().rev().take_while(move |record| record.at_us >= since_us);
        newest.filter_map(|record| match &record.event {
            Event::Bin { vantage, start_us, bin } => Some((vantage.as_str(), *start_us, bin)),
            _ => None,
        })
    }

    /// How an attack ended, if it did.
    pub(super) fn ended_as(&self, of: usize) -> Option<(Outcome, Option<Verdict>)> {
        self.records.iter().rev().find_map(|record| match &record.event {
            Event::AttackEnded { attack, outcome, verdict } if *attack == of => {
                Some((outcome.clone(), *verdict))
            }
            _ => None,
        })
    }

    /// Who approved an attack since a record, and whether somebody said no.
    pub(super) fn approvals(&self, of: usize, since: usize) -> (BTreeSet<String>, bool) {
        let (mut names, mut no) = (BTreeSet::new(), false);
        for record in &self.records[since..] {
            match &record.event {
                Event::ApprovalGiven { attack, by, yes: true } if *attack == of => {
                    names.insert(by.clone());
                }
                Event::ApprovalGiven { attack, yes: false, .. } if *attack == of => no = true,
                _ => {}
            }
        }
        (names, no)
    }

    /// What the log says so far of an attack: the same judgement that the report will make.
    pub(super) fn verdict(&self, attack: usize) -> Verdict {
        score::attack_so_far(&self.records, attack, self.clock.now_us(), &Outcome::Ran)
            .and_then(|one| one.verdict)
            .unwrap_or(Verdict::Unknown)
    }

    /// Brings the screen up to date.
    pub(super) fn show(&mut self, now_us: i64, watch: &Watch) {
        self.observer.tick(now_us, &watch.window);
    }

    /// Tells people something at once, whatever the screen shows.
    pub(super) fn say(&mut self, text: &str) {
        self.observer.say(text);
    }

    /// Leaves the screen in order.
    pub(super) fn close(&mut self) {
        self.observer.close();
    }
}
