//! The judgements of a run: this one and the earlier ones. A newer version of Firedrill may judge the same log differently. The old verdict stays in
//! the report, because people may have acted on it.

use std::{fs, io::Read as _, path::Path, time::SystemTime};

use firedrill_wire::text::{self, Breaks};
use serde::{Deserialize, Serialize};

use crate::{score::Scorecard, verdict::Verdict};

/// The file in which the earlier judgements are found. The same name as that of `Format::Json`.
const REPORT: &str = "report.json";
/// Maximum size of a `report.json` that is read, in bytes.
const MOST: u64 = 256 << 20;
/// Maximum number of earlier judgements in a report; the oldest are dropped.
const KEPT: usize = 20;

/// One judgement of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The version of Firedrill that made the judgement.
    pub version: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The score, 0 to 100; `None` if the run has none.
    pub score: Option<u8>,
    /// The time of the first report with this judgement, RFC 3339 UTC.
    pub at: String,
    /// Number of records of the log; `None` if the earlier report does not say it. A log grows if records of agents are collected after the run.
    pub records: Option<usize>,
}

/// The parts of an earlier `report.json` that are read.
#[derive(Deserialize)]
struct Old {
    firedrill: String,
    /// `None` in reports of versions that did not write it.
    judged: Option<Judged>,
    #[serde(default)]
    previous: Vec<Judged>,
    scorecard: OldCard,
}

/// The parts of an earlier scorecard that are read.
#[derive(Deserialize)]
struct OldCard {
    verdict: Verdict,
    score: Option<u8>,
}

/// Returns this judgement, and the earlier ones, oldest first. If the report in the folder cannot be read, there are no earlier ones. If it
/// has the same verdict and score by the same version, this judgement gets its time.
pub(super) fn beside(
    folder: &Path,
    card: &Scorecard,
    records: usize,
    now: SystemTime,
) -> (Judged, Vec<Judged>) {
    let now = Judged {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: card.verdict,
        score: card.score,
        at: moment(now),
        records: Some(records),
    };
    let Some((old, written)) = read(folder) else { return (now, Vec::new()) };
    let mut previous = old.previous;
    // A report without `judged` was made by the version that ran the drill.
    let last = old.judged.unwrap_or(Judged {
        version: old.firedrill,
        verdict: old.scorecard.verdict,
        score: old.scorecard.score,
        at: moment(written),
        records: None,
    });
    if (&last.version, last.verdict, last.score) == (&now.version, now.verdict, now.score) {
        return (Judged { at: last.at, ..now }, previous);
    }
    previous.push(last);
    let dropped = previous.len().saturating_sub(KEPT);
    previous.drain(..dropped);
    (now, previous)
}

/// Reads the report in the folder. Returns it with the time at which its file was changed; `None` if it cannot be read.
fn read(folder: &Path) -> Option<(Old, SystemTime)> {
    let file = fs::File::open(folder.join(REPORT)).ok()?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    // Anybody with write access to the folder may have written it, so its texts are cleaned of control characters and line breaks.
    let old = text::from_json(&bytes, Breaks::None).ok()?;
    Some((old, about.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
}

/// Formats a time as RFC 3339 UTC, in whole seconds.
fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

impl Judged {
    /// Describes this earlier judgement in a sentence, compared with the judgement `now`.
    pub(super) fn sentence(&self, now: &Self) -> String {
        let score = self.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
        let day = self.at.get(..10).unwrap_or(&self.at);
        let mut text =
            format!("Before, firedrill {} judged it {} ({score}), on {day}", self.version, self.verdict);
        match (self.records, now.records) {
            (Some(then), Some(records)) if then != records => {
                text += &format!("; its log had {then} records then, and has {records} now");
            }
            (Some(_), _) => text += ", by the same log",
            (None, _) => {}
        }
        text + "."
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{
        log::Log,
        report::{Format, Input, write},
        testing::Drill,
    };

    fn at(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(day * 86_400)
    }

    fn render(folder: &Path, log: &Log, day: u64) -> serde_json::Value {
        let input = Input::new(log).beside(folder, at(day));
        write(folder, &input, &Format::ALL).unwrap();
        serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap()
    }

    #[test]
    fn an_old_verdict_stays_beside_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let log = Log::of(&Drill::one().records());
        let first = render(here, &log, 10);
        assert_eq!(
            (&first["judged"]["verdict"], &first["judged"]["at"]),
            (&"held".into(), &"1970-01-11T00:00:00Z".into())
        );
        assert!(first.get("previous").is_none());
        assert_eq!(
            render(here, &log, 11),
            first,
            "the same judgement keeps its time and adds no earlier one"
        );
        // A report in which an older version judged differently.
        let old = fs::read_to_string(here.join("report.json")).unwrap();
        let ours = format!("\"version\": \"{}\",\n    \"verdict\": \"held\"", env!("CARGO_PKG_VERSION"));
        let old = old.replacen(&ours, "\"version\": \"0.0.9\",\n    \"verdict\": \"unknown\"", 1);
        fs::write(here.join("report.json"), old).unwrap();
        let second = render(here, &log, 12);
        assert_eq!(second["previous"][0]["version"], "0.0.9");
        assert_eq!(
            (&second["previous"][0]["verdict"], &second["judged"]["verdict"]),
            (&"unknown".into(), &"held".into())
        );
        assert_eq!(second["judged"]["at"], "1970-01-13T00:00:00Z");
        for file in ["report.html", "report.md"] {
            let text = fs::read_to_string(here.join(file)).unwrap();
            let sentence =
                "Before, firedrill 0.0.9 judged it unknown (score 100), on 1970-01-11, by the same log.";
            assert!(text.replace('\\', "").contains(sentence), "{file}: {text}");
        }
        assert_eq!(render(here, &log, 13), second);
    }

    #[test]
    fn a_report_without_judged_gives_its_verdict_and_a_damaged_report_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        let log = Log::of(&Drill::one().records());
        let old = Format::Json.render(&Input::new(&log)).unwrap();
        let old =
            String::from_utf8(old).unwrap().replacen("\"verdict\": \"held\"", "\"verdict\": \"violated\"", 1);
        fs::write(here.join("report.json"), old).unwrap();
        let read = render(here, &log, 12);
        assert_eq!(
            (&read["previous"][0]["verdict"], &read["previous"][0]["records"]),
            (&"violated".into(), &serde_json::Value::Null)
        );
        fs::write(here.join("report.json"), "{").unwrap();
        assert!(render(here, &log, 13).get("previous").is_none());
    }

    #[test]
    fn the_sentence_names_both_lengths_of_a_log_that_has_grown() {
        let judged = |records| Judged {
            version: "0.1.0".to_owned(),
            verdict: Verdict::Unknown,
            score: None,
            at: "2026-11-20T14:02:11Z".to_owned(),
            records: Some(records),
        };
        let sentence = judged(30).sentence(&judged(40));
        assert_eq!(
            sentence,
            "Before, firedrill 0.1.0 judged it unknown (no score), on 2026-11-20; its log had 30 records then, and has 40 now."
        );
    }
}
