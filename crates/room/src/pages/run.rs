//! `/runs/ID`: one run, with its notes. A run that goes on is shown by its newest frame, any other run by its log. Changes nothing.

use std::{fs, path::Path as FilePath, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{Severity, address};
use firedrill_judge::{
    log, notes,
    score::{self, format},
};
use minijinja::context;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::state;
use crate::{
    app::App,
    role::Role,
    runs::{Asks, Course, LOG, Next, find, is_written, open_file},
    template::{SCRIPT, part, value},
    web::{
        answer::{Answer, page, whole},
        who::{Who, slow},
    },
};

/// Maximum time to wait for the first frame of a run that goes on. The run's log is read in this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum number of notes on the page. The newest are shown.
const NOTES: usize = 200;

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The action that was done just now; see [`said`].
    #[serde(default)]
    done: String,
}

/// Returns the sentence about an action that was done just now, by the word behind `?done=`; `None` for an unknown word.
pub(crate) fn said(done: &str) -> Option<String> {
    if let Some((what, user)) = done.strip_prefix("claimed-").and_then(|claim| claim.split_once('-')) {
        let user: u32 = user.parse().ok()?;
        let says = match what {
            "ends" => "that it has taken the halt",
            "over" => "that the run ends already, or has ended",
            "wish" => {
                return Some(format!(
                    "A program of user {user} replied; the audit log has its reply. Nothing proves that it is the run’s coordinator: the state below shows \
                     whether the run does it."
                ));
            }
            _ => return None,
        };
        return Some(format!(
            "The program of user {user} says {says}. Nothing proves that it is the run’s coordinator; the log of the run shows whether it ends. \
             `firedrill undo --run RUN --fleet FLEET` puts it back from any machine with a certificate."
        ));
    }
    let said = match done {
        "note" => "The note is written.",
        "finding" => "The finding is written. The page Findings has it until somebody closes it.",
        "ends" => {
            "The run has taken the halt. It puts everything back, and then proves it; this page shows both."
        }
        "over" => "The run ends already, or has ended.",
        "pause" => {
            "The run has taken the pause. What is in force ends at its time; the state below shows when the run pauses, and until when."
        }
        "resume" => "The run goes on, or does not pause.",
        "skip" => "The run skips the attack. Its reports say who wanted that.",
        "approve" => {
            "Your approval is given to the run. The state below names it once the run has verified it; if it does not count, the run’s program says why on its screen."
        }
        "step" => "The run has taken what you say about the step. Its reports have your name.",
        "later" => {
            "The run has been told, and is busy with questions to hosts. The state below shows when it has looked at it."
        }
        _ => return None,
    };
    Some(said.to_owned())
}

/// A note, as the page shows it.
#[derive(Debug, Serialize)]
struct NoteRow {
    /// Its time, UTC, to the second.
    at: String,
    /// Its time on the run's clock; empty if that is unknown.
    clock: String,
    by: String,
    text: String,
    /// The name of its finding in an address; `None` if it is about none.
    finding: Option<String>,
}

/// Returns the notes of a run, the newest first, and a sentence about the problem of their file; the sentence is empty if there is none. `wall` is the
/// wall clock of the run's time 0.
fn notes(folder: &FilePath, wall: &str) -> (Vec<NoteRow>, String) {
    let about = fs::symlink_metadata(folder.join(notes::FILE));
    if about.is_ok_and(|about| !about.is_file()) {
        return (Vec::new(), format!("{} is no regular file.", notes::FILE));
    }
    match notes::read(folder) {
        Ok(notes) => {
            let rows = notes.all.into_iter().rev().take(NOTES).map(|note| NoteRow {
                clock: note.at_us(wall).map(format::clock).unwrap_or_default(),
                at: note.at.get(..19).unwrap_or(&note.at).replace('T', " "),
                by: note.by,
                text: note.text,
                finding: note.finding.map(|id| address(&id)),
            });
            let wrong = match notes.damaged {
                0 => String::new(),
                lines => format!("{lines} lines of {} are no notes.", notes::FILE),
            };
            (rows.collect(), wrong)
        }
        Err(error) => (Vec::new(), format!("{} cannot be read: {error}.", notes::FILE)),
    }
}

/// The content of the page besides the notes.
#[derive(Debug, Default)]
struct Shown {
    wall: String,
    head: String,
    state: String,
    next: Option<Next>,
    asks: Option<Asks>,
    axis: String,
    goes_on: bool,
    /// True if the run's program has died before the run's end.
    dead: bool,
    /// The reason why the run cannot be shown; empty if it can.
    damage: String,
}

/// Returns the content from a run's log alone. The error is the reason why the run cannot be shown.
fn by_log(path: &FilePath) -> Result<Shown, String> {
    if !path.is_file() {
        return Err(format!("there is no file {LOG} in its folder"));
    }
    // `open_file` refuses links: one could lead to any file that the server's user can read.
    open_file(path).map_err(|error| format!("{LOG} in its folder cannot be opened: {error}"))?;
    // This is checked before the log is read. Otherwise a run that ends in between would seem to have died.
    let has_writer = is_written(path);
    let log = log::read(path).map_err(|error| whole(&error))?;
    let course = Course::of(&log);
    if course.plan.is_none() {
        return Err("its log does not begin with a plan".to_owned());
    }
    let goes_on = has_writer && course.outcome.is_none();
    let card = (!goes_on).then(|| score::judge(&log));
    let values = state::values(&course, card.as_ref());
    let (head, state) =
        (part("head", context! { run => &values })?, part("state", context! { run => &values })?);
    let dead = !has_writer && course.outcome.is_none();
    let (next, asks) = (course.next(), course.asks().cloned());
    Ok(Shown { wall: course.wall, head, state, next, asks, dead, goes_on, ..Shown::default() })
}

/// Returns the content for a run that goes on: the newest frame that its viewers get. `None` if no frame comes in time, or the run is over.
async fn newest_frame(app: &App, folder: &FilePath) -> Option<Shown> {
    let mut frames = app.feeds.follow(folder);
    let frame = timeout(PATIENCE, frames.wait_for(|frame| frame.seq > 0 || frame.over)).await.ok()?.ok()?;
    let (wall, head, state) = (frame.wall.clone(), frame.head.clone(), frame.state.clone());
    (!frame.over).then(|| Shown {
        wall,
        head,
        state,
        next: frame.next.clone(),
        asks: frame.asks.clone(),
        axis: frame.axis.1.clone(),
        goes_on: true,
        ..Shown::default()
    })
}

/// `GET /runs/{id}`
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let done = asked.ok().and_then(|Query(asked)| said(&asked.done));
    let wanted = name.clone();
    let (folder, has_writer) = slow(&app, move |app| {
        let folder = find(app.runs.reports(), &wanted).ok_or_else(|| Answer::no_run(&wanted))?;
        let has_writer = is_written(&folder.join(LOG));
        Ok((folder, has_writer))
    })
    .await?;
    let live = if has_writer { newest_frame(&app, &folder).await } else { None };
    slow(&app, move |_| {
        let content = live.map_or_else(|| by_log(&folder.join(LOG)), Ok);
        let shown = content.unwrap_or_else(|damage| Shown { damage, ..Shown::default() });
        let (notes, wrong_notes) = notes(&folder, &shown.wall);
        let values = context! {
            head => shown.head,
            state => shown.state,
            axis => shown.axis,
            next => value(&shown.next),
            asks => value(&shown.asks),
            goes_on => shown.goes_on,
            dead => shown.dead,
            damage => shown.damage,
            done,
            name => firedrill_wire::text::clean(&name, 80),
            address => address(&name),
            folder => folder.display().to_string(),
            has_report => folder.join("report.html").is_file(),
            script => &SCRIPT.path,
            notes => value(&notes),
            wrong_notes,
            note_most => notes::TEXT_MOST,
            severities => Severity::ALL.map(Severity::word),
            may_act => session.role >= Role::Operator,
        };
        page("run", (&name, "runs"), Some(&session), values)
    })
    .await
}
