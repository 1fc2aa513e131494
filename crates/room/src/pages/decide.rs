//! `POST /calendar/GAMEDAY/SLOT/{agree,withdraw,skip}`: a person's decision about a slot that is still to come.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use crate::{
    actor::Actor,
    app::App,
    outside::Decision,
    role::Role,
    web::{
        answer::{Answer, see},
        who::{Who, blocking, fields},
    },
};

/// The form of a decision.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Written {
    /// The reason of a skip; may be empty.
    #[serde(default)]
    why: String,
}

/// Returns the decision that a word in an address stands for, and the name of the action in the audit log; `None` for an unknown word.
fn decision(word: &str, written: Written) -> Option<(Decision, &'static str)> {
    match word {
        "agree" => Some((Decision::Agree, "agree")),
        "withdraw" => Some((Decision::Withdraw, "withdraw")),
        "skip" => Some((Decision::Skip { why: written.why }, "skip")),
        _ => None,
    }
}

/// `POST /calendar/{gameday}/{slot}/{word}`
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    who: Who,
    Path((gameday, slot, word)): Path<(String, String, String)>,
    form: Result<Form<Written>, FormRejection>,
) -> Result<Response, Answer> {
    let written = fields(form)?;
    let (decision, what) = decision(&word, written).ok_or_else(|| {
        Answer::new(StatusCode::NOT_FOUND, "There is no such decision.", "Go to the calendar.")
    })?;
    let on = format!("{gameday} {slot}");
    who.may(&app, Role::Operator, what, &on).await?;
    blocking(&app, move |app| {
        decide_as(app, &Actor::from(&who.0), (&gameday, &slot), (what, &decision))?;
        Ok(see(&format!("/calendar?done={what}")))
    })
    .await
}

/// Records the decision of an actor about a slot, and writes it into the audit log. `what` is the action's name in that log.
pub(crate) fn decide_as(
    app: &App,
    actor: &Actor,
    (gameday, slot): (&str, &str),
    (what, decision): (&'static str, &Decision),
) -> Result<(), Answer> {
    let decided = app.outside.decide(gameday, slot, &actor.name, decision);
    let outcome = decided.as_ref().map_or_else(|why| format!("refused: {why}"), Clone::clone);
    let recorded = app.record(&App::deed(actor, what, &format!("{gameday} {slot}"), &outcome));
    app.newest.forget();
    decided.map_err(|why| {
        Answer::new(
            StatusCode::CONFLICT,
            format!("Nothing was done: {why}."),
            "The page Calendar shows the slots.",
        )
    })?;
    recorded?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_is_said_on_the_page() {
        for word in ["agree", "withdraw", "skip"] {
            let (_, what) = decision(word, Written::default()).unwrap();
            assert!(super::super::calendar::said(what).is_some(), "{word}");
        }
        assert!(decision("start", Written::default()).is_none());
    }
}
