//! `POST /runs/ID/notes`: writes a note, as `firedrill note` does. The author is the actor, never a name from the form.

use std::{fs, path::PathBuf, sync::Arc, time::SystemTime};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use firedrill_history::address;
use firedrill_judge::{
    notes::{self, Note},
    score::format,
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    actor::Actor,
    app::App,
    role::Role,
    runs::{LOG, find, open_file},
    web::{
        answer::{Answer, see},
        who::{Who, blocking, fields},
    },
};

/// The form of a note.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    text: String,
}

/// `POST /runs/{id}/notes`
pub(crate) async fn note(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<Written>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "note", &name).await?;
    let Written { text } = fields(form)?;
    let actor = Actor::from(&who.0);
    let done = format!("/runs/{}?done=note", address(&name));
    blocking(&app, move |app| write(app, &actor, &name, &text)).await?;
    Ok(see(&done))
}

/// Writes a note about the run in the folder with this name, and records it in the audit log.
pub(crate) fn write(app: &App, actor: &Actor, name: &str, text: &str) -> Result<(), Answer> {
    let folder = place(app, name)?;
    let line = line(text)?;
    let written = notes::add(&folder, &Note::new(SystemTime::now(), &actor.name, &line));
    let outcome = written.as_ref().map_or_else(|error| format!("failed: {error}"), |()| "written".to_owned());
    let recorded = app.record(&App::deed(actor, "note", name, &outcome));
    written?;
    recorded?;
    Ok(())
}

/// Returns the folder of a run to which notes can be added.
pub(super) fn place(app: &App, name: &str) -> Result<PathBuf, Answer> {
    let folder = find(app.runs.reports(), name).ok_or_else(|| Answer::no_run(name))?;
    if open_file(&folder.join(LOG)).is_err() {
        return Err(Answer::new(
            StatusCode::CONFLICT,
            "This folder has no log of a run.",
            "Notes belong to runs.",
        ));
    }
    // Through a link the note would be written into another file.
    if fs::symlink_metadata(folder.join(notes::FILE)).is_ok_and(|about| !about.is_file()) {
        let text = format!("{} of this run is no regular file, so nothing was written.", notes::FILE);
        return Err(Answer::new(StatusCode::CONFLICT, text, "See to it on the server."));
    }
    Ok(folder)
}

/// Returns the text that somebody wrote, in one line. A text that is empty or too long is an error.
pub(super) fn line(text: &str) -> Result<String, Answer> {
    notes::line_of(text).map_err(|unfit| {
        let help = "Go back, and change it; a long one can be several, or a link.";
        Answer::new(
            StatusCode::BAD_REQUEST,
            format!("{}, so it was not written.", format::capital(&unfit.to_string())),
            help,
        )
    })
}
