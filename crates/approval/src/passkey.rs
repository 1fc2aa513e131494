//! Passkeys (WebAuthn, only ES256): verifies the answer of an authenticator, and finds the origin of the web page that asked for it.
//! Callers decide whether they trust that origin and the key.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_wire::origin::{check_origin, rp_id};
use ring::{
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use serde::Deserialize;

/// Maximum size of a browser's data, in bytes. Browsers write some hundred bytes.
const CLIENT_DATA_MOST: usize = 8 << 10;
/// Maximum size of an authenticator's data, in bytes.
const AUTHENTICATOR_DATA_MOST: usize = 8 << 10;
/// Maximum size of a signature, in bytes.
const SIGNATURE_MOST: usize = 128;
/// Size of an authenticator's data without extensions, in bytes: a digest, flags and a counter.
const AUTHENTICATOR_DATA_LEAST: usize = 37;
/// The flag of an authenticator's data for a person who was present.
pub(crate) const PRESENT: u8 = 1;
/// The flag for a person whom the authenticator verified (by PIN, finger or face).
pub(crate) const VERIFIED: u8 = 1 << 2;

/// The beginning of the `SubjectPublicKeyInfo` of a key on the curve P-256, before its point.
pub(crate) const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte of a point that is not compressed.
const UNCOMPRESSED: u8 = 4;
/// Size of a point that is not compressed, with its first byte, in bytes.
const POINT: usize = 65;
/// Number of groups of two bytes in a fingerprint.
const GROUPS: usize = 8;

/// An authenticator's answer, as a browser returns it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The authenticator's data.
    pub authenticator_data: &'a [u8],
    /// The browser's data in JSON.
    pub client_data: &'a [u8],
    /// The signature, in DER.
    pub signature: &'a [u8],
}

/// The reason why an authenticator's answer does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// The key is of another kind.
    #[error("the key is not on the curve P-256 (ES256), which is the only kind that is accepted")]
    Key,
    /// This part has a size that no browser sends.
    #[error("the passkey's {0} has an impossible size")]
    Size(&'static str),
    /// The browser's data cannot be read, for this reason.
    #[error("the browser's data cannot be read: {0}")]
    ClientData(String),
    /// The answer was made for another purpose.
    #[error("the passkey was asked for `{found}`, and not for `{wanted}`")]
    Kind {
        /// The purpose that the browser names.
        found: String,
        /// The purpose that was asked for.
        wanted: &'static str,
    },
    /// The answer signs another challenge.
    #[error("the passkey signed something else")]
    Challenge,
    /// The page was inside a page of another site.
    #[error("the passkey was used inside a page of another site")]
    CrossOrigin,
    /// Passkeys do not work on pages of that origin; the text says why.
    #[error("{0}")]
    Origin(String),
    /// The passkey belongs to another host than the page. The text is the page's host.
    #[error("the passkey was not used for {0}, which its page is of")]
    RpId(String),
    /// Nobody touched the authenticator.
    #[error("nobody was present at the passkey")]
    Absent,
    /// The authenticator did not verify the person.
    #[error("the passkey did not verify its owner (by PIN, finger or face)")]
    Unverified,
    /// The signature is not of the key.
    #[error("the signature is not the passkey's")]
    Signature,
}

/// The members of the browser's data that are compared. Other members are ignored, because browsers add some.
#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: Option<bool>,
}

/// Verifies that the key (a `SubjectPublicKeyInfo` in DER) signed the challenge, and that the passkey's owner was present and verified. Returns the
/// origin of the page that asked; the passkey belongs to the host of that page. The counter is ignored, because passkeys that are copied between
/// devices have none.
///
/// # Errors
/// The answer does not count, for this reason.
pub fn verify(answer: Answer<'_>, public_key: &[u8], challenge: &[u8]) -> Result<String, PasskeyError> {
    if answer.signature.len() > SIGNATURE_MOST {
        return Err(PasskeyError::Size("signature"));
    }
    let point = point(public_key)?;
    let origin = check("webauthn.get", answer.client_data, answer.authenticator_data, challenge)?;
    let client_digest = digest(&SHA256, answer.client_data);
    let message = [answer.authenticator_data, client_digest.as_ref()].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(&message, answer.signature)
        .map_err(|_| PasskeyError::Signature)?;
    Ok(origin)
}

/// Checks a browser's answer to the registration of a passkey with that key. Returns the origin of the page that asked. An answer to a
/// registration has no signature, so only the server of the page can rely on it.
///
/// # Errors
/// The answer does not count, for this reason.
pub fn registered(
    client_data: &[u8],
    authenticator_data: &[u8],
    public_key: &[u8],
    challenge: &[u8],
) -> Result<String, PasskeyError> {
    point(public_key)?;
    check("webauthn.create", client_data, authenticator_data, challenge)
}

/// Checks the data of the browser and of the authenticator, but not the signature. `wanted` is the purpose. Returns the origin of the page.
fn check(
    wanted: &'static str,
    client_data: &[u8],
    authenticator_data: &[u8],
    challenge: &[u8],
) -> Result<String, PasskeyError> {
    if client_data.len() > CLIENT_DATA_MOST {
        return Err(PasskeyError::Size("client data"));
    }
    if !(AUTHENTICATOR_DATA_LEAST..=AUTHENTICATOR_DATA_MOST).contains(&authenticator_data.len()) {
        return Err(PasskeyError::Size("authenticator data"));
    }
    // The texts are compared as they are: cleaning could make two different texts equal.
    let client: ClientData =
        serde_json::from_slice(client_data).map_err(|error| PasskeyError::ClientData(error.to_string()))?;
    if client.kind != wanted {
        return Err(PasskeyError::Kind { found: client.kind, wanted });
    }
    if client.challenge != BASE64_URL_SAFE_NO_PAD.encode(challenge) {
        return Err(PasskeyError::Challenge);
    }
    if client.cross_origin == Some(true) {
        return Err(PasskeyError::CrossOrigin);
    }
    // The origin is returned and shown in messages, so its form is checked here.
    check_origin(&client.origin).map_err(PasskeyError::Origin)?;
    let host = rp_id(&client.origin);
    let (host_digest, rest) = authenticator_data.split_at(SHA256.output_len());
    if host_digest != digest(&SHA256, host.as_bytes()).as_ref() {
        return Err(PasskeyError::RpId(host.to_owned()));
    }
    let flags = rest.first().copied().unwrap_or_default();
    if flags & PRESENT == 0 {
        return Err(PasskeyError::Absent);
    }
    if flags & VERIFIED == 0 {
        return Err(PasskeyError::Unverified);
    }
    Ok(client.origin)
}

/// Returns the point of a key on the curve P-256, from its `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// The key is of another kind.
pub fn point(public_key: &[u8]) -> Result<&[u8], PasskeyError> {
    let point = public_key.strip_prefix(&P256).ok_or(PasskeyError::Key)?;
    if point.len() == POINT && point.first() == Some(&UNCOMPRESSED) {
        Ok(point)
    } else {
        Err(PasskeyError::Key)
    }
}

/// Displays a public key for people, as the beginning of the key's SHA-256 in groups.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint<'a>(pub &'a [u8]);

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = digest(&SHA256, self.0);
        let mut separator = "";
        for pair in digest.as_ref().chunks(2).take(GROUPS) {
            f.write_str(separator)?;
            pair.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            separator = "-";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
