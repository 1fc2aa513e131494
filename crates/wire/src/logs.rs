//! Logs of a host's programs that an agent reads for a run: the number of lines that match a pattern in each second, and the
//! first of these lines.

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::{Span, Touches, text};

/// Maximum length of a pattern, in characters.
pub const PATTERN_MOST: usize = 1000;
/// Maximum number of lines of one second or one phase that are kept.
pub const LINES_MOST: u32 = 50;
/// Maximum length of a line that is matched, in bytes. A longer one is cut there.
pub const LINE_MOST: usize = 4096;
/// Maximum length of a line that is kept, in characters.
pub const KEPT_MOST: usize = 500;
/// Maximum memory of a compiled pattern, in bytes.
const PATTERN_MEMORY: usize = 256 * 1024;
/// Maximum memory of the states that a search builds from the pattern, in bytes.
const SEARCH_MEMORY: usize = 512 * 1024;

/// The beginning of the name of a unit's log, in policies, requests and reports.
pub const UNIT: &str = "unit:";
/// Maximum length of a unit's name, in bytes.
const UNIT_MOST: usize = 255;

/// A log that an agent reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// The log's name in the run.
    #[serde(deserialize_with = "text::short")]
    pub name: String,
    /// The whole path of the file, or [`UNIT`] and the name of a service of systemd.
    pub file: String,
    /// The pattern. The lines that match it are counted.
    #[serde(rename = "match")]
    pub matches: String,
    /// Maximum number of matching lines that are kept of each second, the first ones.
    pub lines: u32,
}

/// Starts to read logs. Reading begins at the present end of each file, and goes on if the link is cut. Bins are kept until they are
/// fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartLogs {
    /// The logs.
    pub logs: Vec<LogSpec>,
    /// Reading stops by itself after this time, even if the coordinator dies.
    pub at_most: Span,
    /// Environment of the scenario, for the policy.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::short_option")]
    pub environment: Option<String>,
}

impl StartLogs {
    /// Maximum number of logs of one run on an agent.
    pub const MOST: usize = 16;
}

/// The place of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A file, by its whole path.
    File(&'a str),
    /// The messages of a service of systemd in the journal, by the service's whole name.
    Unit(&'a str),
}

impl LogSpec {
    /// The name of logs in policies.
    pub const KIND: &'static str = "logs";

    /// Returns the place of the log.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        self.file.strip_prefix(UNIT).map_or(Place::File(&self.file), Place::Unit)
    }

    /// Returns the file that is read, or the service whose messages are read.
    #[must_use]
    pub fn touches(&self) -> Touches {
        let Self { name: _, file: _, matches: _, lines: _ } = self;
        match self.place() {
            Place::File(file) => Touches { reads: vec![file.to_owned()], ..Touches::default() },
            Place::Unit(unit) => Touches { services: vec![unit.to_owned()], ..Touches::default() },
        }
    }

    /// Compiles the pattern of the log.
    ///
    /// # Errors
    /// See [`pattern`].
    pub fn pattern(&self) -> Result<Regex, String> {
        pattern(&self.matches)
    }
}

/// Checks the name of a service whose messages are to be read.
///
/// # Errors
/// The name is not valid. The error is a clause for people.
pub fn unit(name: &str) -> Result<(), &'static str> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    match name.strip_suffix(".service") {
        _ if name.len() > UNIT_MOST => Err("it is too long"),
        _ if name.contains('*') => Err("it is a pattern; make a log for each unit"),
        None => Err("it does not end with .service"),
        Some("") => Err("it has no name before .service"),
        Some(_) if name.starts_with(['.', '-', '@']) || !name.chars().all(is_valid) => {
            Err("names of units are made of letters, digits and `:-_.\\@`")
        }
        Some(stem) if stem.ends_with('@') => {
            Err("it is a template; name an instance, such as worker@1.service")
        }
        Some(_) => Ok(()),
    }
}

/// Compiles a pattern. The time of a search is linear in the length of the line.
///
/// # Errors
/// The pattern is empty, too long or invalid. The error is a clause for people.
pub fn pattern(text: &str) -> Result<Regex, String> {
    if text.is_empty() {
        return Err("it is empty, and would match every line; `.` says so".to_owned());
    }
    let length = text.chars().count();
    if length > PATTERN_MOST {
        return Err(format!("it has {length} characters; at most {PATTERN_MOST} fit"));
    }
    if has_property(text) {
        return Err(
            r"`\p{…}` is not known to agents, which have no tables for it; name the letters, or use `\w`, `\d` or `\s`".to_owned()
        );
    }
    let limited = RegexBuilder::new(text).size_limit(PATTERN_MEMORY).dfa_size_limit(SEARCH_MEMORY).build();
    limited.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large; make its repetitions shorter".to_owned(),
        error => error.to_string(),
    })
}

/// Whether a pattern names a property of Unicode, such as `\p{Greek}`.
fn has_property(pattern: &str) -> bool {
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && matches!(letters.next(), Some('p' | 'P')) {
            return true;
        }
    }
    false
}

/// The lines of one log that were read in about one second. Times are microseconds of the host's CLOCK_BOOTTIME.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBin {
    /// Rises by one with each bin of a run, over all its logs.
    pub seq: u64,
    /// The log's name.
    #[serde(deserialize_with = "text::short")]
    pub log: String,
    /// The host's boot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot_id: String,
    /// The time up to which the log was read for the previous bin.
    pub start_boot_us: u64,
    /// The time until all lines that had been written were read.
    pub length_us: u64,
    /// Number of lines.
    #[serde(default)]
    pub lines: u64,
    /// Number of lines that match.
    #[serde(default)]
    pub matched: u64,
    /// The matching lines were written between this time and `last_boot_us`; `None` if no line matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_boot_us: Option<u64>,
    /// See `first_boot_us`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_boot_us: Option<u64>,
    /// Number of lines longer than [`LINE_MOST`] that do not match up to there. Their rest was not searched.
    #[serde(default, skip_serializing_if = "crate::is_default")]
    pub cut: u64,
    /// The reason why some lines may not have been counted, so that the numbers are lower bounds; `None` if all were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<String>,
    /// The reason why the log could not be read; `None` if it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// The first lines that match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<LogLine>,
}

/// A line that was kept. It has no secrets and no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The time at which it was read, or at which the journal took it.
    pub boot_us: u64,
    /// Its text.
    pub text: String,
}

/// Returns a line in the form in which it may leave the host: without secrets, cleaned and cut.
#[must_use]
pub fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text::without_invisible(&text);
    // Secrets are hidden before the line is cut, because the part that is cut off may show where a secret ends.
    text::cleaned(crate::hide::line(&text), KEPT_MOST)
}

impl LogBin {
    /// Returns an estimate of the bin's memory in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = [&self.missed, &self.absent].into_iter().flatten().map(String::len).sum::<usize>();
        let kept = self.kept.iter().map(|line| line.text.len() + size_of::<LogLine>() + 16).sum::<usize>();
        size_of::<Self>() + self.log.len() + self.boot_id.len() + texts + kept + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded() {
        assert!(pattern("ERROR|panic").is_ok_and(|pattern| pattern.is_match(b"a panic \xff")));
        for (text, why) in [
            ("", "is empty"),
            ("(", "unclosed group"),
            ("(?:a{1000}){1000}", "too large"),
            (r"\w{60}", "too large"),
            (&"a".repeat(1001), "1001 characters"),
            (r"[^\P{L}]", "not known to agents"),
        ] {
            assert!(pattern(text).is_err_and(|found| found.contains(why)), "{text}");
        }
        assert!(pattern(r"C:\\proc|(?i)\bÜBER\b").is_ok_and(|pattern| pattern.is_match("über".as_bytes())));
    }

    #[test]
    fn patterns_of_real_logs_are_accepted() {
        for text in [
            "(?i)error|exception|panic|fatal|timed? ?out|connection (?:refused|reset)|broken pipe|out of memory",
            r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}[.,]\d{3,9}(?:Z|[+-]\d{2}:?\d{2})?\s+\[?(?:ERROR|WARN)\]?\s",
            r#"" (?:5\d\d|429) \d+ "[^"]*" "[^"]*"$"#,
            r#""level":\s*"(?:error|fatal)".*"service":\s*"[\w.-]+""#,
            r"\b(?:\d{1,3}\.){3}\d{1,3}:\d{2,5}\b.*\bupstream\b.*\b\w+\s\w+\b",
            r"(?i)\b(?:[a-z0-9_]+\.)+[a-z0-9_]*(?:Exception|Error)\b(?::\s.{1,200})?",
        ] {
            assert!(pattern(text).is_ok(), "{text}: {:?}", pattern(text));
        }
    }

    #[test]
    fn units_are_distinguished_from_files_and_their_names_are_checked() {
        let log = |file: &str| LogSpec { name: "x".into(), file: file.into(), matches: "x".into(), lines: 1 };
        let (file, of_unit) = (log("/var/log/app.log"), log("unit:app.service"));
        assert_eq!(
            (file.place(), of_unit.place()),
            (Place::File("/var/log/app.log"), Place::Unit("app.service"))
        );
        assert_eq!(
            (file.touches().reads, file.touches().services),
            (vec!["/var/log/app.log".into()], vec![])
        );
        assert_eq!(
            (of_unit.touches().reads, of_unit.touches().services),
            (vec![], vec!["app.service".into()])
        );
        for name in ["nginx.service", "app-x\\x2dy.service", "worker@1.service", "a:b_c.d@e.service"] {
            assert_eq!(unit(name), Ok(()), "{name}");
        }
        for (name, why) in [
            ("nginx", "does not end with .service"),
            ("nginx.socket", "does not end with .service"),
            ("app-*.service", "is a pattern"),
            ("worker@.service", "is a template"),
            ("-x.service", "are made of"),
            ("a/b.service", "are made of"),
            ("a b.service", "are made of"),
            (".service", "no name"),
            (&format!("{}.service", "x".repeat(255)), "too long"),
        ] {
            assert!(unit(name).is_err_and(|found| found.contains(why)), "{name}");
        }
    }

    #[test]
    fn a_kept_line_is_safe_to_show() {
        let line = b"ERROR \x1b[31mlogin\x1b[0m password=hunter2 \xff";
        assert_eq!(shown(line), "ERROR login password=*** \u{fffd}");
        assert_eq!(shown(b"\x1b[1mpassword\x1b[0m\x1b[2m=\x1b[0m\x1b[33mhunter2\x1b[0m x"), "password=*** x");
        assert_eq!(
            shown("pass\u{200b}word\u{ad}: hunter2 \u{1b}]8;;http://x\u{7}y".as_bytes()),
            "password: *** y"
        );
        assert_eq!(shown(&vec![b'x'; 4000]).chars().count(), KEPT_MOST);
    }

    #[test]
    fn a_bin_of_a_later_version_is_read() {
        let bin: LogBin =
            serde_json::from_str(r#"{"seq":1,"log":"app","start_boot_us":5,"length_us":9,"new":1}"#)
                .expect("reads");
        assert_eq!((bin.matched, bin.length_us), (0, 9));
    }
}
