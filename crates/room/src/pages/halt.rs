//! `POST /runs/ID/halt`: asks a run's coordinator on this machine to end it. What is wrong with the state of this server never keeps it from that.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path as FilePath,
    sync::Arc,
};

use axum::{
    extract::{Path, State},
    response::Response,
};
use firedrill_judge::log::{Event, Record};
use firedrill_wire::RunId;
use http::StatusCode;

use super::row::address;
use crate::{
    app::App,
    outside::Halted,
    role::Role,
    runs::{LOG, find},
    web::{
        answer::{Answer, see},
        who::{Who, blocking},
    },
};

/// Maximum length of a log's first line, in bytes.
const FIRST: u64 = 256 << 20;

/// Returns the run of a folder: that of its log's first record, or where that cannot be read that of the folder's name.
fn run_of(folder: &FilePath, name: &str) -> Option<RunId> {
    let path = folder.join(LOG);
    let first = || {
        let mut line = Vec::new();
        let log = path.is_file().then(|| File::open(&path).ok())??;
        BufReader::new(log).take(FIRST).read_until(b'\n', &mut line).ok()?;
        match Record::of_line(&line).ok()?.event {
            Event::RunStarted { run, .. } => Some(run),
            _ => None,
        }
    };
    first().or_else(|| name.parse().ok())
}

/// `POST /runs/{id}/halt`
pub(crate) async fn halt(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "halt", &name).await?;
    let wanted = name.clone();
    let run = blocking(&app, move |app| {
        let folder = find(app.runs.reports(), &wanted).ok_or_else(|| Answer::no_run(&wanted))?;
        run_of(&folder, &wanted).ok_or_else(|| {
            let help = "`firedrill undo --all --fleet FLEET` puts everything back that hosts of a fleet have in force.";
            Answer::new(StatusCode::CONFLICT, "The log of this run does not tell its id, so it cannot be halted from here.", help)
        })
    })
    .await?;
    let by = format!("{} in the control room", who.0.name);
    let halted = app.outside.halt(&run, &by).await;
    let (outcome, done) = match &halted {
        Halted::Ends => ("it ends".to_owned(), Ok("ends")),
        Halted::Over => ("it had ended, or ended already".to_owned(), Ok("over")),
        Halted::Nowhere => (
            "no coordinator of it on this machine".to_owned(),
            Err("No program on this machine that this server can reach runs it: it has ended, its program has died, or it runs on another machine or as another user.".to_owned()),
        ),
        Halted::Silent(why) => {
            (format!("no answer: {why}"), Err(format!("The program that runs it does not answer: {why}.")))
        }
    };
    let deed = App::deed(&who.0, "halt", run.as_str(), &outcome);
    let written = blocking(&app, move |app| Ok(app.record(&deed)?)).await;
    let done = done.map_err(|why| {
        let help = format!(
            "`firedrill undo --run {run} --fleet FLEET` puts it back from any machine with a certificate."
        );
        Answer::new(StatusCode::CONFLICT, why, help)
    })?;
    written.map_err(|answer| Answer {
        text: format!(
            "The run has taken the halt ({outcome}), and the audit log does not have it. {}",
            answer.text
        ),
        ..answer
    })?;
    Ok(see(&format!("/runs/{}?done={done}", address(&name))))
}
