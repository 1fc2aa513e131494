//! Checks the values of a DNS probe. A question that cannot be sent, or that no answer could satisfy, is refused.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    DnsProbe,
    record::{Rcode, name},
};
use crate::probe::refused::{Field, Refusal, note};

/// Maximum number of records that may be expected.
const MOST: usize = 64;
/// Maximum length of a record that may be expected, in bytes.
const TEXT_MOST: usize = 4096;

/// The values of a DNS probe, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsParsed<'p> {
    /// The server's host, without brackets.
    pub host: &'p str,
    /// The server's port.
    pub port: u16,
    /// The name that is asked for, in lower case and without the last dot.
    pub name: String,
    /// The expected records, in the form by which records are compared.
    pub expect: BTreeSet<String>,
}

impl DnsProbe {
    /// Returns all values, checked.
    ///
    /// # Errors
    /// All values that cannot be sent, and all conditions that no answer could meet.
    pub fn checked(&self) -> Result<DnsParsed<'_>, Vec<Refusal>> {
        let mut wrong = Vec::new();
        let to = note(self.to(), &mut wrong);
        let asked = note(self.asked(), &mut wrong);
        let expect = self.expected(&mut wrong);
        match (to, asked) {
            (Some((host, port)), Some(name)) if wrong.is_empty() => {
                Ok(DnsParsed { host, port, name, expect })
            }
            _ => Err(wrong),
        }
    }

    fn asked(&self) -> Result<String, Refusal> {
        let refuse =
            |what: String, help: &str| Err(Refusal::new(Field::request(&["name"]), what, "not a name", help));
        if self.name.parse::<IpAddr>().is_ok() {
            let what = format!("`{}` is an address, which no name server is asked for", self.name);
            return refuse(what, "a name, such as \"shop.example.com\"");
        }
        match name(&self.name) {
            Some(name) => Ok(name),
            None => {
                let help =
                    "labels of letters, digits, `-` and `_`, each of at most 63, 253 characters in all";
                refuse(format!("`{}` is no name that can be asked for", self.name), help)
            }
        }
    }

    fn expected(&self, wrong: &mut Vec<Refusal>) -> BTreeSet<String> {
        let mut refuse = |what: String, label, help: String| {
            wrong.push(Refusal::new(Field::request(&["expect"]), what, label, help));
        };
        if self.rcode != Rcode::NoError && !self.expect.is_empty() {
            let what =
                format!("an answer of `{}` has no records, so none that is expected is there", self.rcode);
            refuse(what, "never found", "leave `expect` or `rcode` out".to_owned());
        }
        if self.expect.len() > MOST {
            let what = format!("`expect` has {} records; at most {MOST} are compared", self.expect.len());
            refuse(what, "too many", "name fewer".to_owned());
        }
        let mut all = BTreeSet::new();
        for text in &self.expect {
            if text.len() > TEXT_MOST {
                let what =
                    format!("a record of {} bytes is expected; at most {TEXT_MOST} are compared", text.len());
                refuse(
                    what,
                    "too long",
                    "leave it out: at least one record is wanted in any case".to_owned(),
                );
                continue;
            }
            match self.record.canonical(text) {
                Ok(record) => drop(all.insert(record)),
                Err(example) => {
                    let what = format!("no {} record is `{text}`", self.record);
                    refuse(what, "never found", format!("for example \"{example}\""));
                }
            }
        }
        all
    }
}
