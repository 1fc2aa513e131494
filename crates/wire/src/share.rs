//! A share of something as people write it: `99.5%`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A share between 0 and 1; in files and on the wire a text with a per cent sign (`99.5%`).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

// The number is never NaN: each constructor checks that it lies between 0 and 1.
impl Eq for Share {}

/// The error for a text that is no share.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a share; write per cent between \"0%\" and \"100%\", such as \"99.5%\"")]
pub struct ShareError(String);

impl Share {
    /// The whole: 100%.
    pub const ALL: Self = Self(1.0);

    /// Returns the share of that number of per cent, at most 100.
    #[must_use]
    pub const fn per_cent(number: u8) -> Self {
        let number = if number > 100 { 100 } else { number };
        Self(number as f64 / 100.0)
    }

    /// Returns the share of a fraction from 0 to 1; `None` for any other number.
    #[must_use]
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then_some(Self(fraction))
    }

    /// Whether the share is zero.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 <= 0.0
    }

    /// Returns the share as a fraction from 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounding removes the errors of binary fractions, so that 99.9 % is not shown as 99.90000000000001 %.
        let per_cent = (self.0 * 1e8).round() / 1e6;
        f.pad(&format!("{per_cent}%"))
    }
}

impl FromStr for Share {
    type Err = ShareError;
    fn from_str(text: &str) -> Result<Self, ShareError> {
        text.trim()
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok())
            .and_then(|per_cent| Self::from_fraction(per_cent / 100.0))
            .ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share in per cent, such as \"99.5%\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Share, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for Share {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A share in per cent, such as \"99.5%\".",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_are_printed() {
        for text in ["0%", "99.5%", "99.95%", "33.3%", "100%"] {
            assert_eq!(text.parse::<Share>().expect(text).to_string(), text);
        }
        for wrong in ["", "99.5", "101%", "-1%", "NaN%", "much"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
