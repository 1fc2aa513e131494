//! Approvals: signed statements of people who agree to a plan.
//!
//! An approval is a small file. It names the plan by its digest, the approver, and its validity. The plan shows `***`
//! in place of secrets, so there is a second, salted digest over everything that probes send and over the commands that
//! lead to agents. An approver of a waiting run has only its log, which contains no secrets: such an approval names the run instead, and counts for
//! that run alone.
//!
//! The file has the approver's certificate and signature. It counts if the certificate is a person's, of the
//! coordinator's authority, in date, not revoked, and valid for the plan's environments. Agents never see it: the
//! coordinator needs it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_files::text::{hex, read};
use firedrill_wire::{
    RunId,
    identity::Person,
    text::{self, Breaks, clean, short},
    x509,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::{
    link::Identity,
    plan::{self, Plan},
};

/// Maximum size of an approval's file, in bytes.
const MOST_BYTES: u64 = 256 * 1024;
/// Prefix of the signed message, so that no other signature by the same key is valid as an approval.
const PURPOSE: &str = "firedrill approval v1\n";
/// Maximum clock skew between two people.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// The statement that an approver signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The plan's digest.
    pub plan: String,
    /// The scenario's name, for people.
    #[serde(deserialize_with = "short")]
    pub name: String,
    /// The run that it is valid for. Without one it is valid for every run of that plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Time of the approval, RFC 3339 UTC.
    pub given: String,
    /// End of its validity, RFC 3339 UTC.
    pub until: String,
    /// The requests of probes and the commands that lead to agents, which the plan does not show completely. Absent if the
    /// approver did not see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
}

/// A digest over what the plan does not show completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// A random value, so that equal secrets do not have equal digests.
    pub salt: String,
    /// [`Plan::requests`] with that salt.
    pub digest: String,
}

impl Requests {
    fn of(plan: &Plan) -> Result<Self, String> {
        let random = ring::rand::generate::<[u8; 16]>(&ring::rand::SystemRandom::new())
            .map_err(|_| "this machine gives no random numbers".to_owned())?;
        let salt = hex(&random.expose());
        let digest = plan.requests(&salt);
        Ok(Self { salt, digest })
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    schema: u32,
    /// A [`Statement`] in JSON, exactly as it was signed.
    statement: String,
    scheme: String,
    /// In base64.
    signature: String,
    /// DER in base64: the approver's certificate, then the intermediate ones.
    certificates: Vec<String>,
}

/// A valid approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The approver's name, from the certificate.
    pub by: String,
    /// The certificate's serial number.
    pub serial: String,
    /// The signed statement.
    pub statement: Statement,
}

/// An approval is not valid.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ApprovalError {
    path: PathBuf,
    why: String,
}

/// Signs that the identity's owner agrees to a plan; returns the text of the file. With a run, the plan is that of
/// its log, which contains no secrets.
///
/// # Errors
/// Its key cannot sign, its certificate is not valid for the plan's environments, or revocations are unknown.
pub fn sign(
    identity: &Identity,
    plan: &Plan,
    run: Option<&RunId>,
    lasts: Duration,
) -> Result<String, String> {
    identity.revocations().map_err(|why| {
        format!("nothing can be approved while revocations are unknown: {why}; copy a fresh crl.pem there")
    })?;
    if let Some(person) = identity.person() {
        within_environments(person, plan)?;
    }
    let now = SystemTime::now();
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    let statement = Statement {
        plan: plan.agreement(),
        name: plan.name.clone(),
        run: run.cloned(),
        given: time(now),
        until: time(now + lasts),
        requests: if run.is_none() { Some(Requests::of(plan)?) } else { None },
    };
    let statement = serde_json::to_string(&statement).map_err(|error| error.to_string())?;
    let (scheme, signature) = identity.signer.sign(format!("{PURPOSE}{statement}").as_bytes())?;
    let certificates = identity.signer.chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
    let file = File {
        schema: 1,
        statement,
        scheme: scheme.to_owned(),
        signature: BASE64_STANDARD.encode(signature),
        certificates,
    };
    serde_json::to_string_pretty(&file).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Reads an approval and returns the approver, if it is valid for that plan and run now, by the identity's trust
/// anchors.
///
/// # Errors
/// It cannot be read, or is not valid; with the reason and the next step.
pub fn verify(path: &Path, identity: &Identity, plan: &Plan, run: &RunId) -> Result<Approval, ApprovalError> {
    check(path, identity, plan, run, SystemTime::now())
        .map_err(|why| ApprovalError { path: path.to_owned(), why: clean(&why, 1000).into_owned() })
}

fn check(
    path: &Path,
    identity: &Identity,
    plan: &Plan,
    run: &RunId,
    now: SystemTime,
) -> Result<Approval, String> {
    let make = "an approver makes one with `firedrill approve`";
    let text = read(path, MOST_BYTES).map_err(|error| format!("no approval can be read: {error}; {make}"))?;
    let file: File = text::from_json(text.text.as_bytes(), Breaks::None)
        .map_err(|error| format!("it is not an approval ({error}); {make}"))?;
    if file.schema != 1 {
        return Err(format!("it has the schema {}, and this version reads 1", file.schema));
    }
    let chain = file
        .certificates
        .iter()
        .map(|text| BASE64_STANDARD.decode(text).map(CertificateDer::from))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let signature = BASE64_STANDARD
        .decode(&file.signature)
        .map_err(|error| format!("its signature cannot be read: {error}"))?;
    // The signature is checked first, because an unsigned text must not be shown under a person's name.
    let by = identity.trusted_person(&chain)?;
    let message = format!("{PURPOSE}{}", file.statement);
    if !chain.first().is_some_and(|leaf| identity.signed(leaf, &file.scheme, message.as_bytes(), &signature))
    {
        return Err(format!("{} did not sign this text", by.name));
    }
    let statement: Statement = text::from_json(file.statement.as_bytes(), Breaks::None)
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
    let digest = plan.agreement();
    if statement.plan != digest {
        return Err(format!(
            "{} approved another plan ({} of \"{}\"), this one is {digest}: scenario, fleet, parameters and seed must be \
             the same",
            by.name, statement.plan, statement.name
        ));
    }
    if let Some(other) = statement.run.as_ref().filter(|other| *other != run) {
        return Err(format!("{} approved run {other} only, this is {run}", by.name));
    }
    let hiding = plan.hiding();
    match &statement.requests {
        Some(requests) if plan.requests(&requests.salt) != requests.digest => {
            return Err(format!(
                "{} approved other requests: the signed plan has other secrets than those that {} in place of `***`; \
                 {} reads the scenario and the fleet and approves again",
                by.name,
                hiding.as_deref().unwrap_or("the probes send and `connect` has"),
                by.name
            ));
        }
        None if statement.run.is_none()
            && let Some(hiding) = hiding =>
        {
            return Err(format!(
                "{} did not sign the secrets that {hiding} in place of `***`; approve again with this version",
                by.name
            ));
        }
        _ => {}
    }
    within_environments(&by, plan)?;
    let serial = chain.first().and_then(|leaf| x509::certificate(leaf)).map(|facts| facts.serial);
    Ok(Approval { by: by.name, serial: serial.unwrap_or_default(), statement })
}

/// Checks that a person who is trusted only in some environments approves no plan of others.
fn within_environments(person: &Person, plan: &Plan) -> Result<(), String> {
    match plan::left_out(person, plan).as_slice() {
        [] => Ok(()),
        reasons => Err(format!("{} cannot approve this plan: {}", person.name, reasons.join("; "))),
    }
}

#[cfg(test)]
mod tests;
