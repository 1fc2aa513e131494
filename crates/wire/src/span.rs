//! A length of time as people write it: `20s`, `500ms`, `1m 30s`.
//!
//! A number without a unit is refused.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time; in files and on the wire a text with units (`250ms`, `20s`, `4m`, `1h 30m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// The error for a text that is no length of time.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` is not a length of time ({why}); write a number with a unit, such as \"500ms\", \"20s\" or \"1m 30s\""
)]
pub struct SpanError {
    text: String,
    why: String,
}

impl Span {
    /// A span of length zero.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Returns a span of whole seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns a span of this many microseconds.
    #[must_use]
    pub const fn micros(microseconds: u64) -> Self {
        Self(Duration::from_micros(microseconds))
    }

    /// Returns a span of whole milliseconds.
    #[must_use]
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Returns the span in seconds, with a fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Returns the span in whole microseconds, at most `u64::MAX`.
    #[must_use]
    pub fn as_micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the span in whole milliseconds, at most `u64::MAX`.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the span's length is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl std::ops::Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Span {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::ZERO, |a, b| a + b)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&humantime::format_duration(self.0).to_string())
    }
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        humantime::parse_duration(text.trim())
            .map(Self)
            .map_err(|why| SpanError { text: text.to_owned(), why: why.to_string() })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time with a unit, such as \"20s\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Span, E> {
                Err(E::custom(format!("{number} has no unit; write \"{number}s\" or \"{number}ms\"")))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Span, E> {
                Err(E::custom(format!("{number} has no unit; write \"{number}s\" or \"{number}ms\"")))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time with its unit, such as \"500ms\", \"20s\" or \"1m 30s\".",
            "examples": ["500ms", "20s", "5m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_without_a_unit_is_refused_with_an_example() {
        let error = serde_json::from_str::<Span>("5").expect_err("no unit").to_string();
        assert!(error.contains("\"5s\""), "{error}");
    }

    proptest! {
        #[test]
        fn spans_are_read_as_they_are_printed(nanoseconds in 0_u64..u64::MAX / 2) {
            let span = Span(Duration::from_nanos(nanoseconds));
            prop_assert_eq!(span.to_string().parse::<Span>().expect("own text parses"), span);
        }
    }
}
