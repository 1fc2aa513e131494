//! The file by which a person has a passkey enrolled: its public key, and the page on which it was made. It has no secret.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill_wire::{
    origin::{check_origin, rp_id},
    text::{self, Breaks},
};
use serde::{Deserialize, Serialize};

use crate::point;

/// The schema of the file.
const SCHEMA: u32 = 1;

/// A passkey that is to be enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The version of this format.
    schema: u32,
    /// The passkey's public key: `SubjectPublicKeyInfo` in DER, in base64.
    public_key: String,
    /// Its id, in base64url.
    pub credential: String,
    /// The host that it belongs to.
    pub rp_id: String,
    /// The origin of the page on which it was made.
    pub origin: String,
}

impl Enrolment {
    /// Returns the file of a passkey that was made on a page of that origin.
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

    /// Reads a file. Returns it with the public key, `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// It is no such file, or not of a passkey that can approve; the reason in words.
    pub fn read(json: &str) -> Result<(Self, Vec<u8>), String> {
        let read: Self = text::from_json(json.as_bytes(), Breaks::None)
            .map_err(|error| format!("it is not the file of a passkey: {error}"))?;
        if read.schema != SCHEMA {
            return Err(format!("it has the schema {}, and this version reads {SCHEMA}", read.schema));
        }
        check_origin(&read.origin)?;
        if read.rp_id != rp_id(&read.origin) {
            return Err(format!("its rp_id `{}` is not the host of its origin {}", read.rp_id, read.origin));
        }
        let key = BASE64_STANDARD
            .decode(&read.public_key)
            .map_err(|error| format!("its public_key is not base64: {error}"))?;
        point(&key).map_err(|error| error.to_string())?;
        Ok((read, key))
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
            let told = Enrolment::read(&changed).expect_err(to);
            assert!(told.contains(why), "{told}");
        }
    }
}
