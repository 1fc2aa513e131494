//! Checks the chain of an audit log.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::Path,
};

use super::{head::Head, line::Line};
use crate::{error::RoomError, secret::sha256};

/// Maximum length of a line, in bytes. A longer line is none of an audit log.
const LINE_MOST: u64 = 1 << 20;

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The head of the part of the log that is in order.
    pub head: Head,
    /// The first problem, with the number of its line in the file; `None` if the log is in order.
    pub wrong: Option<(u64, String)>,
}

/// Checks that each line of an audit log follows the one before, and that a head that was remembered belongs to one of its lines.
///
/// # Errors
/// The file cannot be read.
pub fn check(path: &Path, remembered: Option<&Head>) -> Result<Checked, RoomError> {
    let io = |source| RoomError::Io { doing: "read", path: path.to_owned(), source };
    let mut input = BufReader::new(File::open(path).map_err(io)?);
    let mut head = Head::default();
    let mut is_seen = remembered.is_none_or(|old| *old == head);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = input.by_ref().take(LINE_MOST).read_until(b'\n', &mut bytes).map_err(io)?;
        if read == 0 {
            break;
        }
        match next(&head, &bytes, remembered) {
            Ok(after) => head = after,
            Err(why) => return Ok(Checked { wrong: Some((head.n + 1, why)), head }),
        }
        is_seen |= remembered == Some(&head);
    }
    let wrong = remembered.filter(|_| !is_seen).map(|old| {
        let wanted = old.n;
        (
            head.n,
            format!("the log ends here, and the head that was remembered is line {wanted}: its end was cut"),
        )
    });
    Ok(Checked { head, wrong })
}

/// Checks the next line against the head before it, and returns the head after it. The error is the problem of the line.
fn next(head: &Head, bytes: &[u8], remembered: Option<&Head>) -> Result<Head, String> {
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return Err("the line has no end: a crash, or the log was cut within it".to_owned());
    };
    let line: Line =
        serde_json::from_slice(text).map_err(|error| format!("it is no line of an audit log: {error}"))?;
    if line.n != head.n + 1 {
        return Err(format!(
            "it has number {}, and {} was expected: lines were taken out or put in",
            line.n,
            head.n + 1
        ));
    }
    if line.prev != head.digest {
        return Err("the line before it was changed, or is another one: its digest differs".to_owned());
    }
    let found = Head { n: line.n, digest: sha256(text) };
    match remembered {
        Some(old) if old.n == found.n && *old != found => {
            Err("it differs from the head that was remembered: it, or a line before it, was changed"
                .to_owned())
        }
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{Audit, Deed},
        *,
    };

    fn deed(on: &str) -> Deed {
        let (by, via) = ("alice".to_owned(), "session 1".to_owned());
        Deed { by, via, what: "halt", on: on.to_owned(), outcome: "it ends".to_owned() }
    }

    /// A log of five lines, and its head.
    fn log() -> (tempfile::TempDir, Audit, Head) {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::at(folder.path());
        let heads: Vec<Head> = (1..=5).map(|n| audit.write(&deed(&format!("run-{n}"))).unwrap()).collect();
        (folder, audit, heads[4].clone())
    }

    /// Changes the lines of a log; returns the problems that are found without and with a remembered head.
    fn after(change: impl Fn(&mut Vec<String>)) -> [Option<(u64, String)>; 2] {
        let (_folder, audit, head) = log();
        let mut lines: Vec<String> =
            fs::read_to_string(audit.path()).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(audit.path(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        [None, Some(&head)].map(|remembered| check(audit.path(), remembered).unwrap().wrong)
    }

    #[test]
    fn a_whole_log_is_in_order() {
        let (_folder, audit, head) = log();
        for remembered in [None, Some(&head), Some(&Head::default())] {
            assert_eq!(check(audit.path(), remembered).unwrap(), Checked { head: head.clone(), wrong: None });
        }
        assert_eq!(head.to_string().parse(), Ok(head.clone()));
        let (lines, newest) = audit.newest(1 << 20, 2).unwrap();
        assert_eq!((lines.iter().map(|line| line.n).collect::<Vec<_>>(), newest), (vec![5, 4], head));
    }

    #[test]
    fn a_change_a_removal_and_an_insertion_are_found() {
        let at = |found: &Option<(u64, String)>| found.as_ref().map(|(line, _)| *line);
        let changed = after(|lines| lines[2] = lines[2].replace("run-3", "run-9"));
        assert_eq!(changed.each_ref().map(at), [Some(4), Some(4)], "{changed:?}");
        let removed = after(|lines| _ = lines.remove(1));
        assert_eq!(removed.each_ref().map(at), [Some(2), Some(2)], "{removed:?}");
        let doubled = after(|lines| lines.insert(1, lines[1].clone()));
        assert_eq!(doubled.each_ref().map(at), [Some(3), Some(3)], "{doubled:?}");
        let first = after(|lines| _ = lines.remove(0));
        assert_eq!(first.each_ref().map(at), [Some(1), Some(1)], "{first:?}");
    }

    #[test]
    fn a_cut_end_and_a_changed_last_line_are_found_by_a_head() {
        let [unknown, cut] = after(|lines| lines.truncate(3));
        assert_eq!(unknown, None, "without a head a cut is not found");
        assert!(cut.unwrap().1.contains("its end was cut"));
        let [unknown, changed] = after(|lines| lines[4] = lines[4].replace("it ends", "it does not"));
        assert_eq!(unknown, None);
        assert!(changed.unwrap().1.contains("differs from the head"));
        let emptied = after(|lines| lines.clear());
        assert!(emptied[1].is_some(), "{emptied:?}");
    }

    #[test]
    fn half_a_line_of_a_crash_is_told_and_the_chain_goes_on() {
        let (_folder, audit, _) = log();
        let mut text = fs::read(audit.path()).unwrap();
        text.extend(b"{\"v\":1,\"n\":6");
        fs::write(audit.path(), text).unwrap();
        assert!(check(audit.path(), None).unwrap().wrong.unwrap().1.contains("no end"));
        let head = audit.write(&deed("run-7")).unwrap();
        assert_eq!(head.n, 7);
        assert_eq!(check(audit.path(), Some(&head)).unwrap().wrong, None);
        let (lines, _) = audit.newest(1 << 20, 10).unwrap();
        assert!(lines[1].outcome.starts_with("12 bytes"), "{lines:?}");
    }

    #[test]
    fn many_at_once_make_one_chain() {
        let (_folder, audit, _) = log();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|n| _ = audit.write(&deed(&format!("run-{n}"))).unwrap()));
            }
        });
        let checked = check(audit.path(), None).unwrap();
        assert_eq!((checked.head.n, checked.wrong), (45, None));
    }

    #[test]
    fn a_foreign_end_is_not_built_upon() {
        let (_folder, audit, _) = log();
        fs::write(audit.path(), "hello\n").unwrap();
        assert!(audit.write(&deed("run-1")).unwrap_err().to_string().contains("none of an audit log"));
    }
}
