//! Signed statements: written by the approver's key, and opened by whoever asks for approvals.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_certs::signed_by;
use firedrill_wire::{
    RunId,
    api::Signed,
    identity::Person,
    text::{self, Breaks},
    x509,
};
use rustls_pki_types::CertificateDer;

use crate::{PURPOSE, Statement};

/// The schema of the file.
const SCHEMA: u32 = 1;
/// Maximum clock skew between two people.
const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// An approval whose signature and times are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The approver, from the certificate.
    pub by: Person,
    /// The certificate's serial number.
    pub serial: String,
    /// The signed statement.
    pub statement: Statement,
}

/// Signs a statement. `sign` returns the scheme's name and the signature of a message; `chain` is the approver's certificate, then the
/// intermediate ones.
///
/// # Errors
/// The key cannot sign, in words.
pub fn seal(
    statement: &Statement,
    chain: &[CertificateDer<'_>],
    sign: impl FnOnce(&[u8]) -> Result<(&'static str, Vec<u8>), String>,
) -> Result<Signed, String> {
    let statement = serde_json::to_string(statement).map_err(|error| error.to_string())?;
    let (scheme, signature) = sign(format!("{PURPOSE}{statement}").as_bytes())?;
    Ok(Signed {
        schema: SCHEMA,
        statement,
        scheme: scheme.to_owned(),
        signature: BASE64_STANDARD.encode(signature),
        certificates: chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect(),
    })
}

/// Verifies the signature and the times of an approval, and that it is for that run or for any. `trusted` returns the person of a chain that
/// is trusted now, or why it is not.
///
/// # Errors
/// The reason why it does not count, in words.
pub fn open(
    signed: &Signed,
    run: &RunId,
    now: SystemTime,
    trusted: impl FnOnce(&[CertificateDer<'_>]) -> Result<Person, String>,
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
    let signature = BASE64_STANDARD
        .decode(&signed.signature)
        .map_err(|error| format!("its signature cannot be read: {error}"))?;
    // The signature is checked first, because an unsigned text must not be shown under a person's name.
    let by = trusted(&chain)?;
    let message = format!("{PURPOSE}{}", signed.statement);
    if !chain.first().is_some_and(|leaf| signed_by(leaf, &signed.scheme, message.as_bytes(), &signature)) {
        return Err(format!("{} did not sign this text", by.name));
    }
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
    if let Some(other) = statement.run.as_ref().filter(|other| *other != run) {
        return Err(format!("{} approved run {other} only, this is {run}", by.name));
    }
    let serial = chain.first().and_then(|leaf| x509::certificate(leaf)).map(|facts| facts.serial);
    Ok(Opened { by, serial: serial.unwrap_or_default(), statement })
}
