//! The peers of a fault. Thousands of hosts can have the same peers, and then share one list, in memory and in messages.
//!
//! In JSON peers are a list of texts. If a message has a [`PeerTable`], `@3` at the head of a list stands for list 3 of that table, `!TEXT`
//! leaves out a text of it, and `!@4` leaves out all texts of list 4. No name or address begins with `@` or `!`, so a reader that does not
//! know tables refuses such a list, and does not take it for an empty one.

mod table;

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};

pub use table::{PeerTable, PeersError, list_bytes};

use super::net::one_or_many;

/// Lists of at most this number of texts are copied rather than shared.
const SHORT: usize = 16;
/// Maximum number of texts that are left out for which a search of their list takes no longer than a set.
const FEW: usize = 8;

/// Peers of a fault: a list that faults can share, without a few of its texts. The meaning of an empty list depends on the kind.
#[derive(Clone, Debug, Default)]
pub struct PeerSet {
    all: Shared,
    /// The texts that are left out of `all`.
    but: Shared,
}

/// A list that faults can share.
#[derive(Clone, Debug, Default)]
struct Shared {
    names: Arc<[String]>,
    /// Its index in the table of the message that it will be written to; `None` if the table does not have it.
    number: Option<u32>,
}

impl Shared {
    const fn new(names: Arc<[String]>) -> Self {
        Self { names, number: None }
    }

    /// Returns the address of the list in memory, which is the same for all that share it.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.names).cast::<String>().addr()
    }
}

impl PeerSet {
    /// Whether no peer is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.names.is_empty()
    }

    /// Returns the texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        let few = self.but.names.len() <= FEW;
        let many: HashSet<&str> =
            if few { HashSet::new() } else { self.but.names.iter().map(String::as_str).collect() };
        self.all.names.iter().filter(move |name| {
            if few { !self.but.names.contains(name) } else { !many.contains(name.as_str()) }
        })
    }

    /// Returns the number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.but.names.is_empty() { self.all.names.len() } else { self.iter().count() }
    }

    /// Returns a copy of the texts.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().cloned().collect()
    }

    /// Returns the shared list, including the texts of [`PeerSet::but`].
    #[must_use]
    pub const fn all(&self) -> &Arc<[String]> {
        &self.all.names
    }

    /// Returns the texts of the shared list that are left out.
    #[must_use]
    pub fn but(&self) -> &[String] {
        &self.but.names
    }

    /// Returns the key of the shared list: two peer sets with the same key hold the same list. The key is valid while one of them lives.
    #[must_use]
    pub fn key(&self) -> usize {
        self.all.address()
    }

    /// Returns these peers without some texts. The list itself stays shared, unless it is short.
    #[must_use]
    pub fn without(&self, but: &Arc<[String]>) -> Self {
        if but.is_empty() || self.is_empty() {
            return self.clone();
        }
        if self.all.names.len() <= SHORT {
            return self.iter().filter(|name| !but.contains(name)).cloned().collect();
        }
        let but = if self.but.names.is_empty() {
            Arc::clone(but)
        } else {
            self.but.names.iter().chain(&**but).cloned().collect()
        };
        Self { all: self.all.clone(), but: Shared::new(but) }
    }

    /// Returns the number of texts that have to be read for these peers.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.all.names.len().max(self.but.names.len())
    }

    /// Replaces lists by equal known ones, and adds the others to the known ones.
    pub fn share(&mut self, known: &mut HashSet<Arc<[String]>>) {
        for list in [&mut self.all.names, &mut self.but.names] {
            if let Some(same) = known.get(&**list) {
                *list = Arc::clone(same);
            } else {
                known.insert(Arc::clone(list));
            }
        }
    }

    /// Replaces references to the table by its lists. Copies no list.
    fn bind(&mut self, table: &PeerTable) -> Result<(), PeersError> {
        let Some(all) = self.all.names.first().and_then(|first| first.strip_prefix('@')) else {
            return Ok(());
        };
        let all = table.list(all)?;
        let left_out = self.all.names[1..]
            .iter()
            .map(|text| text.strip_prefix('!').ok_or_else(|| PeersError::Form(text.clone())))
            .collect::<Result<Vec<&str>, _>>()?;
        let but = match left_out[..] {
            [text] if text.starts_with('@') => table.list(&text[1..])?,
            _ => {
                if left_out.iter().any(|text| text.starts_with('@')) {
                    return Err(PeersError::Mixed);
                }
                Shared::new(left_out.into_iter().map(str::to_owned).collect())
            }
        };
        *self = Self { all, but };
        Ok(())
    }
}

impl<'p> IntoIterator for &'p PeerSet {
    type Item = &'p String;
    type IntoIter = Box<dyn Iterator<Item = &'p String> + 'p>;
    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl From<Vec<String>> for PeerSet {
    fn from(names: Vec<String>) -> Self {
        Self { all: Shared::new(names.into()), but: Shared::default() }
    }
}

impl From<Arc<[String]>> for PeerSet {
    fn from(names: Arc<[String]>) -> Self {
        Self { all: Shared::new(names), but: Shared::default() }
    }
}

impl FromIterator<String> for PeerSet {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        names.into_iter().collect::<Vec<_>>().into()
    }
}

/// Two sets are equal if they have the same texts in the same order, however they are stored.
impl PartialEq for PeerSet {
    fn eq(&self, other: &Self) -> bool {
        self.all.names == other.all.names && self.but.names == other.but.names || self.iter().eq(other.iter())
    }
}

impl Eq for PeerSet {}

impl<const N: usize> PartialEq<[&str; N]> for PeerSet {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other)
    }
}

impl Serialize for PeerSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(number) = self.all.number else { return serializer.collect_seq(self.iter()) };
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(&format_args!("@{number}"))?;
        match self.but.number {
            Some(number) => list.serialize_element(&format_args!("!@{number}"))?,
            None => {
                self.but
                    .names
                    .iter()
                    .try_for_each(|name| list.serialize_element(&format_args!("!{name}")))?;
            }
        }
        list.end()
    }
}

/// Reads `"a"` like `["a"]`.
impl<'de> Deserialize<'de> for PeerSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many::<_, String>(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests;
