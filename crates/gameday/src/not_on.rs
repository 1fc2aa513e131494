//! Reads the entries of `not_on`: dates, ranges of dates, and calendar files.

use std::path::Path;

use firedrill_plan::diagnostic::{Place, Problem, Sink};
use jiff::tz::TimeZoneDatabase;

use crate::{
    calendar,
    closed::{Closed, Span},
    times::date,
};

/// Reads one entry. The path of a calendar is relative to `base`. `place` is the entry's place in the game day; errors go to `sink`.
pub(crate) fn read(
    text: &str,
    base: &Path,
    place: Place,
    zones: &TimeZoneDatabase,
    sink: &mut Sink,
) -> Vec<Closed> {
    let is_calendar = Path::new(text).extension().is_some_and(|end| end.eq_ignore_ascii_case("ics"));
    if is_calendar {
        return calendar::load(&base.join(text), place, zones, sink);
    }
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (first.trim(), last.trim()),
        None => (text, text),
    };
    match (date(first), date(last)) {
        (Some(first), Some(last)) if first <= last => {
            vec![Closed { span: Span::Days(first, last), why: format!("not on {text}") }]
        }
        (Some(_), Some(_)) => {
            let problem =
                Problem::error(format!("`{text}` ends before it begins")).at(place, "runs backwards");
            sink.push(problem.help(format!("\"{last}..{first}\"")));
            Vec::new()
        }
        _ => {
            let problem = Problem::error(format!("`{text}` is no date, no range of dates and no calendar"));
            let help =
                "\"2026-12-04\", \"2026-12-18..2027-01-04\", or the path of a file that ends with `.ics`";
            sink.push(problem.at(place, "none of these").help(help));
            Vec::new()
        }
    }
}
