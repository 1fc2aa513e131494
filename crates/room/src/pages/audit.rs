//! `/audit`: the newest lines of the audit log, and whether its chain is whole.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use minijinja::context;

use crate::{
    app::App,
    audit,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// Maximum number of lines that are shown.
const LINES: usize = 200;
/// Number of bytes at the end of the log that are read for these lines.
const BYTES: u64 = 256 << 10;
/// Maximum size of a log whose whole chain the page checks, in bytes. The check of a larger log takes too long for a page.
const CHECKED: u64 = 8 << 20;

/// `GET /audit`
pub(crate) async fn audit(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let path = app.audit.path();
        let size = std::fs::metadata(path).map_or(0, |about| about.len());
        let checked = (1..=CHECKED).contains(&size).then(|| audit::check(path, None)).transpose()?;
        let wrong =
            checked.and_then(|checked| checked.wrong).map(|(line, why)| format!("line {line}: {why}"));
        let (lines, head) = match app.audit.newest(BYTES, LINES) {
            Ok((lines, head)) => (lines, head.to_string()),
            // The page shows the error in place of the head.
            Err(error) => (Vec::new(), error.to_string()),
        };
        let values = context! {
            lines => value(&lines), head, wrong,
            unchecked => size > CHECKED,
            file => path.display().to_string(),
        };
        page("audit", ("Audit log", "audit"), Some(&session), values)
    })
    .await
}
