//! The person or host that a certificate names by its URI names.
//!
//! | URI name | meaning |
//! |---|---|
//! | `firedrill://host/app-1` | the agent on that host; never a person |
//! | `firedrill://person/alice?role=operator&team=payments&env=ci&env=staging` | a person |
//! | `firedrill://role/operator`, `firedrill://team/payments`, `firedrill://env/ci` | the same facts about the person, as separate URI names |
//!
//! Without a role a person is a viewer; without an environment the certificate is valid for all. Signatures and dates are not checked here:
//! callers have verified the certificate before.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Maximum length of a name, in bytes.
const NAME_MOST: usize = 128;
/// The scheme of the URI names.
const SCHEME: &str = "firedrill://";

/// The role of a person, which decides about the calls that are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May look and heal.
    #[default]
    Viewer,
    /// May also inject faults, as far as the host's policy allows.
    Operator,
}

/// The error for a text that is no role.
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
    /// The person's role.
    pub role: Role,
    /// The person's team; `None` if the certificate names none.
    pub team: Option<String>,
    /// Environments for which the certificate is valid; empty means all.
    pub environments: Vec<String>,
    /// URI names that could not be read, as messages. Each may be a restriction, so a person who has any may not inject faults.
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

/// The reason why the names of a certificate do not identify a person or host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It has no name of a person or host.
    #[error("the certificate has no URI name `firedrill://person/<name>` or `firedrill://host/<name>`")]
    Nobody,
    /// It has two names.
    #[error("the certificate names more than one person or host: `{0}` and `{1}`")]
    Several(String, String),
    /// A name has a character that is not allowed.
    #[error(
        "`{0}` is not a name: letters, digits, `.`, `_`, `@` and `-`, starting with a letter or digit, 1 to 128 characters"
    )]
    BadName(String),
}

/// Checks that a text can be the name of a person, host, team or environment in a certificate.
///
/// # Errors
/// It cannot. [`IdentityError::BadName`] describes valid names.
pub fn check_name(text: &str) -> Result<(), IdentityError> {
    let is_start_valid = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let are_all_valid = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
    if is_start_valid && are_all_valid && text.len() <= NAME_MOST {
        Ok(())
    } else {
        Err(IdentityError::BadName(text.to_owned()))
    }
}

impl Identity {
    /// Reads the URI names of a certificate. Ignores those of other schemes.
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
                "host" => keep_first(&mut host, name)?,
                "person" => {
                    keep_first(&mut facts.name, name)?;
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

/// Keeps the first name. A second, different name is an error.
fn keep_first(slot: &mut Option<String>, name: &str) -> Result<(), IdentityError> {
    check_name(name)?;
    match slot.replace(name.to_owned()) {
        Some(first) if first != name => Err(IdentityError::Several(first, name.to_owned())),
        _ => Ok(()),
    }
}

/// The facts about a person that were read so far.
#[derive(Default)]
struct Facts {
    name: Option<String>,
    role: Option<Role>,
    team: Option<String>,
    environments: Vec<String>,
    flaws: Vec<String>,
}

impl Facts {
    /// Adds a fact.
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

/// Writes the URI name that a certificate of this identity has.
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
        let from_one = person(&["firedrill://person/alice?role=operator&team=payments&env=ci&env=staging"]);
        let from_several = person(&[
            "https://example.org/",
            "firedrill://env/ci",
            "firedrill://person/alice",
            "firedrill://role/operator",
            "firedrill://team/payments",
            "firedrill://env/staging",
        ]);
        assert_eq!(from_one, from_several);
        assert_eq!(from_one.role, Role::Operator);
        assert_eq!(person(&["firedrill://person/bob"]).role, Role::Viewer, "no role: the least");
    }

    #[test]
    fn unknown_facts_are_kept_as_flaws() {
        for odd in
            ["role=root", "role=operator&role=viewer", "environment=ci", "env=", "env=a%20b", "team=a&team=b"]
        {
            let found = person(&[&format!("firedrill://person/alice?{odd}")]);
            assert_eq!(found.flaws.len(), 1, "{odd}: {:?}", found.flaws);
        }
    }

    #[test]
    fn a_certificate_has_to_name_exactly_one_person_or_host() {
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
        fn any_names_are_read_without_a_panic(uris in proptest::collection::vec("(firedrill://)?(person|host|role|env)?/?.{0,30}", 0..4)) {
            let _ = Identity::from_uris(uris.iter().map(String::as_str));
        }
    }
}
