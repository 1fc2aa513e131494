//! Reads serial numbers, dates and names from certificates and revocation lists in DER.
//!
//! Verifies nothing: other code decides whether a certificate is trusted.

use std::time::{Duration, SystemTime};

/// Facts of a certificate (RFC 5280 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The serial number in hexadecimal, as `firedrill pki list --json` shows it.
    pub serial: String,
    /// The beginning of its validity.
    pub from: SystemTime,
    /// The end of its validity.
    pub until: SystemTime,
    /// The subject's common name; empty if there is none.
    pub common_name: String,
    /// The key that it certifies, a `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
}

/// Facts of a revocation list (RFC 5280 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFacts {
    /// The time at which it was written.
    pub from: SystemTime,
    /// The time by which a newer list must exist; `None` if the list does not say.
    pub until: Option<SystemTime>,
    /// The number of certificates that it revokes.
    pub revoked: usize,
}

// Tags of DER.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `id-at-commonName`.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Reads a certificate; `None` if the bytes are none.
#[must_use]
pub fn certificate(der: &[u8]) -> Option<CertificateFacts> {
    let mut fields = Der(Der(Der(der).inside(SEQUENCE)?).inside(SEQUENCE)?);
    fields.skip_if(0xa0)?; // the version
    let serial = hex(fields.inside(INTEGER)?);
    fields.inside(SEQUENCE)?; // the signature's algorithm
    fields.inside(SEQUENCE)?; // the issuer
    let mut dates = Der(fields.inside(SEQUENCE)?);
    let (from, until) = (dates.time()?, dates.time()?);
    let common_name = common_name(fields.inside(SEQUENCE)?).unwrap_or_default();
    let public_key = fields.next()?.whole.to_vec();
    Some(CertificateFacts { serial, from, until, common_name, public_key })
}

/// Reads a revocation list; `None` if the bytes are none.
#[must_use]
pub fn revocation_list(der: &[u8]) -> Option<ListFacts> {
    let mut fields = Der(Der(Der(der).inside(SEQUENCE)?).inside(SEQUENCE)?);
    fields.skip_if(INTEGER)?; // the version
    fields.inside(SEQUENCE)?; // the signature's algorithm
    fields.inside(SEQUENCE)?; // the issuer
    let from = fields.time()?;
    let until = match fields.peek() {
        Some(UTC_TIME | GENERALIZED_TIME) => Some(fields.time()?),
        _ => None,
    };
    let mut revoked = 0;
    if fields.peek() == Some(SEQUENCE) {
        let mut entries = Der(fields.inside(SEQUENCE)?);
        while entries.peek().is_some() {
            entries.inside(SEQUENCE)?;
            revoked += 1;
        }
    }
    Some(ListFacts { from, until, revoked })
}

/// Returns the last common name of a `Name`.
fn common_name(name: &[u8]) -> Option<String> {
    let mut found = None;
    let mut parts = Der(name);
    while parts.peek().is_some() {
        let mut attribute = Der(Der(parts.inside(SET)?).inside(SEQUENCE)?);
        if attribute.inside(OBJECT_IDENTIFIER)? == COMMON_NAME {
            found = Some(String::from_utf8_lossy(attribute.next()?.content).into_owned());
        }
    }
    found
}

/// Returns a positive number in hexadecimal.
fn hex(number: &[u8]) -> String {
    // A leading zero only shows that the number is positive.
    let digits = match number {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Values in DER, one after the other.
struct Der<'a>(&'a [u8]);

/// A value in DER.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// The value with its tag and length.
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// Returns the tag of the next value; `None` at the end.
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Returns the next value; `None` at the end, or if it is malformed.
    fn next(&mut self) -> Option<Value<'a>> {
        let bytes = self.0;
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some(Value { tag, content, whole: &bytes[..bytes.len() - after.len()] })
    }

    /// Returns the content of the next value; `None` if it has another tag.
    fn inside(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|value| value.tag == tag).map(|value| value.content)
    }

    /// Skips the next value if it has that tag; `None` if it is malformed.
    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.peek() == Some(tag) { self.next().map(drop) } else { Some(()) }
    }

    /// Reads a `UTCTime` or a `GeneralizedTime`, in the only form of each that RFC 5280 allows.
    fn time(&mut self) -> Option<SystemTime> {
        let value = self.next()?;
        let text = std::str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
        let (year, rest) = match value.tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let short: u32 = year.parse().ok()?;
                (if short < 50 { 2000 + short } else { 1900 + short }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part = |at: usize| &rest[at..at + 2];
        if year < 1970 {
            // Times in this program begin in 1970.
            return Some(SystemTime::UNIX_EPOCH);
        }
        let (month, day, hour, minute, second) = (part(0), part(2), part(4), part(6), part(8));
        let text = format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z");
        humantime::parse_rfc3339(&text).ok()
    }
}

/// Describes a time relative to another one: `in 3 days`, `2 h ago`. Uses the largest unit that fits twice.
#[must_use]
pub fn distance(when: SystemTime, now: SystemTime) -> String {
    let coarse = |span: Duration| {
        let seconds = span.as_secs();
        let (unit, name) = match seconds {
            172_800.. => (86_400, "days"),
            7200.. => (3600, "h"),
            120.. => (60, "min"),
            _ => (1, "s"),
        };
        format!("{} {name}", seconds / unit)
    };
    match when.duration_since(now) {
        Ok(ahead) => format!("in {}", coarse(ahead)),
        Err(past) => format!("{} ago", coarse(past.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = vec![tag];
        match u8::try_from(content.len()) {
            Ok(short) if short < 0x80 => der.push(short),
            _ => {
                der.push(0x82);
                der.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
            }
        }
        der.extend(content);
        der
    }

    fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        value(SEQUENCE, &parts.concat())
    }

    fn name(text: &str) -> Vec<u8> {
        let attribute = sequence(&[value(OBJECT_IDENTIFIER, &COMMON_NAME), value(0x0c, text.as_bytes())]);
        sequence(&[value(SET, &attribute)])
    }

    fn time(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).expect("a time")
    }

    /// Returns a certificate.
    fn example() -> Vec<u8> {
        let dates =
            sequence(&[value(UTC_TIME, b"260102030405Z"), value(GENERALIZED_TIME, b"20610102030405Z")]);
        let inner = sequence(&[
            value(0xa0, &value(INTEGER, &[2])),
            value(INTEGER, &[0, 0x9f, 1]),
            sequence(&[]),
            name("a company"),
            dates,
            name("alice"),
            sequence(&[value(0x03, &[0; 200])]),
        ]);
        sequence(&[inner, sequence(&[]), value(0x03, &[0])])
    }

    #[test]
    fn facts_of_a_certificate_are_read() {
        let facts = certificate(&example()).expect("a certificate");
        assert_eq!((facts.serial.as_str(), facts.common_name.as_str()), ("9f01", "alice"));
        assert_eq!((facts.from, facts.until), (time("2026-01-02T03:04:05Z"), time("2061-01-02T03:04:05Z")));
        assert_eq!(facts.public_key.len(), 4 + 4 + 200);
    }

    #[test]
    fn facts_of_a_revocation_list_are_read() {
        let entry = |serial| sequence(&[value(INTEGER, &[serial]), value(UTC_TIME, b"260102030405Z")]);
        let list = |rest: &[Vec<u8>]| {
            let head =
                [value(INTEGER, &[1]), sequence(&[]), name("a company"), value(UTC_TIME, b"260102030405Z")];
            sequence(&[sequence(&[&head[..], rest].concat()), sequence(&[]), value(0x03, &[0])])
        };
        let whole =
            list(&[value(UTC_TIME, b"260202030405Z"), sequence(&[entry(1), entry(2)]), value(0xa0, &[])]);
        let (from, until) = (time("2026-01-02T03:04:05Z"), Some(time("2026-02-02T03:04:05Z")));
        assert_eq!(revocation_list(&whole), Some(ListFacts { from, until, revoked: 2 }));
        assert_eq!(revocation_list(&list(&[])), Some(ListFacts { from, until: None, revoked: 0 }));
    }

    #[test]
    fn distances_have_one_unit() {
        let now = SystemTime::now();
        let ahead = |seconds| distance(now + Duration::from_secs(seconds), now);
        assert_eq!(ahead(90 * 86_400 + 5), "in 90 days");
        assert_eq!(ahead(86_400), "in 24 h");
        assert_eq!(distance(now - Duration::from_secs(119), now), "119 s ago");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(at in 0_usize..200, byte: u8, cut in 0_usize..600) {
            let mut der = example();
            let at = at % der.len();
            der[at] = byte;
            let _ = (certificate(&der), revocation_list(&der));
            der.truncate(cut);
            let _ = (certificate(&der), revocation_list(&der));
        }
    }
}
