//! Rewrites the journal's file while it is in use: to shorten a long one, and to replace one that was deleted, replaced
//! or cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use firedrill_wire::{
    InjectionId, RunId,
    journal::{AgentEvent, What},
};

use super::{
    BYTES_KEPT, EVENTS_KEPT, Journal, JournalError, LARGE,
    file::{Log, Seen},
    record::{Record, encode, records_of},
    replace,
    replay::{Replayed, replay},
};

/// A journal that is to be shortened, as it was when the compaction began.
#[derive(Debug)]
pub struct Compaction {
    path: PathBuf,
    file: Arc<File>,
    /// The length of the file at that moment, in bytes.
    end: u64,
    header: Record,
}

/// The shortened journal, up to the moment at which the compaction began.
#[derive(Debug)]
pub struct Compacted {
    text: Vec<u8>,
    /// The bytes that were read, if they were damaged.
    damaged: Option<Vec<u8>>,
    /// The old file.
    old: Arc<File>,
    /// The number of bytes at the beginning of the old file that `text` replaces.
    end: u64,
}

/// The damage that somebody did to a journal's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It was deleted.
    Deleted,
    /// It was replaced by another file.
    Replaced,
    /// It was cut.
    Cut,
}

impl Lost {
    /// Returns a word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Cut => "cut",
        }
    }
}

impl Compaction {
    /// Reads the journal and leaves out records that are not needed any more. Keeps tombstones, the halt, the
    /// newest events, open injections, and the injections of the runs in `keep`. `open` are the injections that were
    /// open in memory when the compaction began. Needs no lock, because written records never change.
    ///
    /// # Errors
    /// It could not be read, or lacks an open injection.
    pub fn shorten(self, keep: &[RunId], open: &[InjectionId]) -> Result<Compacted, JournalError> {
        let Self { path, file, end, header } = self;
        let fail = |source| JournalError { what: "read", path: path.clone(), source };
        let bytes = read(&file, 0, end).map_err(fail)?;
        let replayed = replay(&bytes);
        // An open injection is missing if the file was cut meanwhile: the rest must not be taken for the whole journal.
        let lacks = |id: &&InjectionId| !replayed.injections.iter().any(|found| found.intent.id() == *id);
        if let Some(id) = open.iter().find(lacks) {
            let why = format!("it lacks {id}, which is open");
            return Err(fail(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let text = shorter(&bytes, &replayed, header, keep);
        let text = text.map_err(|source| JournalError { what: "rewrite", path: path.clone(), source })?;
        let damaged = (!replayed.damage.is_empty()).then_some(bytes);
        Ok(Compacted { text, damaged, old: file, end })
    }
}

/// Reads the bytes from offset `from` up to offset `to`.
fn read(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Returns the shortened text of a journal: `bytes`, from which `replayed` was made. See [`Compaction::shorten`].
pub(super) fn shorter(
    bytes: &[u8],
    replayed: &Replayed,
    header: Record,
    keep: &[RunId],
) -> io::Result<Vec<u8>> {
    let open: BTreeSet<&InjectionId> = replayed.open().map(|found| found.intent.id()).collect();
    let kept: BTreeSet<&InjectionId> = replayed
        .injections
        .iter()
        .filter(|found| keep.contains(&found.intent.run))
        .map(|found| found.intent.id())
        .chain(open.iter().copied())
        .collect();
    let mut records = vec![header];
    records.extend(replayed.tombstones.records());
    // Each event with the length of its line, in bytes.
    let mut events = Vec::new();
    // The records in damaged lines are kept too: `replayed` contains what they say.
    let whole = usize::try_from(replayed.whole).unwrap_or(bytes.len()).min(bytes.len());
    for line in bytes[..whole].split(|&byte| byte == b'\n') {
        for record in records_of(line) {
            let stays = match &record {
                Record::Intent(intent) => kept.contains(intent.id()),
                Record::BetterUndo { injection, .. } => open.contains(injection),
                Record::Header { .. } | Record::Tombstone { .. } | Record::Event(_) => false,
            };
            match record {
                Record::Event(event) => events.push((event, line.len())),
                record if stays => records.push(record),
                _ => {}
            }
        }
    }
    // All events of kept injections stay, and of the other events the newest.
    let mut bytes_kept = 0;
    let newest = events.iter().rev().take(EVENTS_KEPT).take_while(|(_, length)| {
        bytes_kept += length;
        bytes_kept <= BYTES_KEPT
    });
    let surplus = events.len() - newest.count();
    for (at, (event, _)) in events.into_iter().enumerate() {
        let stays = match &event.what {
            What::Changed { injection, .. } => kept.contains(injection),
            What::Halted { .. } if replayed.halted_by.is_some() => true,
            _ => at >= surplus,
        };
        if stays {
            records.push(Record::Event(event));
        }
    }
    let mut text = Vec::new();
    for record in &records {
        text.extend(encode(record)?);
    }
    Ok(text)
}

impl Journal {
    /// Begins to shorten a long journal, or with `force` one of any length; `None` if it is not long, or if it was cut and has to be made
    /// anew. [`Compaction::shorten`] and [`Journal::take_shorter`] follow.
    ///
    /// # Errors
    /// The waiting records could not be written.
    pub fn begin_compaction(&mut self, force: bool) -> Result<Option<Compaction>, JournalError> {
        if !force && self.log.len() < self.long_at {
            return Ok(None);
        }
        // Even if the compaction fails, the next one waits until the journal has grown by that much.
        self.long_at = self.log.len().saturating_add(LARGE);
        self.flush()?;
        if self.log.is_hurt() {
            return Ok(None);
        }
        let (path, file) = (self.path.clone(), self.log.file());
        Ok(Some(Compaction { path, file, end: self.log.len(), header: self.header() }))
    }

    /// Replaces the old journal by the shortened one and the records that were written since. A damaged one is kept
    /// aside for people.
    ///
    /// # Errors
    /// It could not be written; the old one stays in use.
    pub fn take_shorter(&mut self, short: Compacted) -> Result<(), JournalError> {
        let Compacted { mut text, damaged, old, end } = short;
        // The file was made anew meanwhile: the short text is of no use.
        if !Arc::ptr_eq(&old, &self.log.file()) {
            return Ok(());
        }
        self.flush()?;
        // The file was cut: the bytes that were read may have had a hole.
        if self.log.is_hurt() {
            return Ok(());
        }
        text.extend(read(&old, end, self.log.len()).map_err(self.failed_to("read"))?);
        if let Some(bytes) = damaged {
            let aside = self.path.with_extension("damaged");
            replace(&aside, &bytes, 0o600).map_err(self.failed_to("put aside"))?;
        }
        self.log = Log::replace(&self.path, &text).map_err(self.failed_to("rewrite"))?;
        self.long_at = LARGE.max(self.log.len().saturating_mul(2));
        Ok(())
    }

    /// Shortens a long journal, or with `force` one of any length, in one go.
    ///
    /// # Errors
    /// It could not be rewritten; the old one stays in use.
    pub fn compact(&mut self, keep: &[RunId], force: bool) -> Result<(), JournalError> {
        match self.begin_compaction(force)? {
            Some(long) => self.take_shorter(long.shorten(keep, &[])?),
            None => Ok(()),
        }
    }

    /// Returns the damage to the file at the journal's path; `None` if it is the open file and complete.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        match self.log.seen_at(&self.path) {
            Seen::Whole => None,
            Seen::Cut => Some(Lost::Cut),
            Seen::Another => Some(Lost::Replaced),
            Seen::Nothing => Some(Lost::Deleted),
        }
    }

    /// Makes the file anew with the content of the open one. If that was cut, the records in `known` fill the gap: they
    /// describe all open injections and everything else that must not be forgotten. An injection that is open only by the
    /// records that are left in the file is over: its records are left out. A file that replaced the journal is kept aside
    /// for people.
    ///
    /// # Errors
    /// It could not be made.
    pub fn make_anew(&mut self, lost: Lost, known: &[Record]) -> Result<(), JournalError> {
        let last_known = last_events(known);
        let cut = lost == Lost::Cut || self.log.is_hurt();
        let mut over = BTreeSet::new();
        let text = if cut {
            let file = self.log.file();
            let length = file.metadata().map_err(self.failed_to("read"))?.len().min(self.log.len());
            let left = read(&file, 0, length).map_err(self.failed_to("read"))?;
            // The text is made twice: a replay of the first one tells which injections are over.
            let first = self
                .cut_text(&left, known, |record| is_in(&last_known, record))
                .map_err(self.failed_to("make anew"))?;
            over = replay(&first).open().map(|found| found.intent.id().clone()).collect();
            over.retain(|id| !last_known.contains_key(id));
            self.cut_text(&left, known, |record| is_in(&last_known, record) || is_of(&over, record))
                .map_err(self.failed_to("make anew"))?
        } else {
            read(&self.log.file(), 0, self.log.len()).map_err(self.failed_to("read"))?
        };
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir).map_err(self.failed_to("create the directory of"))?;
        }
        if lost == Lost::Replaced {
            std::fs::rename(&self.path, self.path.with_extension("replaced"))
                .map_err(self.failed_to("put aside"))?;
        }
        self.log = Log::replace(&self.path, &text).map_err(self.failed_to("make anew"))?;
        if cut {
            // A waiting undo may be more exact than the one in `known`.
            self.waiting.retain(|record| {
                !is_of(&over, record)
                    && (matches!(record, Record::BetterUndo { .. }) || !is_in(&last_known, record))
            });
        }
        Ok(())
    }

    /// Returns a function that wraps an error of the journal's file; `what` is the verb that failed.
    fn failed_to(&self, what: &'static str) -> impl FnOnce(io::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |source| JournalError { what, path, source }
    }

    /// Returns the text of a journal with the records that are left of the cut file, without those to leave out, and the records in
    /// `known`.
    fn cut_text(
        &self,
        left: &[u8],
        known: &[Record],
        leave_out: impl Fn(&Record) -> bool,
    ) -> io::Result<Vec<u8>> {
        let left = left.split(|&byte| byte == b'\n').flat_map(records_of);
        let (mut text, mut events) = (encode(&self.header())?, Vec::new());
        for record in left {
            match record {
                record if leave_out(&record) => {}
                Record::Event(event) => events.push(event),
                record => text.extend(encode(&record)?),
            }
        }
        for record in known {
            match record {
                Record::Event(event) => events.push(event.clone()),
                record => text.extend(encode(record)?),
            }
        }
        // Sorted, because a reader skips an event whose number is below that of an event before it.
        events.sort_by_key(|event| event.seq);
        for event in events {
            text.extend(encode(&Record::Event(event))?);
        }
        Ok(text)
    }
}

/// Returns the injections in some records, each with the number of its last event; 0 if there is none.
fn last_events(records: &[Record]) -> BTreeMap<&InjectionId, u64> {
    let mut last: BTreeMap<&InjectionId, u64> = BTreeMap::new();
    for record in records {
        match record {
            Record::Intent(intent) => drop(last.entry(intent.id()).or_default()),
            Record::Event(AgentEvent { seq, what: What::Changed { injection, .. }, .. }) => {
                last.insert(injection, *seq);
            }
            _ => {}
        }
    }
    last
}

/// Whether the records from which `last_events` was made already contain the content of this record.
fn is_in(last_events: &BTreeMap<&InjectionId, u64>, record: &Record) -> bool {
    match record {
        Record::Intent(intent) => last_events.contains_key(intent.id()),
        Record::BetterUndo { injection, .. } => last_events.contains_key(injection),
        Record::Event(AgentEvent { seq, what: What::Changed { injection, .. }, .. }) => {
            last_events.get(injection).is_some_and(|last| seq <= last)
        }
        _ => false,
    }
}

/// Whether a record is about one of these injections.
fn is_of(injections: &BTreeSet<InjectionId>, record: &Record) -> bool {
    match record {
        Record::Intent(intent) => injections.contains(intent.id()),
        Record::BetterUndo { injection, .. }
        | Record::Event(AgentEvent { what: What::Changed { injection, .. }, .. }) => {
            injections.contains(injection)
        }
        _ => false,
    }
}
