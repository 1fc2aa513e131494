//! The meaning of Redis' errors: the words for people, and whether a write certainly was not done.

use std::{error::Error as _, io};

use firedrill_probe::client::{Cause, Failure, Told, failure as of_stream};
use redis::{ErrorKind, RedisError};

/// Classifies an error as the outcome of a request.
pub(super) fn failure(error: &RedisError) -> Failure {
    if let Some(io) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return of_stream(io);
    }
    if let Some(code) = error.code() {
        return told(code).into();
    }
    if error.is_connection_dropped() {
        return Cause::Reset.into();
    }
    match error.kind() {
        ErrorKind::Parse => Cause::Protocol.into(),
        _ => Told::Redis.into(),
    }
}

/// Classifies an error of a login. Redis 5 and older have no code for a wrong password.
pub(super) fn of_login(error: &RedisError) -> Failure {
    match error.code() {
        Some("ERR") => Told::Password.into(),
        _ => failure(error),
    }
}

/// Returns the words of a code, the first word of an error.
fn told(code: &str) -> Told {
    match code {
        "WRONGPASS" => Told::Password,
        "NOAUTH" => Told::PasswordWanted,
        "NOPERM" => Told::NotPermitted,
        "LOADING" => Told::Loading,
        "READONLY" => Told::ReadOnly,
        "NOREPLICAS" => Told::NoReplicas,
        "MASTERDOWN" => Told::MasterDown,
        "MOVED" => Told::Moved,
        "CLUSTERDOWN" => Told::ClusterDown,
        _ => Told::Redis,
    }
}

/// Whether a write that ended so was certainly not done. Whatever is not listed may have been done.
pub(super) fn certain(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some(
            "READONLY"
                | "NOREPLICAS"
                | "LOADING"
                | "MASTERDOWN"
                | "MOVED"
                | "CLUSTERDOWN"
                | "NOAUTH"
                | "NOPERM"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn errors_have_words_and_only_some_are_certain() {
        for (line, words, certainly) in [
            ("READONLY You can't write against a read only replica.", "read only", true),
            ("NOREPLICAS Not enough good replicas to write.", "too few replicas", true),
            ("LOADING Redis is loading the dataset in memory", "starting up", true),
            ("MASTERDOWN Link with MASTER is down", "master down", true),
            ("MOVED 3999 127.0.0.1:6381", "moved", true),
            ("CLUSTERDOWN The cluster is down", "cluster down", true),
            ("NOAUTH Authentication required.", "password wanted", true),
            ("WRONGPASS invalid username-password pair", "wrong password", false),
            ("OOM command not allowed when used memory > 'maxmemory'.", "redis error", false),
            ("ERR unknown command", "redis error", false),
        ] {
            let error = said(line);
            let Failure::Bad(cause) = failure(&error) else { panic!("{line}") };
            assert_eq!((cause.to_string().as_str(), certain(&error)), (words, certainly), "{line}");
        }
    }
}
