//! `firedrill-agent log`: prints the audit files and the journal, which say who asked this host for what, and what happened.
//! Needs no running agent, and changes nothing.

use std::{
    io,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use firedrill_wire::journal::What;

use crate::{
    audit::{Entry, Outcome, last_copied_seq, read},
    config::Usable,
    journal::{FILE, Tail},
};

/// The length of a day in UTC.
const DAY: Duration = Duration::from_secs(86_400);
/// Names of the days of the week, Monday first.
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A day from midnight to midnight UTC, or a moment (`from == to`). `--since` uses `from`, `--until` uses `to`, which is not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When {
    from: SystemTime,
    to: SystemTime,
}

/// Options of `log`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only entries from this time on, in UTC: 2026-11-20, 2026-11-20T14:00:00Z, today, yesterday, friday (the last one before today), or an
    /// age (2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Only entries before this time, in UTC; a day is included
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
    /// Only entries of this day, in UTC
    #[arg(long, value_name = "DAY", value_parser = day, conflicts_with_all = ["since", "until"])]
    on: Option<When>,
    /// Only entries of this run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only entries that name this person, by the name in the certificate
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only requests that were refused or failed
    #[arg(long)]
    refused: bool,
    /// Print a line of JSON for each entry
    #[arg(long)]
    json: bool,
}

pub(super) fn run(usable: &Usable, args: &Args) -> io::Result<ExitCode> {
    let state = &usable.of_running_or_next().paths.state;
    let fail = |error: io::Error| {
        io::Error::other(format!("cannot read the records in {}: {error}", state.display()))
    };
    let mut entries = read(state).map_err(fail)?;
    let (newest, error) = not_copied_yet(state);
    entries.extend(newest);
    if let Some(error) = error {
        errln!(
            "warning: the journal in {} cannot be read, so the newest events may be missing: {error}",
            state.display()
        );
    }
    entries.sort_by_key(Entry::wall_us);
    let shown: Vec<&Entry> = entries.iter().filter(|entry| args.wants(entry)).collect();
    for entry in &shown {
        if args.json {
            outln!("{}", serde_json::to_string(entry)?);
        } else {
            outln!("{}  {entry}", humantime::format_rfc3339_seconds(time_of(entry)));
        }
    }
    if shown.is_empty() && !args.json {
        match entries.first().map(time_of) {
            Some(oldest) => {
                outln!(
                    "no entry matches; the oldest record is from {}",
                    humantime::format_rfc3339_seconds(oldest)
                );
            }
            None => outln!("there is no record in {}", state.display()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn time_of(entry: &Entry) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(entry.wall_us())
}

/// Returns the events that are in the journal and not in the audit files, because the agent ended before it copied them. Leaves out evidence,
/// as the audit files do. If a part of the journal cannot be read, returns the events before that part, and the error.
fn not_copied_yet(state: &std::path::Path) -> (Vec<Entry>, Option<io::Error>) {
    let mut tail = Tail::new(state.join(FILE), last_copied_seq(state));
    let mut entries = Vec::new();
    loop {
        let events = match tail.next(u64::MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (entries, None),
            Err(error) => return (entries, Some(error)),
            Ok(events) if events.is_empty() => return (entries, None),
            Ok(events) => events,
        };
        entries.extend(
            events.into_iter().filter(|event| !matches!(event.what, What::Looked { .. })).map(Entry::Event),
        );
    }
}

impl Args {
    /// Whether the options select this entry.
    fn wants(&self, entry: &Entry) -> bool {
        let at = time_of(entry);
        let not_too_old = self.on.or(self.since).is_none_or(|when| at >= when.from);
        let not_too_new = self.on.or(self.until).is_none_or(|when| at < when.to);
        let is_refused = matches!(entry, Entry::Request(request) if request.outcome == Outcome::Refused);
        not_too_old
            && not_too_new
            && (is_refused || !self.refused)
            && self.run.as_ref().is_none_or(|run| entry.run() == run)
            && self.who.as_ref().is_none_or(|who| entry.who() == who)
    }
}

/// Reads a value of `--since` or `--until`.
fn when(text: &str) -> Result<When, String> {
    when_at(text, SystemTime::now())
}

/// Reads a value of `--on`, which must be a day.
fn day(text: &str) -> Result<When, String> {
    let read = when(text)?;
    if read.from == read.to {
        return Err("write a day (2026-11-20, friday, yesterday); --since and --until take a time".to_owned());
    }
    Ok(read)
}

/// Reads a day, a time, or an age before `now`. A time and an age are moments.
fn when_at(text: &str, now: SystemTime) -> Result<When, String> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let today = seconds / DAY.as_secs();
    let day = |days_ago: u64| {
        let from = SystemTime::UNIX_EPOCH + DAY * u32::try_from(today.saturating_sub(days_ago)).unwrap_or(0);
        Ok(When { from, to: from + DAY })
    };
    let lower = text.trim().to_ascii_lowercase();
    match lower.as_str() {
        "today" => return day(0),
        "yesterday" => return day(1),
        _ => {}
    }
    // Full names, or their first three letters.
    if let Some(wanted) = WEEKDAYS.iter().position(|name| *name == lower || name[..3] == lower) {
        // 1 January 1970 was a Thursday.
        let current = (today + 3) % 7;
        let days_ago = (current + 7 - wanted as u64) % 7;
        // The name of today means the day a week ago.
        return day(if days_ago == 0 { 7 } else { days_ago });
    }
    let upper = text.trim().to_ascii_uppercase();
    // A text that is complete with a time of day is a day.
    if let Ok(from) = humantime::parse_rfc3339_weak(&format!("{upper} 00:00:00")) {
        return Ok(When { from, to: from + DAY });
    }
    // A time of day may lack its seconds.
    for time in [upper.clone(), format!("{upper}:00")] {
        if let Ok(from) = humantime::parse_rfc3339_weak(&time) {
            return Ok(When { from, to: from });
        }
    }
    if let Ok(ago) = humantime::parse_duration(text.trim()) {
        let from = now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        return Ok(When { from, to: from });
    }
    Err("write a day (2026-11-20, friday, yesterday), a time (2026-11-20T14:00:00Z), or an age (2h, 7d)"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_times_and_ages_are_read() {
        let time = |text: &str| humantime::parse_rfc3339(text).unwrap();
        // A Thursday.
        let now = time("2026-11-26T10:00:00Z");
        let read = |text: &str| when_at(text, now).map(|when| (when.from, when.to));
        let day = |text: &str| {
            let from = time(&format!("{text}T00:00:00Z"));
            Ok((from, from + DAY))
        };
        assert_eq!(read("2026-11-20"), day("2026-11-20"));
        assert_eq!(read("friday"), day("2026-11-20"));
        assert_eq!(read("Fri"), day("2026-11-20"));
        assert_eq!(read("wednesday"), day("2026-11-25"));
        assert_eq!(read("thursday"), day("2026-11-19"), "the last one, not today");
        assert_eq!(read("today"), day("2026-11-26"));
        assert_eq!(read("yesterday"), day("2026-11-25"));
        let moment = |text: &str| Ok((time(text), time(text)));
        assert_eq!(read("2026-11-20T14:00:00Z"), moment("2026-11-20T14:00:00Z"));
        assert_eq!(read("2026-11-20 14:00"), moment("2026-11-20T14:00:00Z"));
        assert_eq!(read("2h"), moment("2026-11-26T08:00:00Z"));
        assert_eq!(read("1M"), moment("2026-10-26T23:26:24Z"), "M is a month, not a minute");
        assert!(read("some day").is_err());
        assert!(super::day("2026-11-20").is_ok() && super::day("fri").is_ok());
        for moment in ["2h", "2026-11-20T14:00:00Z"] {
            assert!(super::day(moment).unwrap_err().contains("--since"), "a moment is not a day");
        }
    }
}
