//! Parses one line of a log. Measurements, which are most lines, are parsed without trying all other kinds of records.

use firedrill_wire::{journal::What, probe::Bin};
use serde::Deserialize;

use super::{Event, Record, clean::from_line};

/// Number of bytes at the beginning of a line in which its event is searched.
const HEAD: usize = 96;

/// The fields that the records of every version have.
#[derive(Deserialize)]
struct Envelope {
    v: u32,
    seq: u64,
    at_us: i64,
    event: String,
}

/// The fields of a record of one bin.
#[derive(Deserialize)]
struct BinLine {
    v: u32,
    seq: u64,
    at_us: i64,
    vantage: String,
    start_us: i64,
    bin: Box<Bin>,
}

/// The fields of a record of many bins. The data are not copied.
#[derive(Deserialize)]
struct BinsLine<'a> {
    v: u32,
    seq: u64,
    at_us: i64,
    from_us: i64,
    until_us: i64,
    bins: u64,
    data: &'a str,
}

/// A line of a log.
pub(super) enum Line<'a> {
    /// Many bins.
    Bins { seq: u64, at_us: i64, from_us: i64, until_us: i64, bins: u64, data: &'a str },
    /// A single bin.
    Bin { seq: u64, at_us: i64, vantage: String, start_us: i64, bin: Box<Bin> },
    /// Any other record, and a warning for people.
    Other(Box<Record>, Option<String>),
}

/// Whether a line begins like a record of that event. Lines of this build do; a line of another build may not, and
/// still be such a record.
pub(super) fn begins_as(line: &[u8], event: &str) -> bool {
    let head = &line[..line.len().min(HEAD)];
    let wanted = format!("\"event\":\"{event}\"");
    head.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

/// Reads one line.
pub(super) fn line(line: &[u8]) -> Result<Line<'_>, String> {
    if begins_as(line, "bins")
        && let Ok(BinsLine { v: Record::VERSION, seq, at_us, from_us, until_us, bins, data }) =
            serde_json::from_slice(line)
    {
        return Ok(Line::Bins { seq, at_us, from_us, until_us, bins, data });
    }
    if begins_as(line, "bin")
        && let Ok(BinLine { v: Record::VERSION, seq, at_us, vantage, start_us, bin }) = from_line(line)
    {
        return Ok(Line::Bin { seq, at_us, vantage, start_us, bin });
    }
    record(line).map(|(record, warning)| Line::Other(Box::new(record), warning))
}

/// Reads a line as any record, with a warning for people if this version does not know it.
fn record(line: &[u8]) -> Result<(Record, Option<String>), String> {
    let why = match Record::of_line(line) {
        Ok(record) => {
            let warning = match &record.event {
                Event::Agent { host, what, .. } => match &what.what {
                    What::Unknown { text } => Some(format!(
                        "an event of the agent of {host} is not known to this version of firedrill: {text}"
                    )),
                    _ => None,
                },
                _ => None,
            };
            return Ok((record, warning));
        }
        Err(why) => why.to_string(),
    };
    let envelope: Envelope = serde_json::from_slice(line).map_err(|_| why.clone())?;
    // A newer Firedrill or a newer agent may write records that this version does not know. They keep their number,
    // so that no gap appears; anything else that does not fit is damage.
    if !why.starts_with("unknown variant") && envelope.v <= Record::VERSION {
        return Err(why);
    }
    let text = format!(
        "record {} (`{}`, format {}) is not known to this version of firedrill and was not taken into account: {why}",
        envelope.seq, envelope.event, envelope.v
    );
    let note = Record {
        v: envelope.v,
        seq: envelope.seq,
        at_us: envelope.at_us,
        event: Event::Unknown { name: envelope.event, text: text.clone() },
    };
    Ok((note, Some(text)))
}
