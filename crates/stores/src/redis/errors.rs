//! The meaning of Redis' errors: the words for people.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn errors_have_words() {
        for (line, words) in [
            ("READONLY You can't write against a read only replica.", "read only"),
            ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
            ("LOADING Redis is loading the dataset in memory", "starting up"),
            ("MASTERDOWN Link with MASTER is down", "master down"),
            ("MOVED 3999 127.0.0.1:6381", "moved"),
            ("CLUSTERDOWN The cluster is down", "cluster down"),
            ("NOAUTH Authentication required.", "password wanted"),
            ("WRONGPASS invalid username-password pair", "wrong password"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "redis error"),
            ("ERR unknown command", "redis error"),
        ] {
            let Failure::Bad(cause) = failure(&said(line)) else { panic!("{line}") };
            assert_eq!(cause.to_string(), words, "{line}");
        }
    }
}
