//! Signed statements: made with the approver's key, and opened by coordinators and agents.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_certs::is_signature_of_owner;
use firedrill_wire::{
    RunId,
    api::{Assertion, Means, Signed},
    identity::Person,
    text::{self, Breaks},
    x509,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;

use crate::{
    Digest, PURPOSE, Standing, Statement,
    passkey::{self, Answer},
};

/// The version of the file's format.
const SCHEMA: u32 = 1;
/// The name of the signature scheme of approvals by passkey.
const BY_PASSKEY: &str = "webauthn-es256";
/// The longest validity of an approval by passkey. No page asks for a longer one.
pub const BY_PASSKEY_MOST: Duration = Duration::from_secs(86_400);
/// Maximum time by which the approver's clock may be ahead.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// An approval whose signature and times are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The approver, as `trusted` of [`open`] returned the person.
    pub by: Person,
    /// The certificate's serial number.
    pub serial: String,
    /// The means by which it was signed.
    pub means: Means,
    /// The origin of the page on which a passkey was used; `None` without a passkey. The caller decides whether it trusts that page.
    pub origin: Option<String>,
    /// The signed statement.
    pub statement: Statement,
}

/// Signs a statement. `sign` returns the scheme's name and the signature of a message. `chain` is the approver's certificate, then the
/// intermediate ones.
///
/// # Errors
/// The key cannot sign; the text says why.
pub fn seal(
    statement: &Statement,
    chain: &[CertificateDer<'_>],
    sign: impl FnOnce(&[u8]) -> Result<(&'static str, Vec<u8>), String>,
) -> Result<Signed, String> {
    let statement = serde_json::to_string(statement).map_err(|error| error.to_string())?;
    let (scheme, signature) = sign(message(&statement).as_bytes())?;
    Ok(Signed {
        schema: SCHEMA,
        statement,
        scheme: scheme.to_owned(),
        signature: BASE64_STANDARD.encode(signature),
        certificates: encoded(chain),
        assertion: None,
    })
}

/// Makes an approval from a passkey's answer to [`challenge`]. Verifies nothing. `statement` is in JSON. `chain` is the certificate
/// over the passkey, then the intermediate ones.
#[must_use]
pub fn seal_by_passkey(statement: String, chain: &[CertificateDer<'_>], answer: Answer<'_>) -> Signed {
    Signed {
        schema: SCHEMA,
        statement,
        scheme: BY_PASSKEY.to_owned(),
        signature: BASE64_STANDARD.encode(answer.signature),
        certificates: encoded(chain),
        assertion: Some(Assertion {
            authenticator_data: BASE64_STANDARD.encode(answer.authenticator_data),
            client_data: BASE64_STANDARD.encode(answer.client_data),
        }),
    }
}

/// Returns the certificates in base64.
fn encoded(chain: &[CertificateDer<'_>]) -> Vec<String> {
    chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect()
}

/// Returns the challenge that a passkey signs for a statement in JSON: the SHA-256 of the message that a certificate's key would sign.
#[must_use]
pub fn challenge(statement: &str) -> Digest {
    let mut challenge = [0; 32];
    challenge.copy_from_slice(digest(&SHA256, message(statement).as_bytes()).as_ref());
    challenge
}

/// Returns the message that a certificate's key signs for a statement in JSON.
fn message(statement: &str) -> String {
    format!("{PURPOSE}{statement}")
}

/// Verifies the signature and the times of an approval, and that it is valid for the run. `trusted` decides whether a chain is trusted now
/// for approvals by those means: it returns the chain's person, or the reason why not. The origin of an approval by passkey is not checked.
///
/// # Errors
/// The approval does not count; the text says why.
pub fn open(
    signed: &Signed,
    run: &RunId,
    now: SystemTime,
    trusted: impl FnOnce(&[CertificateDer<'_>], Means) -> Result<Person, String>,
) -> Result<Opened, String> {
    if signed.schema != SCHEMA {
        return Err(format!("it has the schema {}, and this version reads {SCHEMA}", signed.schema));
    }
    let chain = signed
        .certificates
        .iter()
        .map(|text| BASE64_STANDARD.decode(text).map(CertificateDer::from))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let means = if signed.scheme == BY_PASSKEY { Means::Passkey } else { Means::Certificate };
    // The signature is checked first, because an unsigned text must not be shown under a person's name.
    let by = trusted(&chain, means)?;
    let leaf = chain.first().ok_or("it has no certificate")?;
    let facts = x509::certificate(leaf);
    let origin = signed_with(signed, leaf, facts.as_ref()).map_err(|why| {
        let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
        format!("{} did not sign this text{reason}", by.name)
    })?;
    let statement: Statement = text::from_json(signed.statement.as_bytes(), Breaks::None)
        .map_err(|error| format!("what was signed cannot be read: {error}"))?;
    let time = |text: &str| {
        humantime::parse_rfc3339(text).map_err(|error| format!("its time `{text}` cannot be read: {error}"))
    };
    let (given, until) = (time(&statement.given)?, time(&statement.until)?);
    if given > now + CLOCKS_DIFFER {
        return Err(format!(
            "it was given at {}, which is in the future; do the clocks agree?",
            statement.given
        ));
    }
    if until < now {
        return Err(format!("it expired at {}; {} must approve again", statement.until, by.name));
    }
    let lasts = until.duration_since(given).unwrap_or_default();
    let is_usual = statement.standing.is_none() && statement.run.is_some() && lasts <= BY_PASSKEY_MOST;
    if means == Means::Passkey && !is_usual {
        return Err(format!(
            "{} signed by passkey more than one run and 24 hours, which no page of a control room asks for",
            by.name
        ));
    }
    if statement.standing.as_ref().is_some_and(|standing| !standing.is_small()) {
        return Err(Standing::TOO_LARGE.to_owned());
    }
    if statement.standing.is_some() && lasts > Standing::MOST {
        return Err(format!(
            "a standing approval is valid for 30 days at most; {} must approve again",
            by.name
        ));
    }
    if let Some(other) = statement.run.as_ref().filter(|other| *other != run) {
        return Err(format!("{} approved run {other} only, this is {run}", by.name));
    }
    let serial = facts.map(|facts| facts.serial).unwrap_or_default();
    Ok(Opened { by, serial, means, origin, statement })
}

/// Verifies that the owner of a certificate signed the statement. `facts` are those of the certificate `leaf`. Returns the origin of the page
/// on which a passkey was used; `None` without a passkey.
///
/// # Errors
/// The owner did not sign the statement. The text says more about that; empty if there is nothing to add.
fn signed_with(
    signed: &Signed,
    leaf: &CertificateDer<'_>,
    facts: Option<&x509::CertificateFacts>,
) -> Result<Option<String>, String> {
    let bytes = |what: &str, text: &str| {
        BASE64_STANDARD.decode(text).map_err(|error| format!("its {what} cannot be read: {error}"))
    };
    let signature = bytes("signature", &signed.signature)?;
    let Some(assertion) = signed.assertion.as_ref().filter(|_| signed.scheme == BY_PASSKEY) else {
        let message = message(&signed.statement);
        let is_signed = is_signature_of_owner(leaf, &signed.scheme, message.as_bytes(), &signature);
        return if is_signed { Ok(None) } else { Err(String::new()) };
    };
    let answer = Answer {
        authenticator_data: &bytes("authenticator data", &assertion.authenticator_data)?,
        client_data: &bytes("client data", &assertion.client_data)?,
        signature: &signature,
    };
    let public_key = facts.map_or(&[][..], |facts| &facts.public_key);
    passkey::verify(answer, public_key, &challenge(&signed.statement))
        .map(Some)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
