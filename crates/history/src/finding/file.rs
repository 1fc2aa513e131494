//! Reads and writes the file of findings: TOML beside the runs, which people read and edit.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use firedrill_files::{text, whole};
use serde::{Deserialize, Serialize};

use super::Finding;
use crate::error::HistoryError;

/// The name of the file in the directory of runs.
pub(crate) const FILE: &str = "findings.toml";
/// The file that is locked while the file of findings is written.
const LOCK: &str = ".findings.lock";
/// The version of the format that this build writes.
const SCHEMA: u32 = 1;
/// Maximum size of the file, in bytes.
const MOST: u64 = 64 << 20;

/// The comment at the beginning of the file.
const HEAD: &str = "\
# Findings of the drills in this directory. `firedrill findings` shows them.
#
# `owner`, `ticket` and `note` are yours: write here, or by `firedrill findings set ID --owner …`. They are kept, and so are fields that you
# add; comments are not. All else follows from the runs and is written anew: a run opens a finding where an objective is violated, and a
# later run of the same scenario in which that objective holds closes it.
";

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Whole {
    schema: u32,
    #[serde(default, rename = "finding")]
    findings: Vec<Finding>,
}

/// Keeps other programs from writing the file of findings. The lock ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as it is open")] File);

/// Waits until no other program writes the file, and locks it.
pub(crate) fn lock(reports: &Path) -> std::io::Result<Lock> {
    let file = File::options().create(true).truncate(false).write(true).open(reports.join(LOCK))?;
    file.lock()?;
    Ok(Lock(file))
}

/// Returns the path of the file in a directory of runs.
pub(crate) fn path(reports: &Path) -> PathBuf {
    reports.join(FILE)
}

/// Reads the findings; `None` if there is no file.
pub(crate) fn read(reports: &Path) -> Result<Option<Vec<Finding>>, HistoryError> {
    let path = path(reports);
    if !path.exists() {
        return Ok(None);
    }
    let bad = |why: String| HistoryError::Findings { path: path.clone(), why };
    let text = text::read(&path, MOST).map_err(bad)?.text;
    // The message of `toml` has the line, and a caret below the mistake.
    let whole: Whole = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if whole.schema > SCHEMA {
        return Err(bad(format!("its schema is {}, and this firedrill knows {SCHEMA}", whole.schema)));
    }
    let mut findings = whole.findings;
    for (index, finding) in findings.iter_mut().enumerate() {
        finding.clean();
        for (name, time) in [
            ("opened", Some(&finding.opened)),
            ("seen", Some(&finding.seen)),
            ("closed", finding.closed.as_ref()),
        ] {
            if time.is_some_and(|time| humantime::parse_rfc3339_weak(time).is_err()) {
                return Err(bad(format!(
                    "finding {} (`{}`): `{name}` is no time such as 2026-11-20T14:02:11Z",
                    index + 1,
                    finding.id
                )));
            }
        }
    }
    Ok(Some(findings))
}

/// Writes the findings, unless the file has exactly this content already.
pub(crate) fn write(reports: &Path, findings: &[Finding]) -> Result<(), HistoryError> {
    let path = path(reports);
    let failed = |why: String| HistoryError::Findings { path: path.clone(), why };
    let whole = Whole { schema: SCHEMA, findings: findings.to_vec() };
    let text = toml::to_string(&whole).map_err(|error| failed(error.to_string()))?;
    let text = format!("{HEAD}{text}");
    if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    whole::replace(&path, text.as_bytes(), whole::USUAL)
        .map_err(|error| failed(format!("it cannot be written: {error}")))
}
