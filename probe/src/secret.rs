//! Bearer tokens, read where the probe runs. Their text goes into a header that prints as `Sensitive`, nowhere else.

use firedrill_wire::probe::Secret;
use http::HeaderValue;

use crate::refusal::{Field, Refusal};

/// The header's value for a bearer token.
pub(crate) fn bearer(secret: &Secret) -> Result<HeaderValue, Refusal> {
    let (place, text) = match secret {
        Secret::SecretFile(path) => {
            (format!("file {path}"), std::fs::read_to_string(path).map_err(|why| why.to_string()))
        }
        Secret::SecretEnv(name) => (
            format!("environment variable {name}"),
            std::env::var(name).map_err(|why| match why {
                std::env::VarError::NotPresent => "it is not set".to_owned(),
                // The error's own text would print the value.
                std::env::VarError::NotUnicode(_) => "it is not Unicode".to_owned(),
            }),
        ),
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

    #[test]
    fn the_last_line_break_is_no_part_and_nothing_is_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token").to_string_lossy().into_owned();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            bearer(&Secret::SecretFile(path.clone()))
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
        assert!(bearer(&Secret::SecretEnv("FIREDRILL_NO_SUCH_VARIABLE".to_owned())).is_err());
    }
}
