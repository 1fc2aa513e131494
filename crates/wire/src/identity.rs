//! The person or host that a certificate names: its URI names and their spelling.
//!
//! | URI name | meaning |
//! |---|---|
//! | `firedrill://host/app-1` | the agent on that host; never a person |
//! | `firedrill://person/alice?role=operator&team=payments&env=ci&env=staging` | a person |
//! | `firedrill://role/operator`, `firedrill://team/payments`, `firedrill://env/ci` | the same facts about the person, as URI names of their own |
//!
//! Without a role a person is a viewer; without an environment they are good for all. Nothing here checks a
//! signature or a date: that is done before a name is believed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const SCHEME: &str = "firedrill://";

/// The role of a person: which calls are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look and heal.
    #[default]
    Viewer,
    /// Also harm, as far as the policy on the host lets them.
    Operator,
}

/// The text was not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; there are `viewer` and `operator`")]
pub struct RoleError(String);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        })
    }
}

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            other => Err(RoleError(other.to_owned())),
        }
    }
}

/// A person, as a certificate names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The name, such as `alice`.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Their team, if it is named.
    pub team: Option<String>,
    /// Environments that the certificate is good for; empty means all.
    pub environments: Vec<String>,
    /// Names that could not be read. A restriction may be lost in them, so a person who has any may not harm.
    pub flaws: Vec<String>,
}

/// The person or host that a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An agent.
    Host(String),
    /// A person.
    Person(Person),
}

/// The names of a certificate do not identify one person or host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No name of ours.
    #[error("the certificate has no URI name `firedrill://person/<name>` or `firedrill://host/<name>`")]
    Nobody,
    /// Two names of ours.
    #[error("the certificate names more than one person or host: `{0}` and `{1}`")]
    Several(String, String),
    /// A name outside of the alphabet.
    #[error(
        "`{0}` is not a name: letters, digits, `.`, `_`, `@` and `-`, starting with a letter or digit, 1 to 128 characters"
    )]
    BadName(String),
}

/// Whether the text can be the name of a person, host, team or environment in a certificate.
///
/// # Errors
/// [`IdentityError::BadName`] says what a name looks like.
pub fn check_name(text: &str) -> Result<(), IdentityError> {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let all_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
    if starts_well && all_well && text.len() <= 128 {
        Ok(())
    } else {
        Err(IdentityError::BadName(text.to_owned()))
    }
}

impl Identity {
    /// Reads all URI names of one certificate; those of other schemes are passed over.
    ///
    /// # Errors
    /// The names do not name exactly one person or host.
    pub fn from_uris<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, IdentityError> {
        let mut host: Option<String> = None;
        let mut facts = Facts::default();
        for rest in uris.into_iter().filter_map(|uri| uri.strip_prefix(SCHEME)) {
            let (class, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
            match class {
                "host" => one(&mut host, name)?,
                "person" => {
                    one(&mut facts.name, name)?;
                    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                        facts.take(key, value);
                    }
                }
                other => facts.take(other, name),
            }
        }
        match (host, facts.name.take()) {
            (Some(host), None) => Ok(Self::Host(host)),
            (None, Some(name)) => Ok(Self::Person(facts.person(name))),
            (Some(host), Some(person)) => Err(IdentityError::Several(host, person)),
            (None, None) => Err(IdentityError::Nobody),
        }
    }
}

/// Keeps the first name. A second one is an error.
fn one(slot: &mut Option<String>, name: &str) -> Result<(), IdentityError> {
    check_name(name)?;
    match slot.replace(name.to_owned()) {
        Some(first) if first != name => Err(IdentityError::Several(first, name.to_owned())),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Facts {
    name: Option<String>,
    role: Option<Role>,
    team: Option<String>,
    environments: Vec<String>,
    flaws: Vec<String>,
}

impl Facts {
    fn take(&mut self, key: &str, value: &str) {
        if let Err(flaw) = check_name(value) {
            self.flaws.push(format!("{key}: {flaw}"));
            return;
        }
        match key {
            "role" => match value.parse() {
                Ok(role) if self.role.is_none_or(|other| other == role) => self.role = Some(role),
                Ok(_) => self.flaws.push("more than one role".to_owned()),
                Err(flaw) => self.flaws.push(flaw.to_string()),
            },
            "team" if self.team.as_deref().is_none_or(|other| other == value) => {
                self.team = Some(value.to_owned());
            }
            "team" => self.flaws.push("more than one team".to_owned()),
            "env" => self.environments.push(value.to_owned()),
            other => self.flaws.push(format!("`{other}` is not known; there are role, team and env")),
        }
    }

    fn person(self, name: String) -> Person {
        Person {
            name,
            role: self.role.unwrap_or_default(),
            team: self.team,
            environments: self.environments,
            flaws: self.flaws,
        }
    }
}

/// Returns the URI name in a certificate of this identity.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{SCHEME}host/{name}"),
            Self::Person(person) => {
                write!(f, "{SCHEME}person/{}?role={}", person.name, person.role)?;
                if let Some(team) = &person.team {
                    write!(f, "&team={team}")?;
                }
                person.environments.iter().try_for_each(|environment| write!(f, "&env={environment}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(uris: &[&str]) -> Person {
        match Identity::from_uris(uris.iter().copied()) {
            Ok(Identity::Person(person)) => person,
            other => panic!("{uris:?}: {other:?}"),
        }
    }

    #[test]
    fn a_person_is_read_from_one_uri_or_from_several() {
        let one = person(&["firedrill://person/alice?role=operator&team=payments&env=ci&env=staging"]);
        let several = person(&[
            "https://example.org/",
            "firedrill://env/ci",
            "firedrill://person/alice",
            "firedrill://role/operator",
            "firedrill://team/payments",
            "firedrill://env/staging",
        ]);
        assert_eq!(one, several);
        assert_eq!(one.role, Role::Operator);
        assert_eq!(person(&["firedrill://person/bob"]).role, Role::Viewer, "no role: the least");
    }

    #[test]
    fn what_is_not_understood_is_kept_as_a_flaw() {
        for odd in
            ["role=root", "role=operator&role=viewer", "environment=ci", "env=", "env=a%20b", "team=a&team=b"]
        {
            let found = person(&[&format!("firedrill://person/alice?{odd}")]);
            assert_eq!(found.flaws.len(), 1, "{odd}: {:?}", found.flaws);
        }
    }

    #[test]
    fn a_certificate_names_one_and_only_one() {
        for wrong in [
            &[][..],
            &["https://example.org/"],
            &["firedrill://role/operator"],
            &["firedrill://person/"],
            &["firedrill://person/a/b"],
            &["firedrill://person/alice", "firedrill://person/bob"],
            &["firedrill://person/alice", "firedrill://host/app-1"],
        ] {
            assert!(Identity::from_uris(wrong.iter().copied()).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_was_written_reads_the_same(
            name in "[A-Za-z0-9][A-Za-z0-9._@-]{0,40}",
            operator: bool,
            team in proptest::option::of("[a-z][a-z0-9-]{0,10}"),
            environments in proptest::collection::vec("[a-z][a-z0-9-]{0,10}", 0..4),
        ) {
            let role = if operator { Role::Operator } else { Role::Viewer };
            let identity = Identity::Person(Person { name: name.clone(), role, team, environments, flaws: Vec::new() });
            prop_assert_eq!(Identity::from_uris([identity.to_string().as_str()]), Ok(identity));
            let host = Identity::Host(name);
            prop_assert_eq!(Identity::from_uris([host.to_string().as_str()]), Ok(host));
        }

        #[test]
        fn no_text_makes_it_panic(uris in proptest::collection::vec("(firedrill://)?(person|host|role|env)?/?.{0,30}", 0..4)) {
            let _ = Identity::from_uris(uris.iter().map(String::as_str));
        }
    }
}
