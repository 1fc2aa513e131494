//! Makes one finding. Checks nothing.

use firedrill_wire::api::{Finding, Grade};

/// Returns a finding on `what`. The hint is the next step for people; empty if there is none.
pub(super) fn finding(what: &str, grade: Grade, detail: impl Into<String>, hint: &str) -> Finding {
    Finding { what: what.to_owned(), grade, detail: detail.into(), hint: hint.to_owned() }
}
