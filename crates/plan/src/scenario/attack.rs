//! `[[attack]]` and `[attack_defaults]`: faults, their targets, and the duration of each phase.

use std::borrow::Cow;

use firedrill_wire::{Fault, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::diagnostic::Spot;
use crate::plan::model::{Approve, Then};

/// Durations of the phases of attacks, unless the scenario sets others.
pub mod defaults {
    use firedrill_wire::Span;

    /// Time before the fault in which objectives must hold.
    pub const BASELINE: Span = Span::secs(10);
    /// Time in which recovery is measured.
    pub const RECOVERY: Span = Span::secs(30);
    /// Time in which the system must be healthy before the next attack.
    pub const SETTLE: Span = Span::ZERO;
    /// Maximum time until it has been healthy for that long.
    pub const SETTLE_WITHIN: Span = Span::secs(300);
}

/// One attack of a drill: baseline, fault, recovery, settle. `[attack_defaults]` may set another default for the keys
/// that it has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Its name; unique in the scenario.
    pub name: Spot<String>,
    /// The target: a name from `[targets]`, or the name of a host. Needed for an attack.
    pub on: Spot<String>,
    /// Attack the groups of the target one after another. The value is the name of the target, which needs `group_by`, or
    /// the label in its `group_by`.
    #[serde(default)]
    pub for_each: Option<Spot<String>>,
    /// The fault: one kind with its parameters.
    #[serde(default)]
    pub fault: Option<Spot<Fault>>,
    /// Several faults at once: each a kind with its parameters, and its own `at` and `hold`.
    #[serde(default)]
    pub faults: Vec<Spot<FaultAt>>,
    /// Time before the fault in which objectives must hold.
    #[serde(default)]
    #[schemars(extend("default" = defaults::BASELINE))]
    pub baseline: Option<Spot<Span>>,
    /// Duration of the fault. Required here or in `[attack_defaults]`, except for kinds with a duration of their own
    /// (`host-reboot`).
    #[serde(default)]
    pub hold: Option<Spot<Span>>,
    /// Time in which recovery is measured.
    #[serde(default)]
    #[schemars(extend("default" = defaults::RECOVERY))]
    pub recovery: Option<Spot<Span>>,
    /// Time in which the system must be healthy before the next attack.
    #[serde(default)]
    #[schemars(extend("default" = defaults::SETTLE))]
    pub settle: Option<Spot<Span>>,
    /// Maximum time until the system has settled; otherwise the run stops.
    #[serde(default)]
    #[schemars(extend("default" = defaults::SETTLE_WITHIN))]
    pub settle_within: Option<Spot<Span>>,
    /// The objectives that judge this attack; default: all.
    #[serde(default)]
    pub judge: Option<Vec<Spot<String>>>,
    /// Earlier attacks, by name, that must have run without being violated; otherwise this one does not run.
    #[serde(default)]
    pub needs: Vec<Spot<String>>,
    /// The next step after a violated verdict.
    #[serde(default)]
    #[schemars(extend("default" = Then::Continue))]
    pub on_violated: Option<Then>,
    /// The next step after an unknown verdict.
    #[serde(default)]
    #[schemars(extend("default" = Then::Continue))]
    pub on_unknown: Option<Then>,
    /// The approval that is needed just before this attack; default: none.
    #[serde(default)]
    pub approve: Option<Spot<Approve>>,
}

/// Values for attacks that do not have the key themselves.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttackDefaults {
    /// Time before the fault in which objectives must hold.
    #[serde(default)]
    #[schemars(extend("default" = defaults::BASELINE))]
    pub baseline: Option<Spot<Span>>,
    /// Duration of the fault. Required here or in the attack, except for kinds with a duration of their own
    /// (`host-reboot`).
    #[serde(default)]
    pub hold: Option<Spot<Span>>,
    /// Time in which recovery is measured.
    #[serde(default)]
    #[schemars(extend("default" = defaults::RECOVERY))]
    pub recovery: Option<Spot<Span>>,
    /// Time in which the system must be healthy before the next attack.
    #[serde(default)]
    #[schemars(extend("default" = defaults::SETTLE))]
    pub settle: Option<Spot<Span>>,
    /// Maximum time until the system has settled; otherwise the run stops.
    #[serde(default)]
    #[schemars(extend("default" = defaults::SETTLE_WITHIN))]
    pub settle_within: Option<Spot<Span>>,
    /// The objectives that judge attacks; default: all.
    #[serde(default)]
    pub judge: Option<Vec<Spot<String>>>,
    /// The next step after a violated verdict.
    #[serde(default)]
    #[schemars(extend("default" = Then::Continue))]
    pub on_violated: Option<Then>,
    /// The next step after an unknown verdict.
    #[serde(default)]
    #[schemars(extend("default" = Then::Continue))]
    pub on_unknown: Option<Then>,
    /// The approval that is needed just before each attack; default: none.
    #[serde(default)]
    pub approve: Option<Spot<Approve>>,
}

/// One fault of several.
#[derive(Clone, Debug)]
pub struct FaultAt {
    /// The fault.
    pub fault: Fault,
    /// Offset from the start of the fault phase.
    pub at: Span,
    /// Duration of the fault; default: to the end of the attack's hold.
    pub hold: Option<Span>,
}

impl<'de> Deserialize<'de> for FaultAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> de::Visitor<'de> for Keys {
            type Value = FaultAt;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a fault, such as { net-block = { to = \"db\" }, at = \"10s\" }")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<FaultAt, A::Error> {
                let (mut fault, mut at, mut hold) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "at" => at = Some(map.next_value()?),
                        "hold" => hold = Some(map.next_value()?),
                        kind if fault.is_none() => fault = Some(map.next_value_seed(Tagged(kind))?),
                        _ => {
                            return Err(de::Error::custom(
                                "two kinds in one entry: give each an entry of its own",
                            ));
                        }
                    }
                }
                let fault = fault.ok_or_else(|| de::Error::missing_field(super::decode::A_KIND))?;
                Ok(FaultAt { fault, at: at.unwrap_or_default(), hold })
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl JsonSchema for FaultAt {
    fn schema_name() -> Cow<'static, str> {
        "FaultAt".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = Fault::json_schema(generator);
        let mut span = generator.subschema_for::<Span>();
        let variants = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut);
        for properties in variants.into_iter().flatten().filter_map(|variant| variant.get_mut("properties")) {
            if let Some(properties) = properties.as_object_mut() {
                span.insert("description".to_owned(), "It begins this long after the fault phase.".into());
                properties.insert("at".to_owned(), span.clone().to_value());
                span.insert(
                    "description".to_owned(),
                    "How long it holds; to the end of the attack's hold unless given.".into(),
                );
                properties.insert("hold".to_owned(), span.clone().to_value());
            }
        }
        schema.insert("description".to_owned(), "One fault of several, with its own offset and hold.".into());
        schema
    }
}

/// Reads a table's value as the parameters of the fault kind that its key names.
struct Tagged<'k>(&'k str);

impl<'de> de::DeserializeSeed<'de> for Tagged<'_> {
    type Value = Fault;
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Fault, D::Error> {
        Fault::deserialize(TaggedValue { kind: self.0, value })
    }
}

/// Lets serde read a kind and its value as a variant of an enum and its content.
struct TaggedValue<'k, D> {
    kind: &'k str,
    value: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for TaggedValue<'_, D> {
    type Error = D::Error;
    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> de::EnumAccess<'de> for TaggedValue<'_, D> {
    type Error = D::Error;
    type Variant = TaggedVariant<D>;
    fn variant_seed<S: de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), D::Error> {
        let kind = seed.deserialize(de::value::StrDeserializer::new(self.kind))?;
        Ok((kind, TaggedVariant(self.value)))
    }
}

/// The content of such a variant.
struct TaggedVariant<D>(D);

impl<'de, D: Deserializer<'de>> de::VariantAccess<'de> for TaggedVariant<D> {
    type Error = D::Error;
    fn unit_variant(self) -> Result<(), D::Error> {
        Err(de::Error::custom("a fault is a table of parameters"))
    }
    fn newtype_variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, D::Error> {
        seed.deserialize(self.0)
    }
    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_seq(visitor)
    }
    fn struct_variant<V: de::Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }
}
