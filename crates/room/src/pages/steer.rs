//! `POST /runs/ID/{pause,resume,skip,step}`: sends a person's wish about the next attacks, or the outcome of a step by hand, to the run's coordinator on
//! this machine. It never ends or prolongs a fault.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use firedrill_history::address;
use firedrill_wire::{
    RunId, Span,
    text::{TEXT_MOST, cleaned, joined},
};
use http::StatusCode;
use serde::Deserialize;

use super::halt::{NOWHERE, recorded, run_in};
use crate::{
    actor::Actor,
    app::App,
    outside::{StepAnswer, Told, Wants},
    role::Role,
    web::{
        answer::{Answer, see},
        who::{Who, fields},
    },
};

/// The form of a pause.
#[derive(Debug, Deserialize)]
pub(crate) struct PauseForm {
    /// The maximum length of the pause, in minutes.
    minutes: u32,
}

/// The form of a skip.
#[derive(Debug, Deserialize)]
pub(crate) struct SkipForm {
    /// The number of the attack that the page shows, from 1.
    attack: u32,
}

/// The form of a step by hand.
#[derive(Debug, Deserialize)]
pub(crate) struct StepForm {
    /// The number of the step that the page shows, from 1.
    step: u32,
    /// The outcome that the person reports.
    answer: StepAnswer,
    /// A note; may be empty.
    #[serde(default)]
    note: String,
}

/// Converts a number of a form, which people count from 1, into an index from 0. `what` is the name of the counted things, for the error.
fn index(number: u32, what: &str) -> Result<usize, Answer> {
    usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(|| {
        let text = format!("The form names no {what}.");
        Answer::new(StatusCode::BAD_REQUEST, text, "Go back, and load the page anew.")
    })
}

/// `POST /runs/{id}/pause`
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<PauseForm>, FormRejection>,
) -> Result<Response, Answer> {
    let wants = fields(form).map(|form| Wants::Pause { longest: Span::secs(60 * u64::from(form.minutes)) });
    steer(&app, who, &name, ("pause", wants)).await
}

/// `POST /runs/{id}/resume`
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    steer(&app, who, &name, ("resume", Ok(Wants::Resume))).await
}

/// `POST /runs/{id}/skip`
pub(crate) async fn skip(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<SkipForm>, FormRejection>,
) -> Result<Response, Answer> {
    let wants = fields(form).and_then(|form| Ok(Wants::Skip { attack: Some(index(form.attack, "attack")?) }));
    steer(&app, who, &name, ("skip", wants)).await
}

/// `POST /runs/{id}/step`
pub(crate) async fn step(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<StepForm>, FormRejection>,
) -> Result<Response, Answer> {
    let wants = fields(form).and_then(|StepForm { step, answer, note }| {
        let note = cleaned(joined(&note), TEXT_MOST);
        Ok(Wants::Step { step: Some(index(step, "step")?), answer, note })
    });
    steer(&app, who, &name, ("step", wants)).await
}

/// Sends a wish to a run. The role is checked first. So only a person who may act learns of an error in the form.
async fn steer(
    app: &Arc<App>,
    who: Who,
    name: &str,
    (what, wants): (&'static str, Result<Wants, Answer>),
) -> Result<Response, Answer> {
    who.may(app, Role::Operator, what, name).await?;
    let done = steer_as(app, Actor::from(&who.0), name, (what, wants?)).await?;
    Ok(see(&format!("/runs/{}?done={done}", address(name))))
}

/// Sends a wish to the run in a folder. Returns the word for the page ([`super::run::said`]).
pub(crate) async fn steer_as(
    app: &Arc<App>,
    actor: Actor,
    name: &str,
    (what, wants): (&'static str, Wants),
) -> Result<String, Answer> {
    let run = run_in(app, name).await?;
    let shared = Arc::clone(app);
    // A separate task: if the client closes the connection, the audit log still gets the wish.
    let done = tokio::spawn(async move { tell_and_record(&shared, &actor, &run, (what, wants)).await });
    done.await.map_err(|error| Answer::failed(&error))?
}

/// Returns the outcome of a wish for the audit log, and its word for the page ([`super::run::said`]). If the run did not accept the wish, the reason takes
/// the place of the word, as an error.
fn outcome(what: &str, told: Told) -> (String, Result<String, String>) {
    match told {
        Told::Taken(text) => (text, Ok(what.to_owned())),
        Told::Refused(why) => (format!("refused: {why}"), Err(format!("The run has done nothing: {why}."))),
        Told::Later => ("told, without a reply yet".to_owned(), Ok("later".to_owned())),
        Told::Over => ("it had ended".to_owned(), Err("The run has ended.".to_owned())),
        Told::Nowhere => ("no coordinator of it on this machine".to_owned(), Err(NOWHERE.to_owned())),
        Told::Silent(why) => {
            (format!("no answer: {why}"), Err(format!("The program that runs it does not answer: {why}.")))
        }
        Told::Claimed { user, says } => (
            format!("the program of user {user} says: {says}; nothing proves that"),
            Ok(format!("claimed-wish-{user}")),
        ),
    }
}

/// Sends a wish to a run, and writes the outcome into the audit log. Returns the word for the page.
async fn tell_and_record(
    app: &Arc<App>,
    actor: &Actor,
    run: &RunId,
    (what, wants): (&'static str, Wants),
) -> Result<String, Answer> {
    let by = format!("{} in the control room", actor.name);
    let outcome = outcome(what, app.outside.tell(run, &by, wants).await);
    recorded(app, actor, (what, run), outcome, "Go back, and load the page anew: it shows the newest state.")
        .await
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use super::*;
    use crate::{
        outside::{Later, Outside},
        testing::{app, as_willing, session},
    };

    /// An `Outside` that keeps the wishes that it receives, each with its person. It always gives the same reply.
    struct Hears(Arc<Mutex<Vec<(String, Wants)>>>, Told);

    impl Outside for Hears {
        as_willing!(halt);

        fn tell<'a>(&'a self, _: &'a RunId, by: &'a str, wants: Wants) -> Later<'a, Told> {
            self.0.lock().unwrap().push((by.to_owned(), wants));
            let reply = self.1.clone();
            Box::pin(async { reply })
        }

        as_willing!(calendar);

        as_willing!(posts);
        as_willing!(inventory);

        as_willing!(decisions);
    }

    #[tokio::test]
    async fn only_an_operator_sends_a_wish_which_names_the_person_and_is_in_the_audit_log() {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let reply = Told::Taken("it skips attack 3, \"stop\"".to_owned());
        let app = app(home.path(), Arc::new(Hears(Arc::clone(&heard), reply))).await;
        fs::create_dir_all(app.runs.reports().join("friday-7f3a")).unwrap();
        let name = || Path("friday-7f3a".to_owned());
        let form = || Ok(Form(SkipForm { attack: 3 }));
        let as_a = |role| (State(Arc::clone(&app)), Who(session(role)));
        let (state, who) = as_a(Role::Viewer);
        assert_eq!(skip(state, who, name(), form()).await.unwrap_err().status, StatusCode::FORBIDDEN);
        assert!(heard.lock().unwrap().is_empty(), "the wish of a viewer was not sent");
        let (state, who) = as_a(Role::Operator);
        let answer = skip(state, who, name(), form()).await.unwrap();
        assert_eq!(answer.headers()["location"], "/runs/friday-7f3a?done=skip");
        let (state, who) = as_a(Role::Operator);
        pause(state, who, name(), Ok(Form(PauseForm { minutes: 10 }))).await.unwrap();
        let by = || "alice in the control room".to_owned();
        let wishes =
            [(by(), Wants::Skip { attack: Some(2) }), (by(), Wants::Pause { longest: Span::secs(600) })];
        assert_eq!(*heard.lock().unwrap(), wishes);
        let audit = fs::read_to_string(app.audit.path()).unwrap();
        for part in
            ["\"what\":\"skip\"", "refused: it takes the role operator", "it skips attack 3, \\\"stop\\\""]
        {
            assert!(audit.contains(part), "no `{part}` in {audit}");
        }
    }

    #[tokio::test]
    async fn the_outcome_of_a_step_by_hand_is_sent_with_its_note() {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let reply = Told::Taken("it records step 2, \"pull the cable\" as done".to_owned());
        let app = app(home.path(), Arc::new(Hears(Arc::clone(&heard), reply))).await;
        fs::create_dir_all(app.runs.reports().join("friday-7f3a")).unwrap();
        let form = |number| {
            let note = "it was stuck,\nat first".to_owned();
            Ok(Form(StepForm { step: number, answer: StepAnswer::Done, note }))
        };
        let ask = |role, number| {
            let name = Path("friday-7f3a".to_owned());
            step(State(Arc::clone(&app)), Who(session(role)), name, form(number))
        };
        assert_eq!(ask(Role::Viewer, 2).await.unwrap_err().status, StatusCode::FORBIDDEN);
        assert_eq!(ask(Role::Operator, 0).await.unwrap_err().status, StatusCode::BAD_REQUEST);
        assert!(heard.lock().unwrap().is_empty());
        let answer = ask(Role::Operator, 2).await.unwrap();
        assert_eq!(answer.headers()["location"], "/runs/friday-7f3a?done=step");
        let note = "it was stuck, at first".to_owned();
        let wants = Wants::Step { step: Some(1), answer: StepAnswer::Done, note };
        assert_eq!(*heard.lock().unwrap(), [("alice in the control room".to_owned(), wants)]);
        let audit = fs::read_to_string(app.audit.path()).unwrap();
        assert!(audit.contains("\"what\":\"step\"") && audit.contains("as done"), "{audit}");
    }

    #[tokio::test]
    async fn a_run_that_refuses_is_an_answer_and_no_success() {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let reply = Told::Refused("it does not pause".to_owned());
        let app = app(home.path(), Arc::new(Hears(heard, reply))).await;
        fs::create_dir_all(app.runs.reports().join("friday-7f3a")).unwrap();
        let name = Path("friday-7f3a".to_owned());
        let answer = resume(State(Arc::clone(&app)), Who(session(Role::Operator)), name).await.unwrap_err();
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.text.contains("it does not pause"), "{}", answer.text);
        let audit = fs::read_to_string(app.audit.path()).unwrap();
        assert!(audit.contains("refused: it does not pause"), "{audit}");
    }

    #[test]
    fn each_word_for_the_page_is_said_there() {
        let taken = || Told::Taken("it does so".to_owned());
        let claimed = || Told::Claimed { user: 7, says: "it does so".to_owned() };
        for (what, told) in [
            ("pause", taken()),
            ("resume", taken()),
            ("skip", taken()),
            ("step", taken()),
            ("skip", Told::Later),
            ("pause", claimed()),
        ] {
            let is_claim = matches!(told, Told::Claimed { .. });
            let said = super::super::run::said(&outcome(what, told).1.unwrap()).unwrap();
            assert_eq!(
                said.contains("user 7 replied") && said.contains("Nothing proves"),
                is_claim,
                "{said}"
            );
        }
        for told in [Told::Over, Told::Nowhere, Told::Silent("why".to_owned())] {
            assert!(outcome("pause", told).1.is_err());
        }
    }
}
