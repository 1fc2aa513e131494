//! Reads `events.jsonl` back, a line at a time. Never changes the file, and never guesses at a damaged record.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use super::{
    Log, LogError,
    line::{Line, begins_as, line},
    measured::Place,
};

/// Reads a log.
///
/// # Errors
/// The file cannot be read, or a line before the last is damaged. A torn last line is no error: a run that was cut
/// off leaves one, and [`Log::warnings`] reports it. Damaged measurements are no error either: they count as not made.
pub fn read(path: &Path) -> Result<Log, LogError> {
    let io = |source| LogError::Io { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let mut log = Log::in_file(path);
    lines(BufReader::with_capacity(1 << 18, file), path, &mut log, true)?;
    Ok(log)
}

/// Reads a log from memory; `path` is for the messages.
///
/// # Errors
/// A line before the last is damaged.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Log, LogError> {
    let mut log = Log::default();
    lines(bytes, path, &mut log, false)?;
    Ok(log)
}

/// Reads all lines. Where they are `in_file`, measurements are left there.
fn lines(mut input: impl BufRead, path: &Path, log: &mut Log, in_file: bool) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    let mut held = super::pending::Pending::default();
    for number in 1.. {
        bytes.clear();
        let read = input.read_until(b'\n', &mut bytes);
        let length = read.map_err(|source| LogError::Io { doing: "read", path: path.to_owned(), source })?;
        if length == 0 {
            break;
        }
        let length = length as u64;
        log.lines = number;
        let ended = bytes.last() == Some(&b'\n');
        let place = in_file.then_some(Place { line: number, offset: log.whole_bytes, length });
        match line(&bytes) {
            Ok(Line::Bins { seq, at_us, from_us, until_us, bins, data }) => {
                log.hold(&mut held);
                log.count(seq, at_us);
                log.block((from_us, until_us), bins, data, place);
            }
            Ok(Line::Bin { seq, at_us, vantage, start_us, bin }) => {
                log.count(seq, at_us);
                match place {
                    Some(place) => {
                        let length = i64::try_from(bin.length_us).unwrap_or(i64::MAX);
                        log.bin(start_us, start_us.saturating_add(length), place);
                    }
                    None => held.push(&log.scales, &vantage, start_us, &bin),
                }
            }
            Ok(Line::Other(record, warning)) => {
                log.hold(&mut held);
                log.count(record.seq, record.at_us);
                log.warnings.extend(warning.map(|warning| format!("line {number}: {warning}")));
                log.push(*record, place);
            }
            Err(_) if bytes.trim_ascii().is_empty() => {}
            // Only a line without its end can have been cut off while it was written.
            Err(_) if !ended => {
                log.warnings.push(format!(
                    "line {number}: the last record is torn, as after a crash; it is left out"
                ));
                break;
            }
            // The gap in the numbers keeps a run with this damage from being `held`.
            Err(why) if begins_as(&bytes, "bins") => {
                log.warnings.push(format!(
                    "line {number}: a record of measurements is damaged and counts as not measured: {why}"
                ));
            }
            Err(why) => return Err(LogError::Damaged { path: path.to_owned(), line: number, why }),
        }
        log.whole_bytes += length;
    }
    log.hold(&mut held);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Event;

    const NOTE: &str = r#"{"v":1,"seq":1,"at_us":5,"event":"note","text":"hello"}"#;

    fn read_text(text: &str) -> Result<Log, LogError> {
        parse(text.as_bytes(), Path::new("events.jsonl"))
    }

    #[test]
    fn a_torn_last_line_is_reported_and_left_out() {
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
