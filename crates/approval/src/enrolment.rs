//! The file by which a person asks for the enrolment of a passkey: the passkey's public key, and the page on which it was made. The file has no secret.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_wire::{
    origin::{check_origin, rp_id},
    text::{self, Breaks},
};
use serde::{Deserialize, Serialize};

use crate::point;

/// The version of the file's format.
const SCHEMA: u32 = 1;

/// A passkey that is to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// [`SCHEMA`], or the version of another format.
    schema: u32,
    /// The passkey's public key: `SubjectPublicKeyInfo` in DER, in base64.
    public_key: String,
    /// The passkey's id, in base64url.
    pub credential: String,
    /// The host that the passkey belongs to.
    pub rp_id: String,
    /// The origin of the page on which the passkey was made.
    pub origin: String,
}

impl Enrolment {
    /// Returns the enrolment of a passkey that was made on a page of `origin`. `public_key` is `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn new(public_key: &[u8], credential: &str, origin: &str) -> Self {
        Self {
            schema: SCHEMA,
            public_key: BASE64_STANDARD.encode(public_key),
            credential: credential.to_owned(),
            rp_id: rp_id(origin).to_owned(),
            origin: origin.to_owned(),
        }
    }

    /// Reads a file. Returns the enrolment, and the public key as `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// The text is no such file, or its passkey cannot approve. The error is a clause that says why.
    pub fn read(json: &str) -> Result<(Self, Vec<u8>), String> {
        let enrolment: Self = text::from_json(json.as_bytes(), Breaks::None)
            .map_err(|error| format!("it is not the file of a passkey: {error}"))?;
        if enrolment.schema != SCHEMA {
            return Err(format!("it has the schema {}, and this version reads {SCHEMA}", enrolment.schema));
        }
        check_origin(&enrolment.origin)?;
        let Self { rp_id: host, origin, .. } = &enrolment;
        if host != rp_id(origin) {
            return Err(format!("its rp_id `{host}` is not the host of its origin {origin}"));
        }
        let key = BASE64_STANDARD
            .decode(&enrolment.public_key)
            .map_err(|error| format!("its public_key is not base64: {error}"))?;
        point(&key).map_err(|error| error.to_string())?;
        Ok((enrolment, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Authenticator;

    #[test]
    fn a_file_that_was_changed_is_refused_with_the_reason() {
        let key = Authenticator::new().public_key();
        let file = Enrolment::new(&key, "AAAA", "https://drills.example:8443");
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(Enrolment::read(&json), Ok((file, key)));
        for (from, to, why) in [
            ("\"schema\":1", "\"schema\":2", "schema 2"),
            ("https://", "http://", "without TLS"),
            ("\"rp_id\":\"drills.example\"", "\"rp_id\":\"example\"", "is not the host of its origin"),
            ("MFkw", "MFkx", "P-256"),
            ("MFkw", "?", "not base64"),
            ("public_key", "key", "not the file of a passkey"),
        ] {
            let changed = json.replacen(from, to, 1);
            assert_ne!(changed, json, "{from}");
            let error = Enrolment::read(&changed).expect_err(to);
            assert!(error.contains(why), "{error}");
        }
    }
}
