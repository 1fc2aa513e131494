//! Causes as numbers, for files with entries of one length. Numbers of files that exist keep their meaning.

use super::{
    Cause, Flaw,
    told::{ALL, Told},
};

/// The causes of writes that have no value of their own. The number of each is [`WORDS`] and its place here. A new one stands at the end.
const PLAIN: &[Cause] = &[
    Cause::Timeout,
    Cause::Refused,
    Cause::Unreachable,
    Cause::Reset,
    Cause::Dns,
    Cause::Tls,
    Cause::Body,
    Cause::Protocol,
    Cause::Vantage,
    Cause::Alert,
    Cause::Certificate(Flaw::Expired),
    Cause::Certificate(Flaw::NotYet),
    Cause::Certificate(Flaw::Name),
    Cause::Certificate(Flaw::Issuer),
    Cause::Certificate(Flaw::Other),
    Cause::Answer,
];

/// The numbers of [`PLAIN`] begin here. Smaller numbers are statuses.
const WORDS: u32 = 1000;
/// The numbers of the causes that stores tell begin here. The number of each is this one and its place in [`ALL`].
const TOLD: u32 = 2000;
/// The number of all causes that no write has.
const OTHER: u32 = 3000;
/// The codes of PostgreSQL's errors begin here, each as a number of five digits to the base [`BASE`].
const SQL: u32 = 1_000_000;
/// The number of digits and letters.
const BASE: u32 = 36;

impl Cause {
    /// Returns the number of the cause: a status as it is, the others from 1000 on.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Status(status) => u32::from(status),
            Self::Store(Told::Sql(code)) => of_sql(code).map_or(OTHER, |number| SQL + number),
            Self::Store(told) => place(ALL, &told).map_or(OTHER, |at| TOLD + at),
            other => place(PLAIN, &other).map_or(OTHER, |at| WORDS + at),
        }
    }

    /// Returns the words of a number.
    #[must_use]
    pub fn words_of(code: u32) -> String {
        let at = |from: u32| code.checked_sub(from).and_then(|at| usize::try_from(at).ok());
        if let Some(sql) = code.checked_sub(SQL).and_then(sql_of) {
            return Told::Sql(sql).to_string();
        }
        if let Some(told) = at(TOLD).and_then(|at| ALL.get(at)) {
            return told.to_string();
        }
        if let Some(cause) = at(WORDS).and_then(|at| PLAIN.get(at)) {
            return cause.to_string();
        }
        match u16::try_from(code) {
            Ok(status) if code < WORDS => Self::Status(status).to_string(),
            _ => format!("cause {code}"),
        }
    }
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Option<u32> {
    u32::try_from(all.iter().position(|other| other == one)?).ok()
}

/// Reads five letters and digits as a number; `None` if one is another sign.
fn of_sql(code: [u8; 5]) -> Option<u32> {
    code.into_iter().try_fold(0, |number, sign| Some(number * BASE + char::from(sign).to_digit(BASE)?))
}

/// Returns the five letters and digits of a number; `None` if it has more of them.
fn sql_of(mut number: u32) -> Option<[u8; 5]> {
    let mut code = [0; 5];
    for sign in code.iter_mut().rev() {
        let digit = char::from_digit(number % BASE, BASE)?;
        *sign = u8::try_from(digit.to_ascii_uppercase()).ok()?;
        number /= BASE;
    }
    (number == 0).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_words() {
        let told = ALL.iter().copied().map(Cause::Store);
        let sql = [*b"23505", *b"00000", *b"ZZZZZ"].map(|code| Cause::Store(Told::Sql(code)));
        for cause in PLAIN.iter().copied().chain(told).chain(sql).chain([Cause::Status(503)]) {
            assert_eq!(Cause::words_of(cause.code()), cause.to_string());
        }
        assert_eq!(Cause::words_of(60_000), "cause 60000");
        assert_eq!(Cause::words_of(Cause::NoRecords.code()), "cause 3000");
        assert_eq!(Cause::words_of(u32::MAX), "cause 4294967295");
    }

    #[test]
    fn numbers_in_files_do_not_change() {
        assert_eq!(Cause::Vantage.code(), 1008);
        assert_eq!(Cause::Store(Told::ReadOnly).code(), 2009);
        assert_eq!(Cause::Store(Told::Exists).code(), 2023);
        assert_eq!(Cause::Store(Told::Sql(*b"00001")).code(), 1_000_001);
    }
}
