//! Data sizes and data rates as people write them: `32kB`, `10mbit`.
//!
//! A number without a unit is refused, and so is `bps`, which means bits to some people and bytes to others.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits a second; in files and on the wire a text with a unit (`500kbit`, `10mbit`, `1gbit`; thousands, not 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

/// Bytes; in files and on the wire a text with a unit (`1500B`, `32kB`, `1MB`; `KiB` and `MiB` are 1024s).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// The error for a text that is no quantity.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
}

/// Units with their factors, the largest first.
type Units = [(&'static str, u64)];

/// Units of rates.
const RATES: &Units = &[("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
/// The wanted form of a rate, for errors.
const A_RATE: &str =
    "a rate; write a number with a unit, such as \"500kbit\", \"10mbit\" or \"1gbit\" (bits a second)";
/// Units of sizes.
const SIZES: &Units = &[("MB", 1_000_000), ("kB", 1_000), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// The wanted form of a size, for errors.
const A_SIZE: &str = "a size; write a number with a unit, such as \"1500B\", \"32kB\" or \"1MiB\"";

/// Reads a whole number with one of the units. `what` is the wanted form, for errors.
fn read(text: &str, units: &Units, what: &'static str) -> Result<u64, QuantityError> {
    let wrong = || QuantityError { text: text.to_owned(), what };
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).ok_or_else(wrong)
}

/// Prints a number with the largest unit that leaves a whole number.
fn print(value: u64, units: &Units) -> String {
    let whole = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().find(whole).or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", value / factor)
}

macro_rules! quantity {
    ($name:ident, $units:expr, $what:expr, $pattern:expr, $about:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&print(self.0, $units))
            }
        }
        impl FromStr for $name {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                read(text, $units, $what).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $about, "pattern": $pattern })
            }
        }
    };
}

quantity!(
    BitRate,
    RATES,
    A_RATE,
    r"^\s*[0-9]+\s*([kKmMgG]?[bB][iI][tT])\s*$",
    "Bits a second, with a unit: \"500kbit\", \"10mbit\", \"1gbit\"."
);
quantity!(
    ByteSize,
    SIZES,
    A_SIZE,
    r"^\s*[0-9]+\s*([kKmM]?[iI]?[bB])\s*$",
    "Bytes, with a unit: \"1500B\", \"32kB\", \"1MiB\"."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_and_print_the_same() {
        for text in ["1gbit", "10mbit", "1500kbit", "7bit", "0bit"] {
            assert_eq!(text.parse::<BitRate>().expect(text).to_string(), text);
        }
        for text in ["32kB", "1MiB", "1500B", "1MB", "3KiB", "0B"] {
            assert_eq!(text.parse::<ByteSize>().expect(text).to_string(), text);
        }
        assert_eq!("10 Mbit".parse::<BitRate>().expect("spaces and capitals").0, 10_000_000);
        for wrong in ["", "10", "10mbps", "-1bit", "99999999999gbit", "1.5mbit", "mbit"] {
            assert!(wrong.parse::<BitRate>().is_err(), "{wrong}");
        }
        assert!("32".parse::<ByteSize>().is_err());
    }
}
