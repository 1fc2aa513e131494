//! The meaning of PostgreSQL's errors: the words for people, and whether a write certainly was not done.

use std::{error::Error as _, io};

use firedrill_probe::client::{Cause, Failure, Told, failure as of_stream};
use tokio_postgres::{
    Error,
    error::{DbError, Severity},
};

use super::tls::Failed;

/// The beginning of the codes that are about a connection.
const CONNECTION: &str = "08";

/// Classifies an error as the outcome of a request.
pub(super) fn failure(error: &Error) -> Failure {
    if let Some(said) = error.as_db_error() {
        return told(said.code().code()).into();
    }
    if error.is_closed() {
        return Cause::Reset.into();
    }
    let source = error.source();
    if let Some(Failed(failure)) = source.and_then(|source| source.downcast_ref()) {
        return *failure;
    }
    if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        return of_stream(io);
    }
    // The client's own refusals have no kind that a program can read.
    match source.map(ToString::to_string).as_deref() {
        Some("server does not support TLS") => Told::NoTls.into(),
        Some("password missing") => Told::PasswordWanted.into(),
        Some(why) if why.starts_with("unsupported authentication method") => Told::Login.into(),
        _ => Cause::Protocol.into(),
    }
}

/// Returns the words of a code.
fn told(code: &str) -> Told {
    match code {
        "28P01" => Told::Password,
        "28000" => Told::Login,
        "3D000" => Told::NoDatabase,
        "25006" => Told::ReadOnly,
        "42501" => Told::NotPermitted,
        "53300" => Told::TooMany,
        "57P01" | "57P02" => Told::Stopping,
        "57P03" => Told::Loading,
        other => {
            let mut code = *b"?????";
            for (to, from) in code.iter_mut().zip(other.bytes()) {
                *to = if from.is_ascii_alphanumeric() { from } else { b'?' };
            }
            Told::Sql(code)
        }
    }
}

/// Whether a statement that ended so was certainly not done. Whatever is not listed may have been done.
pub(super) fn certain(said: &DbError) -> bool {
    is_certain(said.code().code(), said.parsed_severity() == Some(Severity::Error))
}

/// Whether a statement with this code was certainly not done. `error` says that the severity is that of an error of the statement alone.
fn is_certain(code: &str, error: bool) -> bool {
    match code {
        "25006" | "53300" | "57P03" => true,
        // The connection's end, the server's end, and "completion unknown".
        "40003" | "57P01" | "57P02" => false,
        code if code.starts_with(CONNECTION) => false,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_words_and_only_some_are_certain() {
        assert_eq!(told("28P01").to_string(), "wrong password");
        assert_eq!(told("42P01").to_string(), "sql 42P01");
        assert_eq!(told("x\u{7}").to_string(), "sql x????");
        for (code, error, certainly) in [
            ("25006", true, true),
            ("53300", false, true),
            ("57P03", false, true),
            ("23505", true, true),
            ("57014", true, true),
            ("40003", true, false),
            ("57P01", false, false),
            ("57P01", true, false),
            ("08006", true, false),
            ("XX000", false, false),
        ] {
            assert_eq!(is_certain(code, error), certainly, "{code} {error}");
        }
    }
}
