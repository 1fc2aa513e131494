//! Secrets of probes, by where they lie.

use serde::{Deserialize, Serialize};

use super::refused::{Field, Refusal};

/// A secret, by where it lies; its text is read on the vantage, goes into the request only, and is never journaled or printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// A file on the vantage, its last line break ignored.
    SecretFile(String),
    /// An environment variable of the vantage's process.
    SecretEnv(String),
}

impl Secret {
    /// Returns the reason why the place cannot hold a secret, if it cannot.
    #[must_use]
    pub fn flaw(&self) -> Option<&'static str> {
        let (what, bad) = match self {
            Self::SecretFile(path) => {
                ("the file's name is empty or holds a NUL character", path.is_empty() || path.contains('\0'))
            }
            Self::SecretEnv(name) => {
                ("no environment variable can have that name", name.is_empty() || name.contains(['=', '\0']))
            }
        };
        bad.then_some(what)
    }

    /// Refuses a place that cannot hold a secret. `called` names the secret in the message.
    #[must_use]
    pub(super) fn invalid(&self, field: Field, called: &str) -> Option<Refusal> {
        let what = self.flaw()?;
        let help =
            "for example { secret_env = \"TOKEN\" } or { secret_file = \"/etc/firedrill/secrets/token\" }";
        Some(Refusal::new(field, format!("{called} names no place: {what}"), "no place", help))
    }
}
