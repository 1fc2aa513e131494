//! Causes as numbers, for files with entries of one length. Numbers of files that exist keep their meaning.

use super::Cause;

/// Numbers from here on are those of causes without a status.
const WORDS: u16 = 1000;

impl Cause {
    /// Returns the number of the cause: a status as it is, the others from 1000 on.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Status(status) => status,
            Self::Timeout => WORDS,
            Self::Refused => WORDS + 1,
            Self::Unreachable => WORDS + 2,
            Self::Reset => WORDS + 3,
            Self::Dns => WORDS + 4,
            Self::Tls => WORDS + 5,
            Self::Body => WORDS + 6,
            Self::Protocol => WORDS + 7,
            Self::Vantage => WORDS + 8,
        }
    }

    /// Returns the words of a number.
    #[must_use]
    pub fn words_of(code: u16) -> String {
        let words = [
            Self::Timeout,
            Self::Refused,
            Self::Unreachable,
            Self::Reset,
            Self::Dns,
            Self::Tls,
            Self::Body,
            Self::Protocol,
            Self::Vantage,
        ];
        match words.into_iter().find(|cause| cause.code() == code) {
            Some(cause) => cause.to_string(),
            None if code < WORDS => Self::Status(code).to_string(),
            None => format!("cause {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_words() {
        assert_eq!(Cause::words_of(Cause::Status(503).code()), "status 503");
        assert_eq!(Cause::words_of(Cause::Timeout.code()), "timeout");
        assert_eq!(Cause::words_of(Cause::Vantage.code()), "vantage");
        assert_eq!(Cause::words_of(60_000), "cause 60000");
    }
}
