//! The lists of peers that faults of one message share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PeerSet, SHORT, Shared};

/// The rest of a list, by the texts that were taken out of it.
type Less = HashMap<Arc<[String]>, Arc<[String]>>;

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
    /// A fault would have no peers, which means all peers.
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
pub struct PeerTable(pub(super) Vec<Arc<[String]>>);

impl PeerTable {
    /// Maximum number of texts in the peers of one question, over all of its faults: [`PeerSet::weight`].
    pub const MOST: usize = 200_000;
    /// Maximum size in bytes of the lists of one question that are copied because texts are taken out of them.
    pub const MOST_BYTES: usize = 16 << 20;

    /// Finds the lists that several of the faults' peers hold, unless they are short, and has the peers refer to them where
    /// they are written. Reading needs the table.
    pub fn gather<'f>(peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Self {
        let mut sets: Vec<&mut PeerSet> = peers.into_iter().collect();
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

    /// Gives peers of faults that were read the lists that they refer to.
    ///
    /// # Errors
    /// A fault refers to what is not there.
    pub fn bind<'f>(&self, peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Result<(), PeersError> {
        peers.into_iter().try_for_each(|set| set.bind(self))
    }

    /// Does the same for the code that makes the faults: peers are plain lists then, which faults with the same peers still share. The
    /// bounds are looked at before any list is copied.
    ///
    /// # Errors
    /// A fault refers to what is not there, or to nobody; the peers are more than [`PeerTable::MOST`] or take more than
    /// [`PeerTable::MOST_BYTES`].
    pub fn bind_plain<'f>(&self, peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Result<(), PeersError> {
        let mut sets: Vec<&mut PeerSet> = peers.into_iter().collect();
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

    pub(super) fn list(&self, number: &str) -> Result<Shared, PeersError> {
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

/// Returns the memory of a list of texts, in bytes.
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
