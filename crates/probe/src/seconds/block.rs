//! Streams of seconds as bytes, and back: columns of numbers, deflated. `docs/log.md` describes each byte.
//!
//! The decoder guesses nothing: bytes that [`encode`] does not write are an error.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use firedrill_wire::text::{TEXT_MOST, clean};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

use super::{
    Lateness, Second, Single, Stream,
    bytes::{In, Out},
};
use crate::requests::{MOST, Outcome};

/// The format's version, its first number.
const VERSION: u64 = 1;
/// Maximum number of bins in a block that is read. A writer puts several times fewer into one.
pub const BINS_MOST: u64 = 10_000;
/// Maximum size of an inflated block in bytes.
const INFLATED_MOST: u64 = 1 << 27;
/// The part of [`INFLATED_MOST`] that each bin may take, in bytes.
const INFLATED_OF_BIN: u64 = 1 << 18;
/// The part of [`INFLATED_MOST`] that the texts and the heads of streams may take besides, in bytes.
const INFLATED_OF_HEADS: u64 = 1 << 20;
/// Maximum memory for what a block holds, in bytes.
const MEMORY_MOST: usize = 1 << 28;
/// A second's usual length in microseconds.
const USUAL_US: u64 = crate::bin::LENGTH_US;
/// The number of [`Lateness::OnTime`] in its column.
const ON_TIME: u64 = 0;
/// The number of [`Lateness::Unreadable`] in its column.
const UNREADABLE: u64 = 1;
/// The number of [`Lateness::Late`] in its column is this one and the number of cells.
const LATE: u64 = 2;

/// A block cannot be read. The seconds that it covered count as not measured.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The bytes are not deflated, cut off, or their checksum is another one.
    #[error("it cannot be inflated")]
    Inflate(#[from] std::io::Error),
    /// Another version wrote it.
    #[error("it is in format {0}, this version of firedrill reads {VERSION}")]
    Version(u64),
    /// The inflated bytes are no block.
    #[error("its {0} make no sense")]
    Sense(&'static str),
    /// Reading it would take too much memory.
    #[error("it is larger than a block of {0} bins can be")]
    TooLarge(u64),
    /// It has more bins than its record says.
    #[error("it has {has} bins, and its record says {says}")]
    Bins {
        /// The number of its bins.
        has: usize,
        /// The number in the record.
        says: u64,
    },
}

/// Returns streams as bytes.
#[must_use]
pub fn encode(streams: &[Stream]) -> Vec<u8> {
    let mut out = Out::default();
    out.number(VERSION);
    let names = names(streams);
    out.number(names.len() as u64);
    names.keys().for_each(|name| out.text(name));
    let name = |name: &str| names.get(name).copied().unwrap_or(0);
    out.number(streams.len() as u64);
    for stream in streams {
        [&stream.probe, &stream.vantage, &stream.boot_id].iter().for_each(|text| out.number(name(text)));
        out.number(stream.last_seq);
        out.number(stream.worst_slip_us);
        stream.phases.iter().for_each(|sum| out.number(*sum));
        out.number(stream.cuts.len() as u64);
        stream.cuts.iter().for_each(|cut| out.number(*cut));
        let (start, boot) = stream.begin();
        out.signed(start);
        out.signed(boot);
        out.number(stream.seconds.len() as u64);
    }
    let mut column = |write: &dyn Fn(&mut Out, &Second, &Before)| {
        for stream in streams {
            let mut before = Before::of(stream);
            for second in &stream.seconds {
                write(&mut out, second, &before);
                before.pass(second);
            }
        }
    };
    column(&|out, second, before| out.signed(second.start_us.wrapping_sub(before.end_us)));
    column(&|out, second, before| out.signed(second.boot_offset().wrapping_sub(before.boot_offset)));
    column(&|out, second, _| out.signed(second.length_us.wrapping_sub(USUAL_US).cast_signed()));
    column(&|out, second, _| out.number(second.due));
    column(&|out, second, _| out.number(second.slipped));
    column(&|out, second, _| out.number(second.bad));
    column(&|out, second, _| out.signed(second.lost()));
    column(&|out, second, _| {
        out.number(second.single.as_ref().map_or(0, |single| single.first_us.wrapping_add(1)));
    });
    column(&|out, second, before| {
        let first =
            second.single.as_ref().filter(|_| second.due > 0).map_or(before.number, |single| single.first);
        out.signed(first.wrapping_sub(before.number).cast_signed());
    });
    column(&|out, second, _| out.number(u64::from(second.latencies.is_none())));
    column(&|out, second, _| {
        out.number(match &second.lateness {
            Lateness::OnTime => ON_TIME,
            Lateness::Unreadable => UNREADABLE,
            Lateness::Late { cells, .. } => cells.len() as u64 + LATE,
        });
    });
    column(&|out, second, _| {
        if second.bad > 0 {
            let from_one = |us: Option<u64>| us.map_or(0, |us| us.wrapping_add(1));
            out.number(from_one(second.first_bad_us));
            out.number(from_one(second.last_bad_us));
            out.number(second.causes.len() as u64);
            for (cause, count) in &second.causes {
                out.number(name(cause));
                out.number(*count);
            }
        }
        let ends = second.single.iter().flat_map(|single| &single.ends);
        ends.for_each(|(outcome, count)| out.number(u64::from(*count) << 2 | *outcome as u64));
        if let Lateness::Late { started, cells } = &second.lateness {
            out.number(*started);
            out.cells(cells);
        }
        out.cells(second.latencies.as_deref().unwrap_or_default());
    });
    deflated(&out.0)
}

/// Deflates bytes. Writing to memory cannot fail.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Returns all texts, each once, with their places.
fn names(streams: &[Stream]) -> BTreeMap<&str, u64> {
    let mut names = BTreeMap::new();
    for stream in streams {
        let causes = stream.seconds.iter().flat_map(|second| second.causes.keys());
        let own = [&stream.probe, &stream.vantage, &stream.boot_id];
        names.extend(own.into_iter().chain(causes).map(|name| (name.as_str(), 0)));
    }
    names.values_mut().zip(0..).for_each(|(place, number)| *place = number);
    names
}

impl Stream {
    /// Returns the time at which the first second began on the run's clock, and the lead of the vantage's clock.
    fn begin(&self) -> (i64, i64) {
        self.seconds.first().map_or((0, 0), |second| (second.start_us, second.boot_offset()))
    }
}

impl Second {
    fn boot_offset(&self) -> i64 {
        self.start_boot_us.cast_signed().wrapping_sub(self.start_us)
    }

    /// Returns the number of requests that were due and are counted nowhere. A prober writes none.
    fn lost(&self) -> i64 {
        self.due.wrapping_sub(self.good).wrapping_sub(self.bad).wrapping_sub(self.slipped).cast_signed()
    }
}

/// The values that a second is likely to have, by the second before it in its stream.
struct Before {
    end_us: i64,
    boot_offset: i64,
    number: u64,
}

impl Before {
    fn of(stream: &Stream) -> Self {
        let (end_us, boot_offset) = stream.begin();
        Self { end_us, boot_offset, number: 0 }
    }

    fn pass(&mut self, second: &Second) {
        self.end_us = second.start_us.wrapping_add(second.length_us.cast_signed());
        self.boot_offset = second.boot_offset();
        if let Some(single) = second.single.as_ref().filter(|_| second.due > 0) {
            self.number = single.first.wrapping_add(second.due);
        }
    }
}

/// Reads streams from their bytes. `bins` is the number of bins that their record says. Bounds the memory, whoever wrote the
/// bytes.
///
/// # Errors
/// The bytes are not exactly what [`encode`] wrote, have more bins than `bins`, or are larger than any that a writer makes.
pub fn decode(bytes: &[u8], bins: u64) -> Result<Vec<Stream>, BlockError> {
    if bins > BINS_MOST {
        return Err(BlockError::TooLarge(BINS_MOST));
    }
    let most = (INFLATED_OF_HEADS + bins * INFLATED_OF_BIN).min(INFLATED_MOST);
    let mut inflated = Vec::new();
    ZlibDecoder::new(bytes).take(most + 1).read_to_end(&mut inflated)?;
    if inflated.len() as u64 > most {
        return Err(BlockError::TooLarge(bins));
    }
    let mut input = In::new(&inflated, MEMORY_MOST);
    match input.number() {
        Some(VERSION) => {}
        Some(other) => return Err(BlockError::Version(other)),
        None => return Err(BlockError::Sense("first bytes")),
    }
    let wrong = |input: &In<'_>, what| {
        if input.spent { BlockError::TooLarge(bins) } else { BlockError::Sense(what) }
    };
    let (names, heads) = heads(&mut input).ok_or_else(|| wrong(&input, "streams"))?;
    let has = heads.iter().map(|head| head.count).sum::<usize>();
    if has as u64 > bins {
        return Err(BlockError::Bins { has, says: bins });
    }
    let streams = seconds(&mut input, &names, heads).ok_or_else(|| wrong(&input, "seconds"))?;
    if input.rest().is_empty() { Ok(streams) } else { Err(BlockError::Sense("last bytes")) }
}

/// A stream whose seconds are not read yet: the time at which it begins, and the number of its seconds.
struct Head {
    stream: Stream,
    start_us: i64,
    boot_offset: i64,
    count: usize,
}

/// Reads the texts and the heads of streams. All texts are cleaned, because anybody may have written them.
fn heads<'a>(input: &mut In<'a>) -> Option<(Vec<Cow<'a, str>>, Vec<Head>)> {
    let count = input.count()?;
    input.take::<Cow<'_, str>>(count)?;
    let name = |_| {
        let name = clean(input.text()?, TEXT_MOST);
        input.take::<u8>(name.len())?;
        Some(name)
    };
    let names: Vec<Cow<'_, str>> = (0..count).map(name).collect::<Option<_>>()?;
    let count = input.count()?;
    input.take::<Head>(count)?;
    let head = |_| {
        let mut name = || copy(input, &names);
        let (probe, vantage, boot_id) = (name()?, name()?, name()?);
        let (last_seq, worst_slip_us) = (input.number()?, input.number()?);
        let mut phases = [0; 4];
        for sum in &mut phases {
            *sum = input.number()?;
        }
        let cuts = input.count()?;
        input.take::<u64>(cuts)?;
        let cuts = (0..cuts).map(|_| input.number()).collect::<Option<_>>()?;
        let stream =
            Stream { probe, vantage, boot_id, cuts, last_seq, worst_slip_us, phases, seconds: Vec::new() };
        Some(Head { stream, start_us: input.signed()?, boot_offset: input.signed()?, count: input.count()? })
    };
    let heads: Vec<Head> = (0..count).map(head).collect::<Option<_>>()?;
    // Each second takes a byte in each column.
    let all = heads.iter().map(|head| head.count).sum::<usize>();
    (all <= input.rest().len()).then_some((names, heads))
}

/// Reads the place of a text, and copies the text.
fn copy(input: &mut In<'_>, names: &[Cow<'_, str>]) -> Option<String> {
    let name = names.get(usize::try_from(input.number()?).ok()?)?;
    input.take::<u8>(name.len())?;
    Some(name.clone().into_owned())
}

/// The number of columns in which every second has a number.
const COLUMNS: usize = 11;

fn seconds(input: &mut In<'_>, names: &[Cow<'_, str>], heads: Vec<Head>) -> Option<Vec<Stream>> {
    let all = heads.iter().map(|head| head.count).sum::<usize>();
    let mut columns: [Vec<u64>; COLUMNS] = std::array::from_fn(|_| Vec::new());
    for column in &mut columns {
        column.reserve_exact(all);
        for _ in 0..all {
            column.push(input.number()?);
        }
    }
    let mut place = 0;
    let mut streams = Vec::with_capacity(heads.len());
    for Head { mut stream, start_us, boot_offset, count } in heads {
        let mut before = Before { end_us: start_us, boot_offset, number: 0 };
        stream.seconds.reserve_exact(count);
        for _ in 0..count {
            let second = second(input, names, &columns, place, &before)?;
            place += 1;
            before.pass(&second);
            stream.seconds.push(second);
        }
        streams.push(stream);
    }
    Some(streams)
}

fn second(
    input: &mut In<'_>,
    names: &[Cow<'_, str>],
    columns: &[Vec<u64>; COLUMNS],
    place: usize,
    before: &Before,
) -> Option<Second> {
    let [gap, drift, length, due, slipped, bad, lost, first_us, first, unreadable, late] =
        std::array::from_fn(|column| columns[column].get(place).copied().unwrap_or(0));
    let signed = |number: u64| (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
    let start_us = before.end_us.wrapping_add(signed(gap));
    let boot_offset = before.boot_offset.wrapping_add(signed(drift));
    let good = due.wrapping_sub(bad).wrapping_sub(slipped).wrapping_sub(signed(lost).cast_unsigned());
    let mut second = Second {
        start_us,
        start_boot_us: start_us.wrapping_add(boot_offset).cast_unsigned(),
        length_us: signed(length).cast_unsigned().wrapping_add(USUAL_US),
        due,
        good,
        bad,
        causes: BTreeMap::new(),
        slipped,
        first_bad_us: None,
        last_bad_us: None,
        single: None,
        latencies: None,
        lateness: Lateness::OnTime,
    };
    if bad > 0 {
        second.first_bad_us = input.number()?.checked_sub(1);
        second.last_bad_us = input.number()?.checked_sub(1);
        for _ in 0..input.count()? {
            let name = copy(input, names)?;
            input.take::<(String, u64)>(1)?;
            second.causes.insert(name, input.number()?);
        }
    }
    if let Some(first_us) = first_us.checked_sub(1) {
        let number = if due > 0 { before.number.wrapping_add(signed(first).cast_unsigned()) } else { 0 };
        let ends = if good == due { Vec::new() } else { ends(input, due)? };
        second.single = Some(Single { first: number, first_us, ends });
    }
    second.lateness = match late {
        ON_TIME => Lateness::OnTime,
        UNREADABLE => Lateness::Unreadable,
        count => {
            let started = input.number()?;
            Lateness::Late { started, cells: input.cells(few(count - LATE)?)? }
        }
    };
    if unreadable == 0 {
        second.latencies = Some(input.cells(few(good)?)?);
    }
    Some(second)
}

/// Reads the runs of outcomes of `due` requests.
fn ends(input: &mut In<'_>, due: u64) -> Option<Vec<(Outcome, u32)>> {
    let mut ends = Vec::new();
    let mut left = u32::try_from(few(due)?).ok()?;
    while left > 0 {
        let run = input.number()?;
        let count = u32::try_from(run >> 2).ok().filter(|count| (1..=left).contains(count))?;
        input.take::<(Outcome, u32)>(1)?;
        ends.push((Outcome::of((run & 3) as u8)?, count));
        left -= count;
    }
    Some(ends)
}

/// Returns a number of requests; `None` if it is above that of any bin.
fn few(count: u64) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| *count <= MOST)
}
