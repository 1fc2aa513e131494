//! `/runs/ID/report`: the run's report as it was written. The server does not trust this page, because anybody who can write into the folder may have
//! written it. The content security policy gives it a separate origin: its script can neither use the session nor send requests to this server.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    app::App,
    runs::{find, read_file},
    web::{
        answer::{Answer, typed},
        who::{Who, slow},
    },
};

/// Maximum size of a report, in bytes.
const MOST: u64 = 64 << 20;
/// The content security policy of a report. `sandbox` without `allow-same-origin` gives the page a separate origin.
const POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /runs/{id}/report`
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    Who(_): Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let bytes = report_file(app, &name, "report.html")?;
        let mut response = typed("text/html; charset=utf-8", bytes);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        Ok(response)
    })
    .await
}

/// Reads a report of a run. `name` is the name of the run's folder, `file` that of the report's file.
pub(crate) fn report_file(app: &App, name: &str, file: &str) -> Result<Vec<u8>, Answer> {
    let folder = find(app.runs.reports(), name).ok_or_else(|| Answer::no_run(name))?;
    read_file(&folder.join(file), MOST)?.ok_or_else(|| {
        let folder = folder.display();
        let help = format!(
            "It is written at the run's end; `firedrill report {folder}` on the server writes it at any time."
        );
        Answer::new(StatusCode::NOT_FOUND, "This run has no report.", help)
    })
}
