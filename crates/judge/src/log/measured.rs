//! The part of a log that is held in memory: all records except measurements, and the positions of measurements.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_probe::{
    cells::Grid,
    seconds::{Second, Stream, decode},
};
use firedrill_wire::text::{NAME_MOST, cleaned, is_plain};

use super::{
    Event, Record, Scales,
    line::{Line, line},
    pending::Pending,
};
use crate::score::format;

/// Maximum number of single bins, as earlier versions wrote them, in one chunk.
const TOGETHER: u64 = 4000;

/// A log. Measurements are read from the file when they are needed, one block at a time.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// All whole records except those of measurements, in order. A record that this version does not know is an
    /// [`Event::Unknown`].
    pub records: Vec<Record>,
    /// Warnings about the file: a torn last line, records that this version does not know.
    pub warnings: Vec<String>,
    /// Number of bytes of the file that are whole records; less than its length if the last line is torn.
    pub whole_bytes: u64,
    /// Numbers of records that are missing.
    pub(crate) missing: Vec<String>,
    /// The newest time of a record.
    pub(crate) last_us: i64,
    pub(crate) last_seq: u64,
    pub(crate) scales: Scales,
    /// The positions of measurements, in the order of the log.
    pub(crate) chunks: Vec<Chunk>,
    path: Option<PathBuf>,
    pub(super) lines: usize,
    /// Uncertainty of each host's clock, in microseconds, with the first chunk that it applies to.
    clocks: BTreeMap<String, Vec<(usize, i64)>>,
    /// Whether bins may still be added to the last chunk.
    open: bool,
}

/// A part of the log that contains measurements.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// Its first line in the file, from 1; 0 where it is in no file.
    line: usize,
    /// Number of bins, as its records state it.
    bins: u64,
    source: Source,
}

/// The place of the bins of a chunk.
#[derive(Clone, Debug)]
enum Source {
    /// Lines of the file: the offset of the first one, and the length of all, in bytes.
    File {
        offset: u64,
        length: u64,
    },
    Memory(Vec<Stream>),
}

/// The position of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Measurements that cannot be read. They count as never made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// A sentence that tells what is damaged, and why.
    pub(crate) text: String,
}

impl Log {
    /// Returns an empty log whose records are in a file.
    pub(super) fn in_file(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..Self::default() }
    }

    /// Returns the log of records that are in memory.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let mut log = Self::default();
        let mut pending = Pending::default();
        for record in records {
            log.count(record.seq, record.at_us);
            match &record.event {
                Event::Bin { vantage, start_us, bin } => pending.push(&log.scales, vantage, *start_us, bin),
                other => {
                    if matches!(other, Event::Clock { .. } | Event::RunStarted { .. } | Event::Bins { .. }) {
                        log.hold(&mut pending);
                    }
                    log.push(record.clone(), None);
                }
            }
        }
        log.hold(&mut pending);
        log
    }

    /// Keeps pending bins in memory.
    pub(super) fn hold(&mut self, pending: &mut Pending) {
        if pending.bins > 0 {
            let (from_us, until_us, bins) = (pending.from_us, pending.until_us, pending.bins);
            let source = Source::Memory(pending.take());
            self.chunks.push(Chunk { from_us, until_us, line: 0, bins, source });
            self.open = false;
        }
    }

    /// Counts the record that is next in the log.
    pub(super) fn count(&mut self, seq: u64, at_us: i64) {
        let expected = self.last_seq.saturating_add(1);
        if seq != expected {
            self.missing.push(match seq.checked_sub(1) {
                Some(last) if expected < last => format!("{expected} to {last}"),
                _ => expected.to_string(),
            });
        }
        self.last_seq = seq;
        self.last_us = self.last_us.max(at_us);
    }

    /// Adds a record that was counted. Of measurements only the position is kept.
    pub(super) fn push(&mut self, record: Record, place: Option<Place>) {
        match &record.event {
            Event::Bins { from_us, until_us, bins, data } => {
                let (from_us, until_us, bins) = (*from_us, *until_us, *bins);
                self.block((from_us, until_us), bins, data, place);
            }
            Event::Bin { start_us, bin, .. } => {
                let length = i64::try_from(bin.length_us).unwrap_or(i64::MAX);
                if let Some(place) = place {
                    self.bin(*start_us, start_us.saturating_add(length), place);
                }
            }
            other => {
                if let Event::Clock { host, uncertainty_us, .. } = other {
                    // A value that is too large becomes one to which times can be added without an overflow.
                    let uncertainty_us = i64::try_from(*uncertainty_us).unwrap_or(i64::MAX / 8);
                    self.clocks.entry(host.clone()).or_default().push((self.chunks.len(), uncertainty_us));
                    self.open = false;
                }
                if let Event::RunStarted { run, plan, .. } = other {
                    self.scales = Scales::of(plan, run.as_str());
                }
                self.records.push(record);
            }
        }
    }

    /// Adds a block of bins. Its data are kept only if they are in no file.
    pub(super) fn block(
        &mut self,
        (from_us, until_us): (i64, i64),
        bins: u64,
        data: &str,
        place: Option<Place>,
    ) {
        let (line, source) = match place {
            Some(Place { line, offset, length }) => (line, Source::File { offset, length }),
            // Without a file, data that cannot be read now stay unreadable.
            None => (0, Source::Memory(streams(data, bins).unwrap_or_default())),
        };
        self.chunks.push(Chunk { from_us, until_us, line, bins, source });
        self.open = false;
    }

    /// Adds a bin from a record with a single bin. Consecutive records of this kind form one chunk.
    pub(super) fn bin(&mut self, from_us: i64, until_us: i64, place: Place) {
        let Place { line, offset, length } = place;
        if let Some(chunk) = self.chunks.last_mut().filter(|chunk| self.open && chunk.bins < TOGETHER)
            && let Source::File { offset: begin, length: whole } = &mut chunk.source
        {
            *whole = offset.saturating_add(length).saturating_sub(*begin);
            chunk.from_us = chunk.from_us.min(from_us);
            chunk.until_us = chunk.until_us.max(until_us);
            chunk.bins += 1;
            return;
        }
        self.chunks.push(Chunk { from_us, until_us, line, bins: 1, source: Source::File { offset, length } });
        self.open = true;
    }

    /// Returns, for each chunk that can be read, the newest bin of each vantage in it, by the bin's number.
    pub fn newest(&self) -> impl Iterator<Item = BTreeMap<String, u64>> {
        (0..self.chunks.len()).filter_map(|chunk| self.measured(chunk).ok()).map(|streams| {
            let mut newest = BTreeMap::new();
            for stream in streams {
                let newest = newest.entry(stream.vantage).or_insert(0);
                *newest = stream.last_seq.max(*newest);
            }
            newest
        })
    }

    /// Returns the uncertainty of a host's clock when a chunk was written; `None` if the clock had never been
    /// measured.
    pub(crate) fn uncertainty_us(&self, host: &str, chunk: usize) -> Option<i64> {
        let clocks = self.clocks.get(host)?;
        let later = clocks.partition_point(|(from, _)| *from <= chunk);
        later.checked_sub(1).map(|last| clocks[last].1)
    }

    /// Returns the largest uncertainty of any clock, in microseconds.
    pub(crate) fn worst_uncertainty_us(&self) -> i64 {
        self.clocks.values().flatten().map(|(_, uncertainty_us)| *uncertainty_us).max().unwrap_or(0)
    }

    /// Returns a chunk's measurements; latencies are on the scales of the plan.
    ///
    /// # Errors
    /// It is damaged, or the file cannot be read any more.
    pub(crate) fn measured(&self, chunk: usize) -> Result<Vec<Stream>, Damaged> {
        let Some(chunk) = self.chunks.get(chunk) else { return Ok(Vec::new()) };
        let read = match &chunk.source {
            Source::Memory(streams) => Ok(streams.clone()),
            Source::File { offset, length } => self.lines(*offset, *length),
        };
        let (mut from_us, mut until_us) = (chunk.from_us, chunk.until_us);
        let read = read.and_then(|streams| {
            let bins: u64 = streams.iter().map(|stream| stream.seconds.len() as u64).sum();
            if bins != chunk.bins {
                return Err("it has another number of bins than it says".to_owned());
            }
            // The stated time of a chunk decides which attacks it matters to, so it must be true.
            let stated = (from_us, until_us);
            if let Some((first, last)) = span(&streams).filter(|span| *span != stated) {
                (from_us, until_us) = (from_us.min(first), until_us.max(last));
                return Err("its bins are of another time than it says".to_owned());
            }
            Ok(streams)
        });
        match read {
            Ok(mut streams) => {
                streams.iter_mut().for_each(|stream| rescale(stream, &self.scales.grid(&stream.probe)));
                Ok(streams)
            }
            Err(why) => {
                let text = format!(
                    "line {}: what was measured from {} to {} is damaged and counts as not measured: {why}",
                    chunk.line,
                    format::clock(from_us),
                    format::clock(until_us)
                );
                Err(Damaged { from_us, until_us, text })
            }
        }
    }

    /// Reads the bins in some lines of the file.
    fn lines(&self, offset: u64, length: u64) -> Result<Vec<Stream>, String> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let length = usize::try_from(length).map_err(|_| "it is too long".to_owned())?;
        let mut bytes = vec![0; length];
        let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, offset));
        read.map_err(|why| format!("the file could not be read again: {why}"))?;
        let mut found = Vec::new();
        let mut pending = Pending::default();
        for bytes in bytes.split(|byte| *byte == b'\n').filter(|bytes| !bytes.is_empty()) {
            match line(bytes) {
                Ok(Line::Bins { bins, data, .. }) => found.extend(streams(data, bins)?),
                Ok(Line::Bin { vantage, start_us, bin, .. }) => {
                    pending.push(&self.scales, &vantage, start_us, &bin);
                }
                Ok(Line::Other(record, _)) => match &record.event {
                    Event::Bins { bins, data, .. } => found.extend(streams(data, *bins)?),
                    Event::Bin { vantage, start_us, bin } => {
                        pending.push(&self.scales, vantage, *start_us, bin);
                    }
                    _ => {}
                },
                Err(why) => return Err(why),
            }
        }
        found.extend(pending.take());
        Ok(found)
    }
}

/// Decodes the data of a block of `bins` bins.
fn streams(data: &str, bins: u64) -> Result<Vec<Stream>, String> {
    let bytes = BASE64_STANDARD.decode(data).map_err(|why| format!("it is not base64: {why}"))?;
    let mut streams = decode(&bytes, bins).map_err(|why| {
        use std::error::Error as _;
        why.source().map_or_else(|| why.to_string(), |source| format!("{why}: {source}"))
    })?;
    streams.iter_mut().flat_map(|stream| &mut stream.seconds).for_each(clean_causes);
    Ok(streams)
}

/// Cleans the names of causes, which are shown to people. Names of vantages and probes need no cleaning: they count only if the plan has them.
fn clean_causes(second: &mut Second) {
    if second.causes.keys().all(|cause| cause.chars().all(is_plain)) {
        return;
    }
    for (cause, count) in std::mem::take(&mut second.causes) {
        let sum: &mut u64 = second.causes.entry(cleaned(cause, NAME_MOST)).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// Returns the start of the first bin and the end of the last one; `None` if there are none.
fn span(streams: &[Stream]) -> Option<(i64, i64)> {
    let seconds = || streams.iter().flat_map(|stream| &stream.seconds);
    let ends =
        seconds().map(|one| one.start_us.saturating_add(i64::try_from(one.length_us).unwrap_or(i64::MAX)));
    Some((seconds().map(|one| one.start_us).min()?, ends.max()?))
}

/// Puts latencies on this scale, if the log has them on another one.
fn rescale(stream: &mut Stream, grid: &Grid) {
    if stream.cuts == grid.cuts() {
        return;
    }
    let own = Grid::new(&stream.cuts);
    for cell in stream.seconds.iter_mut().flat_map(|second| second.latencies.iter_mut().flatten()) {
        *cell = grid.cell(own.end(*cell));
    }
    stream.cuts = grid.cuts().to_vec();
}
