//! The codes of refusals, which are short and stable, for programs. One list (`list.rs`) has each code's meaning, its remedy, and the HTTP
//! status of a refused call. `docs/refusals.md` is made from it.

mod list;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Generates the enum and the code for all refusals from one list, which has a heading for each group of codes.
///
/// An entry is the code's variant, its name on the wire, its HTTP status, its meaning, and the next step for people.
macro_rules! codes {
    ($($group:literal { $($code:ident: $name:literal $status:literal, $means:literal, $remedy:literal;)* })*) => {
        /// The reason for a refusal, for programs. In JSON it is a text, the code's name.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[doc = $means] $code,)*)*
            /// A code that this version does not know: the other side is newer.
            Other(UnknownCode),
        }

        impl RefusalCode {
            /// All codes by the headings of their groups.
            pub const GROUPS: &[(&'static str, &[Self])] = &[$(($group, &[$(Self::$code),*])),*];

            /// The name of each variant, for the test that looks for unused ones.
            #[cfg(test)]
            const VARIANTS: &[(&'static str, Self)] = &[$($((stringify!($code), Self::$code)),*),*];

            /// Returns the code's name on the wire, such as `not-allowed`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $($(Self::$code => $name,)*)*
                    Self::Other(name) => &name.0,
                }
            }

            /// Returns the code's meaning, as a sentence.
            #[must_use]
            pub const fn meaning(&self) -> &'static str {
                match self {
                    $($(Self::$code => $means,)*)*
                    Self::Other(_) => "The agent is newer than this program, and gives a reason that it does not know.",
                }
            }

            /// Returns the next step for people, as a sentence.
            #[must_use]
            pub const fn remedy(&self) -> &'static str {
                match self {
                    $($(Self::$code => $remedy,)*)*
                    Self::Other(_) => "Look it up in the documentation of the agent's version.",
                }
            }

            /// Returns the next step for people as a hint: it begins with a small letter and has no full stop.
            #[must_use]
            pub fn hint(&self) -> String {
                let text = self.remedy().trim_end_matches('.');
                let mut letters = text.chars();
                letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
            }

            /// Returns the HTTP status of a call that is refused with it.
            #[must_use]
            pub const fn status(&self) -> u16 {
                match self {
                    $($(Self::$code => $status,)*)*
                    Self::Other(_) => 409,
                }
            }
        }

        impl RefusalCode {
            /// Returns the code of that name.
            fn named(name: String) -> Self {
                match name.as_str() {
                    $($($name => Self::$code,)*)*
                    _ => Self::Other(UnknownCode(name.into())),
                }
            }
        }
    };
}

/// The name of a code that this version does not know. Only deserialization makes one, so no code can refuse with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownCode(Box<str>);

list::list!(codes);

impl RefusalCode {
    /// Returns all codes.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        Self::GROUPS.iter().flat_map(|(_, codes)| codes.iter())
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RefusalCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::named)
    }
}

#[cfg(test)]
mod tests;
