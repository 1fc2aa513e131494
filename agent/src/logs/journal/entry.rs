//! One entry of the journal, as `journalctl --output=json` writes it. Other versions may write other fields and forms: a text that
//! is not understood is an error or is left out. It never makes the agent panic.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, Error, SeqAccess, Visitor},
};

/// The fields that are read. The cursor, the times and the boot come with each entry.
pub(super) const FIELDS: &str = "MESSAGE,MESSAGE_ID,N_DROPPED,PRIORITY,UNIT,COREDUMP_UNIT,OBJECT_SYSTEMD_UNIT,_BOOT_ID,_PID,_UID,\
     _SYSTEMD_UNIT,_TRANSPORT,_SOURCE_REALTIME_TIMESTAMP";
/// The id of journald's message that it dropped messages of a unit.
pub(super) const DROPPED: &str = "a596d6fe7bfa4994828e72309e95d61e";
/// The id of messages about core dumps.
pub(super) const COREDUMP: &str = "fc2e22bc6ee647b6b90729ab34a250b1";

/// The value of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Field {
    /// The entry has no such field.
    #[default]
    Missing,
    /// The field exists, but is too large: `journalctl` did not write its value.
    Null,
    /// Its bytes. If several fields have the same name, each value is on a separate line.
    Bytes(Vec<u8>),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "__CURSOR")]
    pub(super) cursor: String,
    #[serde(rename = "__MONOTONIC_TIMESTAMP", deserialize_with = "number")]
    pub(super) monotonic_us: u64,
    #[serde(rename = "__REALTIME_TIMESTAMP", deserialize_with = "number")]
    realtime_us: u64,
    #[serde(default, rename = "_SOURCE_REALTIME_TIMESTAMP")]
    source_us: Field,
    #[serde(default, rename = "_BOOT_ID")]
    boot: Field,
    #[serde(default, rename = "_SYSTEMD_UNIT")]
    unit: Field,
    #[serde(default, rename = "UNIT")]
    about: Field,
    #[serde(default, rename = "OBJECT_SYSTEMD_UNIT")]
    object: Field,
    #[serde(default, rename = "COREDUMP_UNIT")]
    dumped: Field,
    #[serde(default, rename = "_PID")]
    pid: Field,
    #[serde(default, rename = "_UID")]
    uid: Field,
    #[serde(default, rename = "_TRANSPORT")]
    transport: Field,
    #[serde(default, rename = "MESSAGE_ID")]
    id: Field,
    #[serde(default, rename = "N_DROPPED")]
    dropped: Field,
    #[serde(default, rename = "PRIORITY")]
    priority: Field,
    #[serde(default, rename = "MESSAGE")]
    message: Field,
}

impl Entry {
    /// Reads a line. The error says why it is not an entry.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|why| why.to_string())
    }

    /// Returns the id of the sequence that the entry is in, and its number in that sequence; `None` if its cursor has another form.
    pub(super) fn sequence_number(&self) -> Option<(&str, u64)> {
        let part = |key: &str| self.cursor.split(';').find_map(|part| part.strip_prefix(key));
        Some((part("s=")?, u64::from_str_radix(part("i=")?, 16).ok()?))
    }

    /// Whether it was written in the boot with that id.
    pub(super) fn is_of_boot(&self, id: &str) -> bool {
        self.boot.is(id)
    }

    /// Whether a unit's own processes wrote it.
    pub(super) fn is_by(&self, unit: &str) -> bool {
        self.unit.is(unit)
    }

    /// Whether `journalctl --unit` shows it for a unit: the unit wrote it, or systemd or a program of root wrote it about the unit.
    pub(super) fn is_of(&self, unit: &str) -> bool {
        self.is_by(unit)
            || (self.pid.is("1") && self.about.is(unit))
            || (self.uid.is("0") && self.object.is(unit))
            || (self.uid.is("0") && self.id.is(COREDUMP) && self.dumped.is(unit))
    }

    /// Returns the number of messages that journald dropped, and the unit that wrote them; `None` if this entry is about something else.
    pub(super) fn dropped(&self) -> Option<(u64, &str)> {
        if !(self.transport.is("driver") && self.id.is(DROPPED)) {
            return None;
        }
        // `Suppressed 12 messages from app.service`; older versions write the path of the unit's control group.
        let words: Vec<&str> = self.message.text()?.split(' ').collect();
        let unit = words.last()?.rsplit('/').next()?;
        let count = self.dropped.number().or_else(|| words.get(1)?.parse().ok())?;
        Some((count, unit))
    }

    /// Returns the syslog priority; 5, that of a notice, if the entry has none.
    pub(super) fn priority(&self) -> u64 {
        self.priority.number().unwrap_or(5)
    }

    /// Returns the time between the moment at which it was sent and that at which journald took it, in microseconds; 0 if it is unknown.
    pub(super) fn lag_us(&self) -> u64 {
        self.source_us.number().map_or(0, |us| self.realtime_us.saturating_sub(us))
    }

    /// Returns its text, which may be empty; `None` if it is too large to be shown.
    pub(super) fn message(&self) -> Option<&[u8]> {
        match &self.message {
            Field::Missing => Some(&[]),
            Field::Null => None,
            Field::Bytes(bytes) => Some(bytes),
        }
    }
}

impl Field {
    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes == text.as_bytes())
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn number(&self) -> Option<u64> {
        self.text()?.parse().ok()
    }
}

/// Reads a number, which is written as text.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number")))
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading).map(|read| match read {
            Read::Byte(byte) => Self::Bytes(byte.to_string().into_bytes()),
            Read::Field(field) => field,
        })
    }
}

/// A value, or one byte of a value that is not text: `journalctl` writes such a value as a list of numbers.
enum Read {
    Byte(u64),
    Field(Field),
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading)
    }
}

/// Reads a text, null, a number, or a list of these.
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, null, bytes, or several of these")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Read, E> {
        Ok(Read::Field(Field::Bytes(text.as_bytes().to_vec())))
    }

    fn visit_unit<E: Error>(self) -> Result<Read, E> {
        Ok(Read::Field(Field::Null))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Read, E> {
        Ok(Read::Byte(number))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Read, A::Error> {
        let mut joined = Vec::new();
        let mut several = false;
        while let Some(part) = parts.next_element::<Read>()? {
            match part {
                Read::Byte(byte) => {
                    joined.push(u8::try_from(byte).map_err(|_| A::Error::custom("no byte"))?);
                }
                // One of several fields with the same name is too large: the whole value counts as too large.
                Read::Field(Field::Null | Field::Missing) => {
                    while parts.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                    return Ok(Read::Field(Field::Null));
                }
                Read::Field(Field::Bytes(bytes)) => {
                    if std::mem::replace(&mut several, true) {
                        joined.push(b'\n');
                    }
                    joined.extend_from_slice(&bytes);
                }
            }
        }
        Ok(Read::Field(Field::Bytes(joined)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As systemd 252 writes it.
    const SUPPRESSED: &str = r#"{"_TRANSPORT":"driver","_PID":"1035","_UID":"0","PRIORITY":"6","MESSAGE":"Suppressed 1200 messages from app.service","N_DROPPED":"1200","MESSAGE_ID":"a596d6fe7bfa4994828e72309e95d61e","OBJECT_SYSTEMD_UNIT":"app.service","_BOOT_ID":"6c793b3793a2474cacff487b45db942e","__CURSOR":"s=570d5015f32f4a68863d76efc10211f7;i=8a6;b=6c793b3793a2474cacff487b45db942e;m=12d97406a2;t=66136726f3cf4;x=90afd06e11fa2c94","__MONOTONIC_TIMESTAMP":"80957671074","__REALTIME_TIMESTAMP":"1795736336284916"}"#;

    fn entry(fields: &str) -> Entry {
        let text = format!(
            r#"{{"__CURSOR":"s=a;i=1f;b=c","__MONOTONIC_TIMESTAMP":"7","__REALTIME_TIMESTAMP":"1000",{fields}"_BOOT_ID":"b"}}"#
        );
        Entry::parse(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn messages_are_read_in_all_forms() {
        for (written, read) in [
            (r#""MESSAGE":"ERROR \"x\" \u00e4","#, Some("ERROR \"x\" ä".as_bytes())),
            (r#""MESSAGE":[69,82,255,10],"#, Some(b"ER\xff\n")),
            (r#""MESSAGE":["one",[116,119,111],"three"],"#, Some(b"one\ntwo\nthree")),
            (r#""MESSAGE":["one",null,"three"],"#, None),
            (r#""MESSAGE":null,"#, None),
            (r#""MESSAGE":"","#, Some(b"")),
            (r#""MESSAGE":[],"#, Some(b"")),
            ("", Some(b"")),
        ] {
            assert_eq!(entry(written).message(), read, "{written}");
        }
        let entry = entry(r#""_SOURCE_REALTIME_TIMESTAMP":"400","NEW_FIELD":{"a":[1]},"#);
        assert_eq!((entry.monotonic_us, entry.sequence_number(), entry.lag_us()), (7, Some(("a", 31)), 600));
        assert!(entry.is_of_boot("b") && !entry.is_of_boot("c") && entry.priority() == 5);
    }

    #[test]
    fn entries_without_a_needed_field_are_errors() {
        for text in [
            "",
            "{}",
            "-- No entries --",
            r#"{"__CURSOR":"s=a;i=1","__MONOTONIC_TIMESTAMP":"x","__REALTIME_TIMESTAMP":"1"}"#,
            r#"{"__CURSOR":"s=a;i=1","__MONOTONIC_TIMESTAMP":"1"}"#,
            r#"{"__CURSOR":"s=a;i=1","__MONOTONIC_TIMESTAMP":"1","__REALTIME_TIMESTAMP":"1","MESSAGE":[300]}"#,
        ] {
            assert!(Entry::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_is_of_a_unit_as_journalctl_shows_it() {
        let of = |fields: &str| entry(fields).is_of("app.service");
        assert!(of(r#""_SYSTEMD_UNIT":"app.service","#) && !of(r#""_SYSTEMD_UNIT":"db.service","#));
        assert!(
            of(r#""_PID":"1","UNIT":"app.service","#) && !of(r#""_PID":"2","UNIT":"app.service","#),
            "only systemd is believed"
        );
        assert!(of(r#""_UID":"0","OBJECT_SYSTEMD_UNIT":"app.service","#));
        assert!(
            !of(r#""_UID":"7","OBJECT_SYSTEMD_UNIT":"app.service","#),
            "only root's programs are believed"
        );
        assert!(of(&format!(r#""_UID":"0","MESSAGE_ID":"{COREDUMP}","COREDUMP_UNIT":"app.service","#)));
    }

    #[test]
    fn dropped_messages_are_recognised_and_only_journald_can_report_them() {
        let parse = |text: &str| Entry::parse(text.as_bytes()).unwrap();
        assert_eq!(parse(SUPPRESSED).dropped(), Some((1200, "app.service")));
        let old = SUPPRESSED.replace("app.service\",\"N_DROPPED\":\"1200\"", "/system.slice/app.service\"");
        assert_eq!(parse(&old).dropped(), Some((1200, "app.service")));
        assert_eq!(parse(&SUPPRESSED.replace("driver", "journal")).dropped(), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in r#"[\[\]{}:,"nul0-9]{0,60}"#,
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = Entry::parse(&bytes);
            let _ = Entry::parse(text.as_bytes());
            let whole = format!(r#"{{"__CURSOR":"s=;i={text}","__MONOTONIC_TIMESTAMP":"1","__REALTIME_TIMESTAMP":"1","MESSAGE":{text}}}"#);
            if let Ok(read) = Entry::parse(whole.as_bytes()) {
                let _ = (read.sequence_number(), read.dropped(), read.message());
            }
        }
    }
}
