//! Makes the random secrets of links, sessions and tokens, and digests of bytes. Stores nothing; other modules store only the digests of secrets.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_files::text::hex;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::error::RoomError;

/// Returns a new secret of 256 bits: 43 characters that need no encoding in URLs and cookies.
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

/// The beginning of each token. Programs that search files for secrets can find tokens by it.
const BEGIN: &str = "fdr_";
/// Number of characters of a secret: 32 bytes in base64url.
const SECRET: usize = 43;
/// Number of characters of a token's checksum: 4 bytes in base64url.
const SUM: usize = 6;

/// Returns a new token: `fdr_`, a secret of 256 bits, and a checksum of both.
///
/// # Errors
/// As [`fresh`].
pub(crate) fn fresh_token() -> Result<String, RoomError> {
    let secret = fresh()?;
    Ok(format!("{BEGIN}{secret}{}", sum(&secret)))
}

/// Returns true if a text has the form and the checksum of a token. A token that was cut or mistyped has not.
pub(crate) fn is_token(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(BEGIN).filter(|rest| rest.is_ascii()) else { return false };
    let Some((secret, given)) = rest.len().checked_sub(SUM).map(|end| rest.split_at(end)) else {
        return false;
    };
    // A comparison in constant time is not needed: the checksum is computed from the same text, and not from a stored secret.
    secret.len() == SECRET && given == sum(secret)
}

/// Returns the checksum of a token with this secret.
fn sum(secret: &str) -> String {
    let digest = digest(&SHA256, format!("{BEGIN}{secret}").as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_cut_or_mistyped_is_recognised() {
        let token = fresh_token().unwrap();
        assert!(is_token(&token) && token.len() == 53, "{token}");
        assert_ne!(token, fresh_token().unwrap());
        let other = if token.as_bytes()[10] == b'a' { "b" } else { "a" };
        let mistyped = format!("{}{other}{}", &token[..10], &token[11..]);
        for bad in ["", "fdr_", "fdr_é", &token[..52], &token[1..], &format!("{token}a"), &mistyped] {
            assert!(!is_token(bad), "{bad}");
        }
    }
}
