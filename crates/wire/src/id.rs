//! Names of runs and injections.
//!
//! They become parts of file names, kernel object names and URLs, so their alphabet is small.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Maximum length of an id, in bytes.
pub const MOST: usize = 48;

/// The error for a text that is no id.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not an id: lower-case letters, digits and `-`, starting with a letter or digit, 1 to {MOST} characters"
)]
pub struct IdError(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                let is_start_valid = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
                let are_all_valid = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                if is_start_valid && are_all_valid && text.len() <= MOST { Ok(Self(text)) } else { Err(IdError(text)) }
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id! {
    /// One run of one scenario, such as `20261120-1402-friday-7f3a`.
    RunId
}
id! {
    /// One fault on one host; unique over all runs. By convention `<run>-<attack>-<n>`.
    InjectionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_with_other_characters_are_refused() {
        assert!("20261120-1402-friday-7f3a".parse::<RunId>().is_ok());
        for wrong in ["", "-x", "A", "a/b", "a b", "a;b", "..", &"x".repeat(49)] {
            assert!(wrong.parse::<InjectionId>().is_err(), "{wrong}");
        }
    }
}
