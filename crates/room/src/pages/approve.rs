//! `/runs/ID/approve`: a person approves the attacks of a run with a passkey. The server itself cannot approve: it passes the passkey's signature to
//! the run, whose coordinator and agents verify it again.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_approval::{challenge, seal_by_passkey};
use firedrill_history::address;
use firedrill_wire::origin::rp_id;
use http::StatusCode;
use minijinja::context;
use serde::Deserialize;

use crate::{
    app::App,
    clock::now_s,
    role::Role,
    runs::find,
    store::{Passkey, Session},
    template::{PASSKEYS, value},
    web::{
        answer::{Answer, page, see},
        passkey::{Fields, bad},
        who::{Who, fields, slow},
    },
};

/// Returns the passkeys of a person that have a certificate, which an approval needs.
fn enrolled(app: &App, session: &Session) -> Result<Vec<Passkey>, Answer> {
    let passkeys = app.store.passkeys()?.into_iter();
    Ok(passkeys.filter(|passkey| passkey.person == session.name && passkey.certificate.is_some()).collect())
}

/// Returns the folder of the run with this name.
fn folder(app: &App, name: &str) -> Result<PathBuf, Answer> {
    find(app.runs.reports(), name).ok_or_else(|| Answer::no_run(name))
}

/// Returns the answer to an approval that was not given.
fn refused(why: &str) -> Answer {
    let text = format!("Your approval was not given: {why}.");
    Answer::new(StatusCode::CONFLICT, text, "Go back to the run, and look at what it waits for.")
}

/// `GET /runs/{id}/approve`
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "approve", &name).await?;
    slow(&app, move |app| {
        let proposal = app.outside.proposal(&folder(app, &name)?).map_err(|why| refused(&why))?;
        let known: Vec<String> =
            enrolled(app, &who.0)?.into_iter().map(|passkey| passkey.credential).collect();
        let (origin, wrong) = match &app.passkey_origin {
            Ok(origin) => (Some(origin.as_str()), None),
            Err(why) => (None, Some(why.as_str())),
        };
        let values = context! {
            challenge => BASE64_URL_SAFE_NO_PAD.encode(challenge(&proposal.statement)),
            proposal => value(&proposal),
            known => known.join(" "),
            address => address(&name),
            rp => origin.map(rp_id),
            origin, wrong,
            script => &PASSKEYS.path,
        };
        page("approve", ("Approve", "runs"), Some(&who.0), values)
    })
    .await
}

/// The form of an approval.
#[derive(Debug, Deserialize)]
pub(crate) struct Approved {
    /// The statement in JSON, as it was signed.
    statement: String,
    /// The answer of the passkey, which has the signature.
    #[serde(flatten)]
    passkey: Fields,
}

/// `POST /runs/{id}/approve`
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    who: Who,
    Path(name): Path<String>,
    form: Result<Form<Approved>, FormRejection>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "approve", &name).await?;
    let approved = fields(form)?;
    slow(&app, move |app| {
        let folder = folder(app, &name)?;
        let given = give(app, &who.0, &folder, &approved);
        let outcome = match &given {
            Ok(told) => told.clone(),
            Err(answer) => format!("refused: {}", answer.text),
        };
        app.record(&App::deed(&who.0, "approve", &name, &outcome))?;
        given.map(|_| see(&format!("/runs/{}?done=approve", address(&name))))
    })
    .await
}

/// Verifies a passkey's signature over a statement, and passes it to the run. Returns the outcome for the audit log.
fn give(
    app: &App,
    session: &Session,
    folder: &std::path::Path,
    approved: &Approved,
) -> Result<String, Answer> {
    let Approved { statement, passkey } = approved;
    let origin = app.passkey_origin.as_ref().map_err(|why| bad(why.clone()))?;
    let parts = passkey.parts()?;
    let own = enrolled(app, session)?.into_iter().find(|known| known.credential == passkey.credential);
    let found = own.ok_or_else(|| refused("this passkey is none of yours, or it is not enrolled"))?;
    parts.verify(&found.public_key, &challenge(statement), origin).map_err(|why| refused(&why))?;
    let pem = found.certificate.as_deref().unwrap_or_default();
    let chain = firedrill_certs::certificates(pem.as_bytes())
        .map_err(|error| refused(&format!("the passkey's certificate cannot be read: {error}")))?;
    let signed = seal_by_passkey(statement.clone(), &chain, parts.signed());
    let by = app.outside.approve(folder, &signed).map_err(|why| refused(&why))?;
    app.store.passkey_used(found.id, now_s())?;
    Ok(format!(
        "handed to the run by passkey {}, with a certificate of {by} that the run verifies",
        found.name
    ))
}
