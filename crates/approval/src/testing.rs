//! An authenticator for tests, also of other crates: makes the answers of a browser and a passkey.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test may fail by it")]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};

use crate::passkey::{Answer, P256, PRESENT, VERIFIED};

/// The origin of the page on which the passkey is used.
pub const ORIGIN: &str = "https://drills.example:8443";

/// A passkey.
#[derive(Debug)]
pub struct Authenticator(pub(crate) EcdsaKeyPair);

/// An answer of a passkey.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The authenticator's data.
    pub authenticator_data: Vec<u8>,
    /// The browser's data.
    pub client_data: Vec<u8>,
    /// The signature, in DER.
    pub signature: Vec<u8>,
}

impl Signature {
    /// Returns the answer in the form that is verified.
    #[must_use]
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            authenticator_data: &self.authenticator_data,
            client_data: &self.client_data,
            signature: &self.signature,
        }
    }
}

/// Returns an authenticator's data for a host: the host's digest, these flags, and a counter.
#[must_use]
pub fn authenticator_data(rp_id: &str, flags: u8) -> Vec<u8> {
    let counter = 9_u32.to_be_bytes();
    [digest(&SHA256, rp_id.as_bytes()).as_ref(), &[flags], &counter].concat()
}

/// Returns a browser's data in JSON. It has an additional member, because browsers add some.
#[must_use]
pub fn client_data(kind: &str, challenge: &[u8], origin: &str) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
    format!(
        r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false,"other_keys_can_be_added_here":"x"}}"#
    )
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new()
    }
}

impl Authenticator {
    /// Makes a new key.
    #[must_use]
    pub fn new() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap())
    }

    /// Returns its `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        [&P256, self.0.public_key().as_ref()].concat()
    }

    /// Signs the data of an authenticator and of a browser as they are.
    #[must_use]
    pub fn sign(&self, authenticator_data: Vec<u8>, client_data: impl Into<Vec<u8>>) -> Signature {
        let client_data = client_data.into();
        let message = [&authenticator_data, digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.0.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
        Signature { authenticator_data, client_data, signature }
    }

    /// Signs a challenge as on a page of [`ORIGIN`], with the owner present and verified.
    #[must_use]
    pub fn approve(&self, challenge: &[u8]) -> Signature {
        let data = authenticator_data("drills.example", PRESENT | VERIFIED);
        self.sign(data, client_data("webauthn.get", challenge, ORIGIN))
    }
}
