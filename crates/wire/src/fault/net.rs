//! The parameters that faults on traffic have in common.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The direction of packets, seen from the host that has the fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards the host.
    In,
    /// From the host.
    Out,
    /// Both ways.
    #[default]
    Both,
}

impl Direction {
    /// The default of faults that only shape traffic.
    pub(super) const fn outward() -> Self {
        Self::Out
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6 (neighbour discovery excepted, always).
    Icmp,
}

/// The packets of connections that are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// Packets that open a TCP connection. Open connections stay; new ones fail.
    New,
    /// Packets that answer: requests arrive, and their answers do not. Needs connection tracking.
    Replies,
}

/// The way in which a packet is blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refuse {
    /// The packet is dropped without an answer: the sender waits for its time-out, as in a partition.
    #[default]
    Drop,
    /// The sender gets an answer at once: a TCP reset, or for other protocols ICMP port unreachable.
    Reject,
}

/// One port or a range of them: `443`, `"8000-8099"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port, included.
    pub last: u16,
}

/// The error for a text that is no port and no range of ports.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a port or a range of ports; write 443 or \"8000-8099\"")]
pub struct PortRangeError(String);

impl FromStr for PortRange {
    type Err = PortRangeError;
    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(PortRangeError(text.to_owned())),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for PortRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.first == self.last {
            serializer.serialize_u16(self.first)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Port;
        impl serde::de::Visitor<'_> for Port {
            type Value = PortRange;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port (443) or a range (\"8000-8099\")")
            }
            fn visit_i64<E: serde::de::Error>(self, port: i64) -> Result<PortRange, E> {
                port.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, port: u64) -> Result<PortRange, E> {
                port.to_string().parse().map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PortRange, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Port)
    }
}

impl schemars::JsonSchema for PortRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A port (443) or a range of ports (\"8000-8099\").",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
            ],
        })
    }
}

/// The schema of a value or a list of values.
pub(crate) struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<T: schemars::JsonSchema> schemars::JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [value, { "type": "array", "items": value }] })
    }
}

/// Reads `"a"` like `["a"]`.
///
/// # Errors
/// The errors of the value.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Any<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Any<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one value or a list of them")
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|value| vec![value])
        }
        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::I64Deserializer::new(number)).map(|value| vec![value])
        }
        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
            T::deserialize(serde::de::value::U64Deserializer::new(number)).map(|value| vec![value])
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = seq.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_any(Any(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::NetBlock;

    #[test]
    fn one_peer_reads_like_a_list_of_one() {
        let block: NetBlock =
            serde_json::from_str(r#"{"to":"db","remote_ports":[5432,"8000-8099"]}"#).expect("parses");
        assert_eq!(block.to, ["db"]);
        assert_eq!(
            block.remote_ports,
            [PortRange { first: 5432, last: 5432 }, PortRange { first: 8000, last: 8099 }]
        );
        let again: NetBlock =
            serde_json::from_str(&serde_json::to_string(&block).expect("prints")).expect("reads own text");
        assert_eq!(again, block);
        assert!(serde_json::from_str::<NetBlock>(r#"{"to":"db","remote_ports":"9-8"}"#).is_err());
    }
}
