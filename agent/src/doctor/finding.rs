//! Writes one finding.

use firedrill_wire::api::{Finding, Grade};

/// Returns a finding.
pub(super) fn finding(what: &str, grade: Grade, detail: impl Into<String>, hint: &str) -> Finding {
    Finding { what: what.to_owned(), grade, detail: detail.into(), hint: hint.to_owned() }
}
