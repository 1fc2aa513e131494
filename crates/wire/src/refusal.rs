//! The codes of refusals: short, stable, for programs. One list (`list.rs`) says what each means, what to do, and the HTTP status of
//! the call that it refuses. `docs/refusals.md` is made of it.

mod list;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Generates the enum and all that goes over all codes from one list, which has a heading for each group of codes.
///
/// An entry is the code's variant, its name on the wire, its HTTP status, its meaning, and the next step for people.
macro_rules! codes {
    ($($group:literal { $($code:ident: $name:literal $status:literal, $means:literal, $remedy:literal;)* })*) => {
        /// The reason for a refusal, for programs. As JSON it is its name.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[doc = $means] $code,)*)*
            /// A code that this version does not know: the other side is newer.
            Other(UnknownCode),
        }

        impl RefusalCode {
            /// All codes by the headings of their groups.
            pub const GROUPS: &[(&'static str, &[Self])] = &[$(($group, &[$(Self::$code),*])),*];

            /// The name of each variant, for the test that looks for its use.
            #[cfg(test)]
            const VARIANTS: &[(&'static str, Self)] = &[$($((stringify!($code), Self::$code)),*),*];

            /// Returns its name on the wire, such as `not-allowed`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $($(Self::$code => $name,)*)*
                    Self::Other(name) => &name.0,
                }
            }

            /// Returns a sentence on what it means.
            #[must_use]
            pub const fn meaning(&self) -> &'static str {
                match self {
                    $($(Self::$code => $means,)*)*
                    Self::Other(_) => "The agent is newer than this program, and gives a reason that it does not know.",
                }
            }

            /// Returns a sentence on what people can do.
            #[must_use]
            pub const fn remedy(&self) -> &'static str {
                match self {
                    $($(Self::$code => $remedy,)*)*
                    Self::Other(_) => "Look it up in the documentation of the agent's version.",
                }
            }

            /// Returns what people can do as a part of a sentence, as hints are: it begins small and has no full stop.
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

/// The name of a code that this version does not know. Only reading makes one, so nothing can refuse with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownCode(Box<str>);

list::list!(codes);

impl RefusalCode {
    /// All codes.
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
