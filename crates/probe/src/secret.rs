//! Secrets, read where the probe runs. Their text goes into the request, whose headers print as `Sensitive`, and nowhere else.

use firedrill_wire::probe::{Field, Refusal, Secret};
use http::HeaderValue;

use crate::reads::{Reads, Use};

/// Returns the header's value for a bearer token.
pub(crate) fn bearer(secret: &Secret, reads: &dyn Reads) -> Result<HeaderValue, Refusal> {
    let field = Field::request(&["bearer"]);
    let token = text(&field, "the bearer token", secret, reads)?;
    header(field, "the bearer token", &format!("Bearer {token}"))
}

/// Returns the text of a secret, without the line break at its end. `name` names it in messages.
///
/// # Errors
/// The secret cannot be read, or is no line of text. The message has nothing of its text.
pub fn secret_text(name: &str, secret: &Secret, reads: &dyn Reads) -> Result<String, Refusal> {
    text(&Field::request(&[]), name, secret, reads)
}

/// Returns the text of a secret as [`secret_text`] does. Refusals name the field `field`.
///
/// # Errors
/// The same as those of [`secret_text`].
pub fn text(field: &Field, name: &str, secret: &Secret, reads: &dyn Reads) -> Result<String, Refusal> {
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
        let what = format!("{name} in {place} cannot be used: {why}");
        Refusal::new(field.clone(), what, "no secret", "it is read on the machine that the probe runs on")
    };
    let text = text.map_err(&refuse)?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    if line.contains(['\n', '\r', '\0']) {
        return Err(refuse("it has more than one line, or a NUL character".to_owned()));
    }
    Ok(line.to_owned())
}

/// Returns a header's value with a secret in it. It prints as `Sensitive`.
pub(crate) fn header(field: Field, name: &str, text: &str) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let what = format!("{name} cannot be used: it holds characters that a header cannot carry");
        Refusal::new(field, what, "no secret", "it is read on the machine that the probe runs on")
    })?;
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
