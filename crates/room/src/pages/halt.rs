//! `POST /runs/ID/halt`: asks a run's coordinator on this machine to end it. A broken audit log, index or run log does not
//! prevent a halt.

use std::{io::BufReader, path::Path as FilePath, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use firedrill_history::address;
use firedrill_judge::log::{Event, Record};
use firedrill_wire::RunId;
use http::StatusCode;

use crate::{
    actor::Actor,
    app::App,
    outside::Halted,
    role::Role,
    runs::{LINE_MOST, LOG, find, open_file, read_line},
    web::{
        answer::{Answer, see},
        who::{Who, blocking},
    },
};

/// The text of an answer if no coordinator of the run can be reached.
pub(super) const NOWHERE: &str = "No program on this machine that this server can reach runs it: it has ended, its program has died, or it runs on another machine or as another user.";

/// Returns the id of the run in a folder: from the first record of its log, or from the folder's name if the record cannot be read.
fn run_of(folder: &FilePath, name: &str) -> Option<RunId> {
    let from_log = || {
        let mut line = Vec::new();
        let log = open_file(&folder.join(LOG)).ok()?;
        read_line(&mut BufReader::new(log), LINE_MOST, &mut line).ok()?;
        match Record::of_line(&line).ok()?.event {
            Event::RunStarted { run, .. } => Some(run),
            _ => None,
        }
    };
    from_log().or_else(|| name.parse().ok())
}

/// Returns the id of the run in the folder with this name. The error says that there is no such folder, or no id in it.
pub(super) async fn run_in(app: &Arc<App>, name: &str) -> Result<RunId, Answer> {
    let wanted = name.to_owned();
    blocking(app, move |app| {
        let folder = find(app.runs.reports(), &wanted).ok_or_else(|| Answer::no_run(&wanted))?;
        run_of(&folder, &wanted).ok_or_else(|| {
            let help = "`firedrill undo --all --fleet FLEET` puts everything back that hosts of a fleet have in force.";
            Answer::new(
                StatusCode::CONFLICT,
                "The log of this run does not tell its id, so it cannot be reached from here.",
                help,
            )
        })
    })
    .await
}

/// `POST /runs/{id}/halt`
pub(crate) async fn halt(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "halt", &name).await?;
    let done = halt_as(&app, Actor::from(&who.0), &name).await?;
    Ok(see(&format!("/runs/{}?done={done}", address(&name))))
}

/// Halts the run of a folder. Returns the word for the page ([`super::run::said`]).
pub(crate) async fn halt_as(app: &Arc<App>, actor: Actor, name: &str) -> Result<String, Answer> {
    let run = run_in(app, name).await?;
    let app = Arc::clone(app);
    // A separate task: if the client closes the connection or the request takes too long, the audit log still gets the halt.
    let done = tokio::spawn(async move { halt_and_record(&app, &actor, &run).await });
    done.await.map_err(|error| Answer::failed(&error))?
}

/// Returns the outcome of a halt for the audit log, and its word for the page ([`super::run::said`]). If no coordinator accepted the halt, the reason
/// takes the place of the word, as an error.
fn outcome(halted: &Halted) -> (String, Result<String, String>) {
    match halted {
        Halted::Ends => ("it ends".to_owned(), Ok("ends".to_owned())),
        Halted::Over => ("it had ended, or ended already".to_owned(), Ok("over".to_owned())),
        Halted::Claimed { user, ends: true } => (
            format!("the program of user {user} says that it ends it; nothing proves that"),
            Ok(format!("claimed-ends-{user}")),
        ),
        Halted::Claimed { user, ends: false } => (
            format!(
                "the program of user {user} says that it had ended, or ended already; nothing proves that"
            ),
            Ok(format!("claimed-over-{user}")),
        ),
        Halted::Nowhere => ("no coordinator of it on this machine".to_owned(), Err(NOWHERE.to_owned())),
        Halted::Silent(why) => {
            (format!("no answer: {why}"), Err(format!("The program that runs it does not answer: {why}.")))
        }
    }
}

/// Halts a run and writes the outcome into the audit log. Returns the word for the page.
async fn halt_and_record(app: &Arc<App>, actor: &Actor, run: &RunId) -> Result<String, Answer> {
    let by = format!("{} in the control room", actor.name);
    let outcome = outcome(&app.outside.halt(run, &by).await);
    let help = format!(
        "`firedrill undo --run {run} --fleet FLEET` puts it back from any machine with a certificate."
    );
    recorded(app, actor, ("halt", run), outcome, &help).await
}

/// Writes the outcome of an action on a run into the audit log, and returns `done`, the word for the page. It is an error if no coordinator accepted the
/// action, or if the audit log cannot be written. If both happen, the error says both. `help` is the next step.
pub(super) async fn recorded(
    app: &Arc<App>,
    actor: &Actor,
    (what, run): (&'static str, &RunId),
    (outcome, done): (String, Result<String, String>),
    help: &str,
) -> Result<String, Answer> {
    let deed = App::deed(actor, what, run.as_str(), &outcome);
    let written = blocking(app, move |app| Ok(app.record(&deed)?)).await;
    match (done, written) {
        (Ok(done), Ok(())) => Ok(done),
        (Err(why), Ok(())) => Err(Answer::new(StatusCode::CONFLICT, why, help)),
        (done, Err(answer)) => {
            let unwritten = format!("The audit log does not have this {what} ({outcome}). {}", answer.text);
            Err(match done {
                Ok(_) => Answer { text: unwritten, ..answer },
                Err(why) => Answer { text: format!("{why} {unwritten}"), help: help.to_owned(), ..answer },
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::{sync::Semaphore, time::timeout};

    use super::*;
    use crate::{
        outside::{Later, Outside},
        testing::{app, as_willing, session},
    };

    /// An `Outside` whose halt answers when the test says so.
    struct Slow {
        /// Gets a permit when a halt begins.
        asked: Arc<Semaphore>,
        /// A halt is answered once this has a permit.
        answers: Arc<Semaphore>,
    }

    impl Outside for Slow {
        fn halt<'a>(&'a self, _: &'a RunId, _: &'a str) -> Later<'a, Halted> {
            Box::pin(async move {
                self.asked.add_permits(1);
                let _answer = self.answers.acquire().await;
                Halted::Claimed { user: 7, ends: true }
            })
        }

        as_willing!(wishes);

        as_willing!(calendar);

        as_willing!(posts);
        as_willing!(inventory);

        as_willing!(decisions);
    }

    #[tokio::test]
    async fn the_audit_log_has_a_halt_whose_client_has_gone() {
        let home = tempfile::tempdir().unwrap();
        let (asked, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let outside = Slow { asked: Arc::clone(&asked), answers: Arc::clone(&answers) };
        let app = app(home.path(), Arc::new(outside)).await;
        fs::create_dir_all(app.runs.reports().join("friday-7f3a")).unwrap();
        let who = Who(session(Role::Operator));
        let request = halt(State(Arc::clone(&app)), who, Path("friday-7f3a".to_owned()));
        tokio::select! {
            _ = request => panic!("the request ended before the halt was answered"),
            asked = timeout(Duration::from_secs(30), asked.acquire()) => drop(asked.unwrap()),
        }
        // `select!` has dropped the request, as the server does when a client closes its connection.
        answers.add_permits(1);
        let is_recorded = async {
            while !fs::read_to_string(app.audit.path()).unwrap().contains("\"what\":\"halt\"") {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), is_recorded).await.expect("the audit log does not have it");
        let audit = fs::read_to_string(app.audit.path()).unwrap();
        assert!(audit.contains("the program of user 7 says that it ends it; nothing proves that"), "{audit}");
    }

    #[test]
    fn each_word_for_the_page_is_said_there() {
        for halted in [
            Halted::Ends,
            Halted::Over,
            Halted::Claimed { user: 7, ends: true },
            Halted::Claimed { user: 7, ends: false },
        ] {
            let said = super::super::run::said(&outcome(&halted).1.unwrap()).unwrap();
            let is_claim = matches!(halted, Halted::Claimed { .. });
            assert_eq!(said.contains("user 7 says") && said.contains("Nothing proves"), is_claim, "{said}");
        }
    }
}
