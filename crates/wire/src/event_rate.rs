//! The frequency of events, as people write it: `5/s`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units of time, with their lengths in seconds.
const UNITS: [(&str, f64); 3] = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A number of events in a unit of time; in files and on the wire a text (`5/s`, `0.5/s`, `30/m`). It is above zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRate {
    count: f64,
    /// Index in [`UNITS`].
    unit: usize,
}

/// The error for a text that is no rate.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no rate; write a number above 0 and a unit of time (s, m, h), such as \"5/s\" or \"30/m\"")]
pub struct EventRateError(String);

impl EventRate {
    /// Returns the number of events per second.
    #[must_use]
    pub fn a_second(self) -> f64 {
        self.count / UNITS.get(self.unit).map_or(1.0, |(_, seconds)| *seconds)
    }
}

impl fmt::Display for EventRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.get(self.unit).map_or("s", |(unit, _)| *unit);
        f.pad(&format!("{}/{unit}", self.count))
    }
}

impl FromStr for EventRate {
    type Err = EventRateError;
    fn from_str(text: &str) -> Result<Self, EventRateError> {
        let parsed = text.trim().split_once('/').and_then(|(count, unit)| {
            let count = count.trim().parse::<f64>().ok().filter(|count| count.is_finite() && *count > 0.0)?;
            let unit = UNITS.iter().position(|(known, _)| *known == unit.trim())?;
            Some(Self { count, unit })
        });
        parsed.ok_or_else(|| EventRateError(text.to_owned()))
    }
}

impl Serialize for EventRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = EventRate;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate, such as \"5/s\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EventRate, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for EventRate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventRate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number of events in a second, a minute or an hour: `\"5/s\"`, `\"30/m\"`.",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*/\s*[smh]\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, a_second) in [("5/s", 5.0), ("30/m", 0.5), ("0.5/s", 0.5), (" 7200 / h", 2.0)] {
            let rate: EventRate = text.parse().expect("a rate");
            assert!((rate.a_second() - a_second).abs() < 1e-9);
            assert_eq!(rate.to_string().parse::<EventRate>().expect("a rate"), rate);
        }
        for text in ["5", "0/s", "-1/s", "5/d", "x/s", "inf/s", "nan/s", ""] {
            assert!(text.parse::<EventRate>().is_err(), "{text}");
        }
    }
}
