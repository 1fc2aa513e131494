//! `webhook`: a program of the user gets each message as signed JSON.

use firedrill_files::text::hex;
use firedrill_wire::probe::Secret;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::{Kind, Parcel, post};
use crate::{
    message::{Message, now},
    secrets::Opened,
};

/// A program that accepts messages as JSON by HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its address, `https://…` or `http://…`. Redirects are not followed.
    pub url: Secret,
    /// The key of the signature: any text of at least 16 characters that the receiver has, too.
    pub key: Secret,
    /// A PEM file of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Minimum length of the key, in bytes.
const KEY_LEAST: usize = 16;

impl Kind for Webhook {
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("url", &self.url), ("key", &self.key)]
    }

    fn parcel(&self, message: &Message, secrets: &Opened, _: Option<&str>) -> Result<Parcel, String> {
        let key = secrets.text("key")?;
        if key.len() < KEY_LEAST {
            return Err(format!("the key of the signature has fewer than {KEY_LEAST} characters"));
        }
        let body = serde_json::to_value(message).map_err(|error| error.to_string())?;
        let mut request = post(secrets.text("url")?, &body, self.ca_file.as_ref());
        let time = now().as_secs().to_string();
        let signature = signature(key, &time, request.body.as_deref().unwrap_or_default());
        request.headers.extend([
            ("Firedrill-Event".to_owned(), message.id.clone()),
            ("Firedrill-Time".to_owned(), time),
            ("Firedrill-Signature".to_owned(), signature),
        ]);
        Ok(Parcel::Http(Box::new(request)))
    }
}

/// Returns the signature over time and body: HMAC-SHA256 of `TIME.BODY`, in hexadecimal digits after `v1=`.
fn signature(key: &str, time: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    format!("v1={}", hex(hmac::sign(&key, format!("{time}.{body}").as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value was made by `printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn the_signature_is_the_same_as_that_of_openssl() {
        assert_eq!(
            signature("0123456789abcdef", "1700000000", "{\"a\":1}"),
            "v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"
        );
    }
}
