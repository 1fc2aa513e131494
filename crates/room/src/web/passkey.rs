//! Reads and verifies the answer of a passkey, which the script of a page has put into a form.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_approval::{Answer as Signed, PasskeyError, verify};
use http::StatusCode;
use serde::Deserialize;

use super::answer::Answer;

/// The next step after a form that our script has not filled correctly.
const AGAIN: &str = "Go back, load the page anew, and try again. Passkeys need JavaScript.";

/// The fields of the form, all in base64url.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    pub(crate) credential: String,
    #[serde(default)]
    pub(crate) challenge: String,
    #[serde(default)]
    authenticator_data: String,
    #[serde(default)]
    client_data: String,
    /// Empty for a new passkey.
    #[serde(default)]
    signature: String,
    /// Only for a new passkey; otherwise empty.
    #[serde(default)]
    public_key: String,
}

/// The decoded fields.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) client_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) challenge: Vec<u8>,
}

impl Fields {
    /// Decodes the fields.
    ///
    /// # Errors
    /// A needed field is empty, or a field is not in base64url.
    pub(crate) fn parts(&self) -> Result<Parts, Answer> {
        if self.credential.is_empty() || self.client_data.is_empty() {
            return Err(bad("The browser sent no passkey."));
        }
        let bytes = |text: &str| {
            BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| bad("The passkey's answer cannot be read."))
        };
        Ok(Parts {
            authenticator_data: bytes(&self.authenticator_data)?,
            client_data: bytes(&self.client_data)?,
            signature: bytes(&self.signature)?,
            public_key: bytes(&self.public_key)?,
            challenge: bytes(&self.challenge)?,
        })
    }
}

impl Parts {
    /// Returns the parts of an answer that are verified.
    pub(crate) fn signed(&self) -> Signed<'_> {
        Signed {
            authenticator_data: &self.authenticator_data,
            client_data: &self.client_data,
            signature: &self.signature,
        }
    }

    /// Verifies that a key has signed a challenge on a page of an origin.
    ///
    /// # Errors
    /// The signature is not valid, or was made for another challenge or origin; the text says why.
    pub(crate) fn verify(&self, public_key: &[u8], challenge: &[u8], origin: &str) -> Result<(), String> {
        ours(verify(self.signed(), public_key, challenge), origin)
    }
}

/// Checks that an answer was verified, and was given on a page of our origin. `answer` is the result of the verification: the page's origin, or the
/// reason why the answer is not valid.
pub(crate) fn ours(answer: Result<String, PasskeyError>, origin: &str) -> Result<(), String> {
    match answer {
        Ok(from) if from == origin => Ok(()),
        Ok(from) => Err(format!("the passkey was used on {}", firedrill_wire::text::clean(&from, 100))),
        Err(error) => Err(firedrill_wire::text::clean(&error.to_string(), 200).into_owned()),
    }
}

/// Returns the answer to a form that our script has not filled correctly.
pub(crate) fn bad(text: impl Into<String>) -> Answer {
    Answer::new(StatusCode::BAD_REQUEST, text, AGAIN)
}
