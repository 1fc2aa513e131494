//! Values with their places in a file, so that later refusals can point at them.

use std::{borrow::Cow, ops::Range};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::problem::{FileId, Place};

/// A value and its bytes in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spot<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub at: Range<usize>,
}

impl<T> std::ops::Deref for Spot<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spot<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::<T>::deserialize(deserializer)?;
        let at = spanned.span();
        Ok(Self { value: spanned.into_inner(), at })
    }
}

impl<T: JsonSchema> JsonSchema for Spot<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// One text, or a list of them: `"app"`, `["app", "db"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(pub Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> serde::de::Visitor<'de> for OneOrMany {
            type Value = Values;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for Values {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}

/// A key or a value of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The path to it from the table: keys, and indexes of lists from 0.
    pub(crate) path: Vec<String>,
    /// The key, or the value if it is a text.
    pub(crate) text: Option<String>,
    pub(crate) at: Range<usize>,
    /// Whether it is a key.
    pub(crate) key: bool,
}

/// A table of a scenario, with its name and place.
#[derive(Clone, Debug)]
pub struct Item<T> {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: FileId,
    /// Position of its name.
    pub at: Range<usize>,
    /// Its value.
    pub value: T,
    /// Whether it had errors: keys that are missing may only have been misspelt.
    pub broken: bool,
    pub(crate) words: Vec<Word>,
}

impl<T> Item<T> {
    /// Returns the place of the whole item.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place_of(&self.at)
    }

    /// Returns the place of that span in this item's file.
    #[must_use]
    pub fn place_of(&self, at: &Range<usize>) -> Place {
        Place { file: self.file, at: at.clone() }
    }

    /// Returns the place of that value; otherwise that of the item's name.
    #[must_use]
    pub fn place_of_value(&self, text: &str) -> Place {
        self.find(text, false)
    }

    /// Returns the place of that key; otherwise that of the item's name.
    #[must_use]
    pub fn place_of_key(&self, key: &str) -> Place {
        self.find(key, true)
    }

    /// Returns the place of the value at that path, or with `key` of the path's last key; otherwise that of the
    /// item's name.
    #[must_use]
    pub fn place_at(&self, path: &[&str], key: bool) -> Place {
        self.place_of(self.word_at(path, key).map_or(&self.at, |word| &word.at))
    }

    /// Whether the table has a key at that path.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        self.word_at(path, true).is_some()
    }

    /// Returns the value at that path as an item, with its places. The item has the name of the path's last key.
    #[must_use]
    pub fn part<U>(&self, path: &[&str], value: U) -> Item<U> {
        let below = |word: &&Word| {
            word.path.len() >= path.len() && word.path.iter().zip(path).all(|(own, step)| own == step)
        };
        let inside = self.words.iter().filter(below).filter(|word| !word.key || word.path.len() > path.len());
        let words = inside.map(|word| Word { path: word.path[path.len()..].to_vec(), ..word.clone() });
        Item {
            name: path.last().copied().unwrap_or_default().to_owned(),
            file: self.file,
            at: self.place_at(path, true).at,
            value,
            broken: self.broken,
            words: words.collect(),
        }
    }

    /// Returns the text at that path.
    #[must_use]
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.word_at(path, false)?.text.as_deref()
    }

    /// Returns the key or the value at a path.
    fn word_at(&self, path: &[&str], key: bool) -> Option<&Word> {
        self.words.iter().find(|word| word.key == key && word.path == path)
    }

    /// Returns the place of the first key or value with this text; the place of the item if there is none.
    fn find(&self, text: &str, key: bool) -> Place {
        let word = self.words.iter().find(|word| word.key == key && word.text.as_deref() == Some(text));
        self.place_of(word.map_or(&self.at, |word| &word.at))
    }
}
