//! Random secrets of links and sessions. Only their digests are stored.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_files::text::hex;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::error::RoomError;

/// Returns a new secret of 256 bits: 43 characters that stand in URLs and cookies as they are.
///
/// # Errors
/// The system gives no random numbers.
pub(crate) fn fresh() -> Result<String, RoomError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RoomError::Random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the SHA-256 of bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}
