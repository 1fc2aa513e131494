//! The meaning of MySQL's and MariaDB's errors: the words for people.

use firedrill_probe::client::{Cause, Failure, Told};

use super::packets::Reader;

/// The request that the server refused.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    /// The login, with a password or without one.
    Login { password: bool },
    /// A statement.
    Statement,
}

/// Classifies a packet that is an error: `0xff`, the number and a text. The text is used for one number only, because that number has several
/// meanings.
pub(super) fn failure(packet: &[u8], what: Refused) -> Failure {
    let mut reader = Reader(packet);
    let (Some(_), Some(number)) = (reader.byte(), reader.short()) else { return Cause::Protocol.into() };
    told(number, &String::from_utf8_lossy(reader.0), what).into()
}

/// Returns the words of a number.
fn told(number: u16, text: &str, what: Refused) -> Told {
    match number {
        1045 | 1698 if matches!(what, Refused::Login { password: false }) => Told::PasswordWanted,
        1045 if matches!(what, Refused::Statement) => Told::NotPermitted,
        1045 => Told::Password,
        // Hosts that may not or are blocked, accounts that are locked or have expired, methods that are unknown.
        1129 | 1130 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 4151 => Told::Login,
        1049 => Told::NoDatabase,
        1044 | 1142 | 1143 | 1227 | 1370 => Told::NotPermitted,
        1040 | 1203 | 1226 => Told::TooMany,
        1053 | 1927 | 3169 => Told::Stopping,
        1047 => Told::NotReady,
        // Several options prevent statements by this number.
        1290 if text.contains("read-only") || text.contains("read_only") => Told::ReadOnly,
        1792 | 1836 => Told::ReadOnly,
        3159 => Told::TlsWanted,
        other => Told::Mysql(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_words() {
        let said = |packet: &[u8], what| match failure(packet, what) {
            Failure::Bad(cause) => cause.to_string(),
            Failure::Vantage => unreachable!("a server spoke"),
        };
        let denied = b"\xff\x15\x04#28000Access denied";
        assert_eq!(said(denied, Refused::Login { password: true }), "wrong password");
        assert_eq!(said(denied, Refused::Login { password: false }), "password wanted");
        assert_eq!(said(denied, Refused::Statement), "not permitted");
        let option = |text: &str| [b"\xff\x0a\x05#HY000", text.as_bytes()].concat();
        let prevents = option("The MariaDB server is running with the --read-only option");
        assert_eq!(said(&prevents, Refused::Statement), "read only");
        assert_eq!(
            said(&option("running with the --skip-grant-tables option"), Refused::Statement),
            "mysql 1290"
        );
        assert_eq!(said(b"\xff\x7a\x04#42S02Table", Refused::Statement), "mysql 1146");
        assert_eq!(said(b"\xff\x7a", Refused::Statement), "protocol");
    }
}
