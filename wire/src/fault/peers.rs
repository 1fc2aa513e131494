//! The peers of a fault. Thousands of hosts can have the same ones: they hold one list together, in memory and in messages.
//!
//! In JSON peers are a list of texts. Where a message has a [`PeerTable`], `@3` at the head of a list stands for list 3 of
//! that table, `!TEXT` takes a text out of it, and `!@4` all texts of list 4. No name or address begins with `@` or `!`,
//! so a reader without the table refuses such a list, and never takes it for an empty one.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq as _};

use super::{Fault, net::one_or_many};

/// Lists of so many texts are copied rather than shared.
const SHORT: usize = 16;

/// What is left of a list, by what was taken out of it.
type Less = HashMap<Arc<[String]>, Arc<[String]>>;

/// Peers of a fault: a list that faults can share, less a few texts of it. What an empty list means is up to the kind.
#[derive(Clone, Debug, Default)]
pub struct PeerSet {
    all: Shared,
    but: Shared,
}

#[derive(Clone, Debug, Default)]
struct Shared {
    names: Arc<[String]>,
    /// Its place in the table of the message that it is to be written to.
    number: Option<u32>,
}

impl Shared {
    const fn new(names: Arc<[String]>) -> Self {
        Self { names, number: None }
    }

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

    /// The texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        let few = self.but.names.len() <= 8;
        let many: HashSet<&str> =
            if few { HashSet::new() } else { self.but.names.iter().map(String::as_str).collect() };
        self.all.names.iter().filter(move |name| {
            if few { !self.but.names.contains(name) } else { !many.contains(name.as_str()) }
        })
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.but.names.is_empty() { self.all.names.len() } else { self.iter().count() }
    }

    /// A copy of the texts.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().cloned().collect()
    }

    /// The list that is shared, from which [`PeerSet::but`] is taken out.
    #[must_use]
    pub const fn all(&self) -> &Arc<[String]> {
        &self.all.names
    }

    /// What is taken out of the shared list.
    #[must_use]
    pub fn but(&self) -> &[String] {
        &self.but.names
    }

    /// Two peer sets with the same key hold the same shared list. The key is valid while one of them lives.
    #[must_use]
    pub fn key(&self) -> usize {
        self.all.address()
    }

    /// These peers without some texts. The list itself stays shared, unless it is short.
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

    /// The number of texts to go through for these peers.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.all.names.len().max(self.but.names.len())
    }

    /// Has lists that are equal to known ones be those, and adds the others to them.
    pub fn share(&mut self, known: &mut HashSet<Arc<[String]>>) {
        for list in [&mut self.all.names, &mut self.but.names] {
            if let Some(same) = known.get(&**list) {
                *list = Arc::clone(same);
            } else {
                known.insert(Arc::clone(list));
            }
        }
    }

    /// Puts lists of the table in the place of what refers to them. Copies no list.
    fn bind(&mut self, table: &PeerTable) -> Result<(), PeersError> {
        let Some(all) = self.all.names.first().and_then(|first| first.strip_prefix('@')) else {
            return Ok(());
        };
        let all = table.list(all)?;
        let out = self.all.names[1..]
            .iter()
            .map(|text| text.strip_prefix('!').ok_or_else(|| PeersError::Form(text.clone())))
            .collect::<Result<Vec<&str>, _>>()?;
        let but = match out[..] {
            [one] if one.starts_with('@') => table.list(&one[1..])?,
            _ => {
                if out.iter().any(|text| text.starts_with('@')) {
                    return Err(PeersError::Mixed);
                }
                Shared::new(out.into_iter().map(str::to_owned).collect())
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

/// The same texts in the same order, however they are held.
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

/// `"a"` is read like `["a"]`.
impl<'de> Deserialize<'de> for PeerSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many::<_, String>(deserializer).map(Self::from)
    }
}

/// Peers in a message refer to a list that is not there, or are not of the form that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// There is no such list.
    #[error("peers refer to list `{0}`, which the message does not have")]
    NoList(String),
    /// Neither a list nor what is to be taken out of one.
    #[error("peers of the form `{0}` are not known to this version")]
    Form(String),
    /// More is taken out of a list than one list, or than texts.
    #[error(
        "peers take several lists, or a list and texts, out of another; this version reads one list or texts"
    )]
    Mixed,
    /// A fault would be about nobody, which reads like everybody.
    #[error("peers of which nobody is left")]
    Nobody,
    /// An agent would need too much memory or time.
    #[error("the peers of this question are {0} texts in all; an agent takes {most}; ask about fewer faults at a time, or name networks, such as 10.0.0.0/8, in place of hosts", most = PeerTable::MOST)]
    TooMany(usize),
    /// An agent would need too much memory.
    #[error("the peers of this question take {0} bytes where each fault has its own; an agent takes {most}; ask about fewer faults at a time", most = PeerTable::MOST_BYTES)]
    TooLong(usize),
}

/// The lists of peers that faults of one message share, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTable(Vec<Arc<[String]>>);

impl PeerTable {
    /// Peers of so many texts are taken in one question, over all of its faults: [`PeerSet::weight`].
    pub const MOST: usize = 200_000;
    /// Lists that are copied, because texts are taken out of them, take at most so many bytes in one question.
    pub const MOST_BYTES: usize = 16 << 20;

    /// Finds the lists that several of the faults hold, unless they are short, and has the faults refer to them where they
    /// are written. Reading needs the table.
    pub fn gather<'f>(faults: impl IntoIterator<Item = &'f mut Fault>) -> Self {
        let mut sets: Vec<&mut PeerSet> = faults.into_iter().flat_map(Fault::selectors_mut).collect();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut often: BTreeSet<usize> = BTreeSet::new();
        let lists =
            || sets.iter().flat_map(|set| [&set.all, &set.but]).filter(|list| list.names.len() > SHORT);
        for list in lists() {
            if !seen.insert(list.address()) {
                often.insert(list.address());
            }
        }
        let mut table = Self::default();
        let mut numbers: HashMap<usize, Option<u32>> = HashMap::new();
        for list in lists().filter(|list| often.contains(&list.address())) {
            numbers.entry(list.address()).or_insert_with(|| {
                table.0.push(Arc::clone(&list.names));
                u32::try_from(table.0.len() - 1).ok()
            });
        }
        for set in &mut sets {
            set.all.number = numbers.get(&set.all.address()).copied().flatten();
            set.but.number = numbers.get(&set.but.address()).copied().flatten();
        }
        table
    }

    /// Has faults that were read hold the lists that they refer to.
    ///
    /// # Errors
    /// A fault refers to what is not there.
    pub fn bind<'f>(&self, faults: impl IntoIterator<Item = &'f mut Fault>) -> Result<(), PeersError> {
        faults.into_iter().flat_map(Fault::selectors_mut).try_for_each(|set| set.bind(self))
    }

    /// The same for who makes the faults: peers are plain lists then, which faults with the same peers still share. The
    /// bounds are looked at before any list is copied.
    ///
    /// # Errors
    /// A fault refers to what is not there, or to nobody; the peers are more than [`PeerTable::MOST`] or take more than
    /// [`PeerTable::MOST_BYTES`].
    pub fn bind_plain<'f>(&self, faults: impl IntoIterator<Item = &'f mut Fault>) -> Result<(), PeersError> {
        let mut sets: Vec<&mut PeerSet> = faults.into_iter().flat_map(Fault::selectors_mut).collect();
        let mut texts = 0_usize;
        for set in &mut sets {
            set.bind(self)?;
            texts = texts.saturating_add(set.weight());
        }
        if texts > Self::MOST {
            return Err(PeersError::TooMany(texts));
        }
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        let mut copies: HashSet<(usize, &[String])> = HashSet::new();
        let mut bytes = 0_usize;
        for set in sets.iter().filter(|set| !set.but.names.is_empty()) {
            if copies.insert((set.key(), set.but())) {
                bytes += *sizes.entry(set.key()).or_insert_with(|| list_bytes(set.all()));
            }
        }
        if bytes > Self::MOST_BYTES {
            return Err(PeersError::TooLong(bytes));
        }
        drop(copies);
        let mut plain: HashMap<usize, Less> = HashMap::new();
        for set in sets {
            set.all.number = None;
            if set.but.names.is_empty() {
                continue;
            }
            let of_list = plain.entry(set.key()).or_default();
            let but = Arc::clone(&set.but.names);
            let names = of_list.entry(but).or_insert_with(|| set.iter().cloned().collect());
            if names.is_empty() {
                return Err(PeersError::Nobody);
            }
            *set = PeerSet::from(Arc::clone(names));
        }
        Ok(())
    }

    /// Whether nothing is shared.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn list(&self, number: &str) -> Result<Shared, PeersError> {
        let at = number.parse::<u32>().ok();
        let found = at.and_then(|at| self.0.get(usize::try_from(at).ok()?));
        let names = found.ok_or_else(|| PeersError::NoList(number.to_owned()))?;
        // Read as peers it would be everybody; as what is exempt or taken out, nobody.
        if names.is_empty() {
            return Err(PeersError::Nobody);
        }
        Ok(Shared { names: Arc::clone(names), number: at })
    }
}

/// The bytes that a list of texts takes in memory.
#[must_use]
pub fn list_bytes(list: &[String]) -> usize {
    list.iter().map(|text| text.len() + size_of::<String>()).sum()
}

impl Serialize for PeerTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|list| &**list))
    }
}

impl<'de> Deserialize<'de> for PeerTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lists = Vec::<Vec<String>>::deserialize(deserializer)?;
        Ok(Self(lists.into_iter().map(Arc::from).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::NetBlock;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect()
    }

    fn block(to: PeerSet) -> Fault {
        Fault::NetBlock(NetBlock { to, ..NetBlock::default() })
    }

    fn texts(fault: &Fault) -> Vec<String> {
        fault.on_traffic().expect("traffic").traffic().to.to_vec()
    }

    #[test]
    fn a_list_that_faults_share_is_written_once_and_read_again() {
        let all = PeerSet::from(names(100));
        let own: Arc<[String]> = Arc::new(["10.0.0.7".to_owned()]);
        let mut faults = [block(all.clone()), block(all.without(&own)), block(names(40).into())];
        let table = PeerTable::gather(&mut faults);
        let json = serde_json::to_string(&(&table, &faults)).expect("prints");
        assert_eq!(json.matches("\"10.0.0.99\"").count(), 1, "{json}");
        assert!(json.contains(r#""to":["@0","!10.0.0.7"]"#), "{json}");
        let (read, mut again): (PeerTable, [Fault; 3]) = serde_json::from_str(&json).expect("reads");
        read.bind(&mut again).expect("all there");
        assert_eq!((&read, &again), (&table, &faults));
        assert_eq!(serde_json::to_string(&(&read, &again)).expect("prints"), json);
        read.bind_plain(&mut again).expect("somebody is left");
        assert_eq!(again, faults);
        assert_eq!((texts(&again[1]).len(), texts(&again[2]).len()), (99, 40));
        let plain = serde_json::to_string(&again[1]).expect("prints");
        assert!(!plain.contains(['@', '!']), "{plain}");
    }

    #[test]
    fn short_lists_and_those_of_one_fault_are_plain() {
        let (few, many) = (PeerSet::from(names(16)), PeerSet::from(names(17)));
        let mut faults = [block(few.clone()), block(few), block(many)];
        assert!(PeerTable::gather(&mut faults).is_empty());
        assert!(!serde_json::to_string(&faults).expect("prints").contains('@'));
    }

    #[test]
    fn what_refers_to_nothing_is_an_error_and_never_everybody() {
        let table = PeerTable(vec![names(2).into()]);
        let bound = |text: &str| {
            let mut fault: Fault = serde_json::from_str(text).expect(text);
            table.bind_plain([&mut fault]).map(|()| texts(&fault))
        };
        assert_eq!(bound(r#"{"net-block":{"to":["@0"]}}"#), Ok(names(2)));
        assert_eq!(bound(r#"{"net-block":{"to":"@1"}}"#), Err(PeersError::NoList("1".to_owned())));
        assert_eq!(bound(r#"{"net-block":{"to":"@x"}}"#), Err(PeersError::NoList("x".to_owned())));
        assert_eq!(bound(r#"{"net-block":{"to":["@0","a"]}}"#), Err(PeersError::Form("a".to_owned())));
        assert_eq!(bound(r#"{"net-block":{"to":["@0","!@0"]}}"#), Err(PeersError::Nobody));
        assert_eq!(bound(r#"{"net-block":{"to":"a"}}"#), Ok(vec!["a".to_owned()]));
    }

    /// Binds net-blocks with these peers, and tells what came of it.
    fn bind_all(
        table: Vec<Vec<String>>,
        to: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), PeersError> {
        let mut faults: Vec<Fault> = to.into_iter().map(|to| block(to.into())).collect();
        PeerTable(table.into_iter().map(Arc::from).collect()).bind_plain(&mut faults)
    }

    #[test]
    fn lists_that_many_faults_take_texts_out_of_are_bounded_before_they_are_copied() {
        let each_its_own = |count: usize| (0..count).map(|n| vec!["@0".to_owned(), format!("!{n}")]);
        assert_eq!(bind_all(vec![names(2_000)], each_its_own(100)), Ok(()));
        let told = bind_all(vec![names(2_000)], each_its_own(101)).unwrap_err();
        assert_eq!(told, PeersError::TooMany(202_000));
        assert!(told.to_string().contains("an agent takes 200000"), "{told}");
        // A few texts can be long.
        let long = vec![vec!["x".repeat(1 << 20); 2]];
        assert_eq!(bind_all(long.clone(), each_its_own(7)), Ok(()));
        let told = bind_all(long, each_its_own(8)).unwrap_err();
        assert!(matches!(told, PeersError::TooLong(bytes) if bytes > PeerTable::MOST_BYTES), "{told}");
        // What is taken out counts as well: each fault would go through all of it.
        let lists = || vec![names(17), names(2_000)];
        let out = |count: usize| std::iter::repeat_n(vec!["@0".to_owned(), "!@1".to_owned()], count);
        assert_eq!(bind_all(lists(), out(101)), Err(PeersError::TooMany(202_000)));
    }

    #[test]
    fn an_empty_list_is_never_everybody_and_no_list_is_dropped() {
        let table = || vec![vec![], names(20), names(5), names(6)];
        let to = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(bind_all(table(), [to(&["@0"])]), Err(PeersError::Nobody));
        assert_eq!(bind_all(table(), [to(&["@1", "!@0"])]), Err(PeersError::Nobody));
        for mixed in [&["@1", "!@2", "!@3"][..], &["@1", "!@2", "!10.0.0.9"], &["@1", "!10.0.0.9", "!@2"]] {
            assert_eq!(bind_all(table(), [to(mixed)]), Err(PeersError::Mixed), "{mixed:?}");
        }
        assert_eq!(bind_all(table(), [to(&["@1", "!@3"])]), Ok(()));
        let except = NetBlock { except: vec!["@0".to_owned()].into(), ..NetBlock::default() };
        let read = PeerTable(vec![Arc::from([])]).bind([&mut Fault::NetBlock(except)]);
        assert_eq!(read, Err(PeersError::Nobody), "a plan that is read again is no better");
    }

    #[test]
    fn equal_lists_are_held_once() {
        let mut known = HashSet::new();
        let (mut one, mut other) = (PeerSet::from(names(20)), PeerSet::from(names(20)));
        one.share(&mut known);
        other.share(&mut known);
        assert_eq!(one.key(), other.key());
    }
}
