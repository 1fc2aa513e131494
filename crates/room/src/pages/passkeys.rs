//! `/passkeys`: a person's passkeys. With a passkey the person logs in. Once the team's authority has signed a certificate for the passkey, the person
//! can also approve attacks with it. An admin sees and removes the passkeys of all people.

use std::sync::Arc;

use axum::{
    Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use firedrill_approval::{Enrolment, Fingerprint, registered};
use firedrill_history::minute;
use firedrill_wire::{
    identity::{Identity, Person},
    origin::rp_id,
    text::clean,
    x509,
};
use http::{HeaderValue, StatusCode, header};
use minijinja::context;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    clock::now_s,
    role::{Role, person},
    store::{NewPasskey, Passkey, Session},
    template::{PASSKEYS, value},
    web::{
        answer::{Answer, page, see, typed},
        passkey::{Fields, bad, ours},
        who::{Who, blocking, fields},
    },
};

/// Time after its login for which a session can add passkeys, in seconds. So a cookie that is stolen later cannot be used to add one.
const FRESH_S: i64 = 15 * 60;
/// Maximum length of a passkey's id in base64url, in characters. WebAuthn allows 1,023 bytes.
const CREDENTIAL_MOST: usize = 1_400;
/// The name of a passkey's file for `firedrill pki enrol`.
const FILE: &str = "passkey.json";

/// A passkey, as the page shows it.
#[derive(Debug, Serialize)]
struct Row {
    id: i64,
    name: String,
    person: String,
    /// True if it is that of the person of the session.
    own: bool,
    role: &'static str,
    added: String,
    used: Option<String>,
    fingerprint: String,
    /// The name in its certificate, and the certificate's last day; `None` if it cannot approve.
    approves: Option<String>,
}

/// Returns true if the person of a session may see and remove a passkey.
fn may_manage(session: &Session, passkey: &Passkey) -> bool {
    session.role == Role::Admin || session.name == passkey.person
}

/// Reads the certificate of a passkey. Returns the person that it names, its last day (`2026-12-04`), and its public key.
fn approver(pem: &str) -> Result<(Person, String, Vec<u8>), String> {
    let chain = firedrill_certs::certificates(pem.as_bytes()).map_err(|error| error.to_string())?;
    let leaf = chain.first().ok_or("it has no certificate")?;
    let facts = x509::certificate(leaf).ok_or("it cannot be read")?;
    let names = firedrill_certs::uris(leaf)?;
    let person = match Identity::from_uris(names.iter().map(String::as_str)) {
        Ok(Identity::Person(person)) => person,
        Ok(Identity::Host(name)) => return Err(format!("it is the certificate of host {name}")),
        Err(error) => return Err(error.to_string()),
    };
    let until = humantime::format_rfc3339_seconds(facts.until).to_string();
    Ok((person, until.get(..10).unwrap_or_default().to_owned(), facts.public_key))
}

/// Returns a passkey as the page shows it.
fn row(session: &Session, passkey: Passkey) -> Row {
    let approves = passkey.certificate.as_deref().and_then(|pem| approver(pem).ok());
    Row {
        id: passkey.id,
        own: passkey.person == session.name,
        role: passkey.role.word(),
        added: minute(passkey.made_s),
        used: passkey.used_s.map(minute),
        fingerprint: Fingerprint(&passkey.public_key).to_string(),
        approves: approves.map(|(person, until, _)| format!("{}, until {until}", person.name)),
        name: passkey.name,
        person: passkey.person,
    }
}

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    done: String,
}

/// Returns the sentence about an action that was done, by the word behind `?done=`; `None` for an unknown word.
fn said(done: &str) -> Option<&'static str> {
    match done {
        "added" => {
            Some("The passkey is added. It logs you in. To approve attacks with it, have it enrolled.")
        }
        "removed" => Some(
            "The passkey is removed. Sessions that it began go on until somebody ends them on the page People.",
        ),
        "certificate" => Some("The certificate is kept. You can approve attacks with this passkey."),
        _ => None,
    }
}

/// `GET /passkeys`
pub(crate) async fn passkeys(
    State(app): State<Arc<App>>,
    Who(session): Who,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let done = asked.ok().and_then(|Query(asked)| said(&asked.done));
    blocking(&app, move |app| {
        let passkeys = app.store.passkeys()?;
        let own = passkeys.iter().filter(|passkey| passkey.person == session.name);
        let known: Vec<String> = own.map(|passkey| passkey.credential.clone()).collect();
        let visible = passkeys.into_iter().filter(|passkey| may_manage(&session, passkey));
        let rows: Vec<Row> = visible.map(|passkey| row(&session, passkey)).collect();
        let (origin, wrong) = match &app.passkey_origin {
            Ok(origin) => (Some(origin.as_str()), None),
            Err(why) => (None, Some(why.as_str())),
        };
        let values = context! {
            rows => value(&rows),
            is_admin => session.role == Role::Admin,
            fresh => is_fresh(&session),
            known => known.join(" "),
            person => &session.name,
            rp => origin.map(rp_id),
            origin, wrong, done,
            script => &PASSKEYS.path,
        };
        page("passkeys", ("Passkeys", "passkeys"), Some(&session), values)
    })
    .await
}

/// Returns true if the login of a session is not longer ago than [`FRESH_S`].
fn is_fresh(session: &Session) -> bool {
    now_s() - session.began_s < FRESH_S
}

/// Returns the purpose of a challenge for a new passkey. Only the same session can use the challenge.
fn purpose(session: &Session) -> String {
    format!("add {}", session.id)
}

/// `POST /passkeys/challenge`
pub(crate) async fn challenge(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    Ok(typed("text/plain; charset=utf-8", app.challenges.fresh(&purpose(&session), now_s())?))
}

/// The form of a new passkey.
#[derive(Debug, Deserialize)]
pub(crate) struct Added {
    /// The name that the person gives it.
    name: String,
    /// The answer of the passkey.
    #[serde(flatten)]
    passkey: Fields,
}

/// `POST /passkeys`
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Who(session): Who,
    form: Result<Form<Added>, FormRejection>,
) -> Result<Response, Answer> {
    let Added { name, passkey } = fields(form)?;
    let name = person(&name).map_err(|error| bad(format!("No passkey was added: {error}.")))?;
    blocking(&app, move |app| {
        // Records a refusal and makes the answer to it. The error is that of the audit log.
        let refused = |why: &str| -> Result<Answer, Answer> {
            app.record(&App::deed(&session, "passkey", &name, &format!("refused: {why}")))?;
            Ok(bad(format!("No passkey was added: {why}.")))
        };
        let origin = app.passkey_origin.as_ref().map_err(|why| bad(why.clone()))?;
        if !is_fresh(&session) {
            return Err(refused("the login is more than 15 minutes ago; log out, and log in again")?);
        }
        let parts = passkey.parts()?;
        if passkey.credential.len() > CREDENTIAL_MOST {
            return Err(refused("its id is too long")?);
        }
        let answer =
            registered(&parts.client_data, &parts.authenticator_data, &parts.public_key, &parts.challenge);
        if let Err(why) = ours(answer, origin) {
            return Err(refused(&why)?);
        }
        if !app.challenges.take(&parts.challenge, &purpose(&session), now_s()) {
            return Err(refused("it took more than 5 minutes, or the server was started anew")?);
        }
        let new = NewPasskey {
            credential: &passkey.credential,
            person: &session.name,
            role: session.role,
            name: &name,
            public_key: &parts.public_key,
        };
        let Some(id) = app.store.add_passkey(new, now_s())? else {
            return Err(refused("it is there already, or there are too many")?);
        };
        let outcome = format!("added as number {id}, key {}", Fingerprint(&parts.public_key));
        // A passkey that is not in the audit log must not log anybody in.
        if let Err(error) = app.record(&App::deed(&session, "passkey", &name, &outcome)) {
            app.store.remove_passkey(id)?;
            return Err(error.into());
        }
        Ok(see("/passkeys?done=added"))
    })
    .await
}

/// Returns the passkey with a number. It is an error if there is none, or the person of the session may not manage it.
fn of_number(app: &App, session: &Session, number: &str) -> Result<Passkey, Answer> {
    let id: Option<i64> = number.parse().ok();
    let fits = |passkey: &Passkey| Some(passkey.id) == id && may_manage(session, passkey);
    app.store.passkeys()?.into_iter().find(fits).ok_or_else(|| {
        Answer::new(StatusCode::NOT_FOUND, "There is no such passkey.", "The page Passkeys shows all.")
    })
}

/// `POST /passkeys/{id}/remove`
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(number): Path<String>,
) -> Result<Response, Answer> {
    blocking(&app, move |app| {
        let passkey = of_number(app, &session, &number)?;
        let on = format!("{} of {}", passkey.name, passkey.person);
        let outcome = if app.store.remove_passkey(passkey.id)? { "removed" } else { "there was none" };
        app.record(&App::deed(&session, "remove-passkey", &on, outcome))?;
        Ok(see("/passkeys?done=removed"))
    })
    .await
}

/// The form with a certificate.
#[derive(Debug, Deserialize)]
pub(crate) struct Certified {
    /// The certificate in PEM, followed by the intermediate certificates.
    certificate: String,
}

/// `POST /passkeys/{id}/certificate`
pub(crate) async fn certify(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(number): Path<String>,
    form: Result<Form<Certified>, FormRejection>,
) -> Result<Response, Answer> {
    let Certified { certificate } = fields(form)?;
    blocking(&app, move |app| {
        let passkey = of_number(app, &session, &number)?;
        let wrong = |why: String| {
            let why = clean(&why, 200).into_owned();
            let help = "Paste the whole file that `firedrill pki enrol` wrote for this passkey.";
            Answer::new(StatusCode::BAD_REQUEST, format!("The certificate is not kept: {why}."), help)
        };
        let (person, until, key) = approver(&certificate).map_err(wrong)?;
        if person.name != passkey.person {
            return Err(wrong(format!(
                "it is of {}, and the passkey is that of {}",
                person.name, passkey.person
            )));
        }
        if key != passkey.public_key {
            let (own, other) = (Fingerprint(&passkey.public_key), Fingerprint(&key));
            return Err(wrong(format!("it is over the key {other}, and this passkey's is {own}")));
        }
        app.store.certify_passkey(passkey.id, &certificate)?;
        let outcome = format!("certificate of {} until {until}", person.name);
        app.record(&App::deed(&session, "passkey-certificate", &passkey.name, &outcome))?;
        Ok(see("/passkeys?done=certificate"))
    })
    .await
}

/// `GET /passkeys/{id}/passkey.json`
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(number): Path<String>,
) -> Result<Response, Answer> {
    blocking(&app, move |app| {
        let passkey = of_number(app, &session, &number)?;
        let origin = app.passkey_origin.as_ref().map_err(|why| bad(why.clone()))?;
        let file = Enrolment::new(&passkey.public_key, &passkey.credential, origin);
        let text = serde_json::to_string_pretty(&file).map_err(|error| Answer::failed(&error))?;
        let mut response = typed("application/json", text + "\n");
        let saved = HeaderValue::from_str(&format!("attachment; filename=\"{FILE}\""));
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, saved.map_err(|error| Answer::failed(&error))?);
        Ok(response)
    })
    .await
}
