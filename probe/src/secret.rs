//! Bearer tokens, read where the probe runs. Their text goes into a header that prints as `Sensitive`, nowhere else.

use firedrill_wire::probe::Secret;
use http::HeaderValue;

use crate::{
    reads::{Reads, Use},
    refusal::{Field, Refusal},
};

/// The header's value for a bearer token.
pub(crate) fn bearer(secret: &Secret, reads: &dyn Reads) -> Result<HeaderValue, Refusal> {
    let (place, text) = match secret {
        Secret::SecretFile(path) => {
            let bytes = reads.file(path, Use::Secret);
            let text = bytes
                .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned()));
            (format!("file {path}"), text)
        }
        Secret::SecretEnv(name) => (format!("environment variable {name}"), reads.variable(name)),
    };
    let refuse = |why: String| {
        let what = format!("the bearer token in {place} cannot be used: {why}");
        Refusal::new(Field::Bearer, what, "no token", "it is read on the machine that the probe runs on")
    };
    let text = text.map_err(refuse)?;
    let token = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if token.is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| refuse("it holds characters that a header cannot carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::Anything;

    #[test]
    fn the_last_line_break_is_no_part_and_nothing_is_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token").to_string_lossy().into_owned();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            bearer(&Secret::SecretFile(path.clone()), &Anything)
        };
        for text in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let value = read(text).unwrap();
            assert_eq!(value.as_bytes(), b"Bearer s3cret");
            assert!(!format!("{value:?}").contains("s3cret"));
        }
        for text in ["", "\n", "s3cret\nmore\n"] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(&path) && !error.contains("s3cret"), "{error}");
        }
        assert!(bearer(&Secret::SecretEnv("FIREDRILL_NO_SUCH_VARIABLE".to_owned()), &Anything).is_err());
    }
}
