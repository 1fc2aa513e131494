//! Reads `events.jsonl` back. Never changes the file, and never guesses at a damaged record.

use std::path::Path;

use firedrill_wire::journal::What;
use serde::Deserialize;

use super::{Event, LogError, Record};

/// A log as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// All whole records, in order. One that this version does not know stands here as
    /// [`Event::Unknown`].
    pub records: Vec<Record>,
    /// What people should know about the file: a torn last line, records that are not known here.
    pub warnings: Vec<String>,
    /// How many bytes of the file are whole records; less than its length if the last line is torn.
    pub whole_bytes: u64,
}

/// What every version's records have.
#[derive(Deserialize)]
struct Envelope {
    v: u32,
    seq: u64,
    at_us: i64,
    event: String,
}

/// Reads a log.
///
/// # Errors
/// The file cannot be read, or a line before the last is damaged. A torn last line is no error: a run that was cut
/// off leaves one, and it stands in [`Log::warnings`].
pub fn read(path: &Path) -> Result<Log, LogError> {
    let bytes = std::fs::read(path).map_err(|source| LogError::Io {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes, path)
}

/// Reads a log from memory; `path` is for the messages.
///
/// # Errors
/// A line before the last is damaged.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Log, LogError> {
    let mut log = Log::default();
    let mut at = 0_usize;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = at + line.len();
        let ended = line.last() == Some(&b'\n');
        match record(line) {
            Ok((record, warning)) => {
                log.records.push(record);
                log.warnings.extend(warning.map(|warning| format!("line {}: {warning}", index + 1)));
            }
            Err(_) if line.trim_ascii().is_empty() => {}
            // Only a line without its end can have been cut off while it was written.
            Err(_) if !ended => {
                log.warnings.push(format!(
                    "line {}: the last record is torn, as after a crash; it is left out",
                    index + 1
                ));
                break;
            }
            Err(why) => {
                return Err(LogError::Damaged { path: path.to_owned(), line: index + 1, why });
            }
        }
        at = end;
        log.whole_bytes = u64::try_from(at).unwrap_or(u64::MAX);
    }
    Ok(log)
}

fn record(line: &[u8]) -> Result<(Record, Option<String>), String> {
    let why = match serde_json::from_slice::<Record>(line) {
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
    // A newer Firedrill or a newer agent may say things that this one has no word for. They keep their place, so that
    // the numbers stay whole; anything else that does not fit is damage.
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = r#"{"v":1,"seq":1,"at_us":5,"event":"note","text":"hello"}"#;

    fn read_text(text: &str) -> Result<Log, LogError> {
        parse(text.as_bytes(), Path::new("events.jsonl"))
    }

    #[test]
    fn a_torn_last_line_is_said_and_left_out() {
        let log = read_text(&format!("{NOTE}\n{}", &NOTE[..20])).expect("tolerated");
        assert_eq!(log.records.len(), 1);
        assert_eq!(log.whole_bytes, NOTE.len() as u64 + 1);
        assert!(log.warnings[0].contains("line 2"), "{:?}", log.warnings);
    }

    #[test]
    fn a_damaged_middle_is_an_error_that_names_the_line() {
        let error = read_text(&format!("{NOTE}\n{{\"v\":1,\n{NOTE}\n")).expect_err("damaged").to_string();
        assert!(error.contains("line 2"), "{error}");
        let wrong_field = r#"{"v":1,"seq":2,"at_us":5,"event":"note","text":7}"#;
        assert!(read_text(&format!("{wrong_field}\n{NOTE}\n")).is_err());
    }

    #[test]
    fn an_unknown_record_keeps_its_place() {
        let newer = r#"{"v":1,"seq":2,"at_us":9,"event":"page-sent","to":"ops"}"#;
        let log = read_text(&format!("{NOTE}\n{newer}\n")).expect("tolerated");
        assert_eq!((log.records[1].seq, log.records[1].at_us), (2, 9));
        assert!(matches!(&log.records[1].event, Event::Unknown { name, .. } if name == "page-sent"));
        assert!(log.warnings[0].contains("page-sent"), "{:?}", log.warnings);
        let nested = r#"{"v":1,"seq":2,"at_us":9,"event":"agent","host":"a","happened_us":1,"what":{"seq":1,"boot_us":1,"boot_id":"b","wall_us":1,"event":"sang"}}"#;
        assert_eq!(read_text(nested).expect("tolerated").warnings.len(), 1);
    }
}
