//! `[params]`: typed values that a scenario leaves open, and `{ param = "x" }`, which may replace any value.
//!
//! Values are filled into the parsed tree, before it is decoded; never into text.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range};

use firedrill_wire::{Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use toml::{
    Spanned,
    de::{DeArray, DeValue},
};

use crate::diagnostic::{FileId, Item, Place, Problem, Sink, Spot, suggest};

/// A parameter. Without a default it is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: Spot<Kind>,
    /// Its value unless another is given.
    #[serde(default)]
    pub default: Option<Spot<Loose>>,
    /// Its purpose.
    #[serde(default)]
    pub about: Option<String>,
}

/// The type of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A length of time, such as `20s`.
    Duration,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A share in per cent, such as `99.5%`.
    Share,
    /// `true` or `false`.
    Boolean,
}

impl Kind {
    /// Returns the type in words, with an example.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Duration => "a duration such as \"20s\"",
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Share => "a share such as \"99.5%\"",
            Self::Boolean => "a boolean (true or false)",
        }
    }

    /// Returns the text for plans, if it is a valid value of this type.
    fn read(self, text: &str) -> Option<String> {
        match self {
            Self::Duration => text.parse::<Span>().ok().map(|span| span.to_string()),
            Self::String => Some(text.to_owned()),
            Self::Integer => text.trim().parse::<i64>().ok().map(|number| number.to_string()),
            Self::Share => text.parse::<Share>().ok().map(|share| share.to_string()),
            Self::Boolean => text.trim().parse::<bool>().ok().map(|yes| yes.to_string()),
        }
    }
}

/// A default value in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loose {
    /// In quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
}

impl Loose {
    /// Returns it as the file has it, without quotes.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(yes) => yes.to_string(),
        }
    }

    /// Returns the text for plans; `None` if it is not a valid value of this type.
    fn as_kind(&self, kind: Kind) -> Option<String> {
        match (self, kind) {
            (Self::Text(text), Kind::Duration | Kind::String | Kind::Share) => kind.read(text),
            (Self::Integer(number), Kind::Integer) => Some(number.to_string()),
            (Self::Boolean(yes), Kind::Boolean) => Some(yes.to_string()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl serde::de::Visitor<'_> for Any {
            type Value = Loose;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, or true or false")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose::Integer(number))
            }
            fn visit_bool<E: serde::de::Error>(self, yes: bool) -> Result<Loose, E> {
                Ok(Loose::Boolean(yes))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Loose {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Loose".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

/// A parameter as a file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The type of its values.
    pub kind: Kind,
    /// Its value unless another is given, as text.
    pub default: Option<String>,
    /// Its purpose.
    pub about: Option<String>,
}

impl Declared {
    pub(crate) fn of(param: &Param) -> Self {
        Self {
            kind: param.kind.value,
            default: param.default.as_ref().map(|default| default.value.text()),
            about: param.about.clone(),
        }
    }
}

/// The values of parameters in this run; `None` for one without a value, which was reported.
#[derive(Debug, Default)]
pub(crate) struct Params {
    values: BTreeMap<String, (Kind, Option<String>)>,
}

impl Params {
    /// Determines the value of every parameter: the given one, otherwise its default. `wrong` are the names of those that could not be
    /// read.
    pub(crate) fn settle(
        items: &[Item<Param>],
        wrong: &[String],
        given: &[(String, String)],
        sink: &mut Sink,
    ) -> Self {
        let mut values = BTreeMap::new();
        for item in items {
            let kind = item.value.kind.value;
            let default = item.value.default.as_ref();
            let value = match (given.iter().rev().find(|(name, _)| *name == item.name), default) {
                (Some((name, text)), _) => {
                    let value = kind.read(text);
                    if value.is_none() {
                        let message = format!("parameter `{name}` cannot be `{text}`: it is {}", kind.word());
                        sink.push(Problem::error(message).at(item.place(), "declared here"));
                    }
                    value
                }
                (None, Some(default)) => {
                    let value = default.as_kind(kind);
                    if value.is_none() {
                        let message =
                            format!("the default of parameter `{}` is not {}", item.name, kind.word());
                        let place = item.place_of(&default.at);
                        sink.push(
                            Problem::error(message)
                                .at(place, "this default")
                                .also(item.place_of(&item.value.kind.at), "this type"),
                        );
                    }
                    value
                }
                (None, None) if item.broken => None,
                (None, None) => {
                    sink.push(
                        Problem::error(format!(
                            "parameter `{}` has neither a value nor a default",
                            item.name
                        ))
                        .at(item.place(), "required")
                        .help(format!("give it one: --param {}=…", item.name)),
                    );
                    None
                }
            };
            values.insert(item.name.clone(), (kind, value));
        }
        for name in wrong {
            values.entry(name.clone()).or_insert((Kind::String, None));
        }
        for (name, _) in given {
            if !values.contains_key(name) {
                let known = values.keys().map(String::as_str);
                let help = suggest(name, known, "parameters");
                sink.push(Problem::error(format!("the scenario has no parameter `{name}`")).help(help));
            }
        }
        Self { values }
    }

    /// Returns the values as text.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let settled =
            self.values.iter().filter_map(|(name, (_, value))| Some((name.clone(), value.clone()?)));
        settled.collect()
    }

    /// Replaces every `{ param = "x" }` below by its value. Parameters without a value are removed. Returns whether any was removed.
    pub(crate) fn fill<'v>(&'v self, node: &mut Spanned<DeValue<'v>>, file: FileId, sink: &mut Sink) -> bool {
        let at = node.span();
        match node.get_mut() {
            DeValue::Table(table) => {
                let mut broken = false;
                let mut gone = Vec::new();
                for (key, value) in table.iter_mut() {
                    let (lost, inner) = self.fill_one(value, file, sink);
                    broken |= lost | inner;
                    if lost {
                        gone.push(key.get_ref().clone());
                    }
                }
                gone.iter().for_each(|key| _ = table.remove(key.as_ref()));
                broken
            }
            DeValue::Array(array) => {
                let mut broken = false;
                let mut kept = DeArray::new();
                for element in array.iter_mut() {
                    let (lost, inner) = self.fill_one(element, file, sink);
                    broken |= lost | inner;
                    if !lost {
                        kept.push(element.clone());
                    }
                }
                *node = Spanned::new(at, DeValue::Array(kept));
                broken
            }
            _ => false,
        }
    }

    /// Returns whether the value itself has to be removed, and whether something below it was removed.
    fn fill_one<'v>(
        &'v self,
        node: &mut Spanned<DeValue<'v>>,
        file: FileId,
        sink: &mut Sink,
    ) -> (bool, bool) {
        let Some((name, at)) = reference(node) else { return (false, self.fill(node, file, sink)) };
        let place = Place { file, at };
        match self.values.get(&name) {
            Some((kind, Some(text))) => {
                *node = Spanned::new(node.span(), value_of(*kind, text));
                (false, false)
            }
            Some((_, None)) => (true, false),
            None => {
                let help = suggest(&name, self.values.keys().map(String::as_str), "parameters");
                let problem = Problem::error(format!("there is no parameter `{name}`"));
                sink.push(problem.at(place, "not in [params]").help(help));
                (true, false)
            }
        }
    }
}

/// Returns the parameter's name, if the value is `{ param = "x" }`.
fn reference(node: &Spanned<DeValue<'_>>) -> Option<(String, Range<usize>)> {
    let table = node.get_ref().as_table().filter(|table| table.len() == 1)?;
    let name = table.get("param")?;
    Some((name.get_ref().as_str()?.to_owned(), name.span()))
}

/// Returns the TOML value of a parameter, of which `text` is the text.
fn value_of(kind: Kind, text: &str) -> DeValue<'_> {
    match kind {
        Kind::Duration | Kind::String | Kind::Share => DeValue::String(Cow::Borrowed(text)),
        // The text was printed from an integer or a boolean, so it is one in TOML too.
        Kind::Integer | Kind::Boolean => {
            DeValue::parse(text).map_or_else(|_| DeValue::String(Cow::Borrowed(text)), Spanned::into_inner)
        }
    }
}
