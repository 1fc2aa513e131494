//! `index.jsonl`: all certificates that were issued, and their revocations. Lines are added, and never changed or removed.

use std::{fmt, path::Path, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{PkiError, files};

/// The kind of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// For the agent of a host.
    Host,
    /// For a person.
    Person,
    /// Over a person's passkey, for approvals only.
    Passkey,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Host => "host",
            Self::Person => "person",
            Self::Passkey => "passkey",
        })
    }
}

impl Kind {
    /// Returns the name of the directory with the files of this kind.
    pub(super) const fn dir(self) -> &'static str {
        match self {
            Self::Host => "hosts",
            Self::Person => "people",
            Self::Passkey => "passkeys",
        }
    }
}

/// A certificate that was issued, and its current state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Host, person or passkey.
    pub kind: Kind,
    /// The name.
    pub name: String,
    /// The URI name in the certificate, which also says role, team and environments.
    pub uri: String,
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// Not before, RFC 3339 UTC.
    pub from: String,
    /// Not after, RFC 3339 UTC.
    pub until: String,
    /// Time of its revocation, RFC 3339 UTC, if it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// Whether there is a newer one of the same name.
    #[serde(default)]
    pub replaced: bool,
}

impl Entry {
    /// Whether it has expired.
    #[must_use]
    pub fn expired(&self) -> bool {
        humantime::parse_rfc3339(&self.until).is_ok_and(|until| until < SystemTime::now())
    }
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// The format's version.
    pub(super) v: u32,
    #[serde(flatten)]
    pub(super) what: What,
}

/// A change of the set of certificates.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum What {
    Issued(Entry),
    /// The certificate with this serial number was revoked; `at` is RFC 3339 UTC.
    Revoked {
        serial: String,
        at: String,
    },
}

/// Formats a time for the file.
pub(super) fn text(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Adds a line.
pub(super) fn append(path: &Path, what: What) -> Result<(), PkiError> {
    let error = |why: serde_json::Error| PkiError::Index { path: path.into(), line: 0, why: why.to_string() };
    let mut line = serde_json::to_string(&Line { v: 1, what }).map_err(error)?;
    line.push('\n');
    files::append(path, &line)
}

/// Returns all certificates that were ever issued, oldest first, in their current state. The error names the line.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, PkiError> {
    let text = files::read(path)?;
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let bad = |why: String| PkiError::Index { path: path.into(), line: number + 1, why };
        let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        if line.v != 1 {
            return Err(bad(format!("version {} is not known to this build", line.v)));
        }
        match line.what {
            What::Issued(entry) => {
                // A new certificate replaces the older ones of its name. Passkeys are an exception: a person may use several at a time.
                let replaces = |older: &&mut Entry| {
                    older.kind == entry.kind && older.name == entry.name && entry.kind != Kind::Passkey
                };
                entries.iter_mut().filter(replaces).for_each(|older| older.replaced = true);
                entries.push(entry);
            }
            What::Revoked { serial, at } => {
                for entry in entries.iter_mut().filter(|entry| entry.serial == serial) {
                    entry.revoked.get_or_insert_with(|| at.clone());
                }
            }
        }
    }
    Ok(entries)
}
