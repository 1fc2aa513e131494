//! The table of peer lists in a message, which has each list once that several faults share.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PeerSet, SHORT, Shared};

/// The remainders of a list, each by the names that were left out of it.
type Less = HashMap<Arc<[String]>, Arc<[String]>>;

/// The reason why the peers of a message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// The peers refer to a list that the message does not have.
    #[error("peers refer to list `{0}`, which the message does not have")]
    NoList(String),
    /// The peers have a form that this version does not know.
    #[error("peers of the form `{0}` are not known to this version")]
    Form(String),
    /// The peers leave out several lists, or both a list and single names.
    #[error(
        "peers take several lists, or a list and texts, out of another; this version reads one list or texts"
    )]
    Mixed,
    /// All peers are left out. This is an error, because a fault without peers would reach every host.
    #[error("peers of which nobody is left")]
    Nobody,
    /// The peers are more names than [`PeerTable::MOST_NAMES`], so an agent would need too much memory or time.
    #[error("the peers of this question are {0} texts in all; an agent takes {most}; ask about fewer faults at a time, or name networks, such as 10.0.0.0/8, in place of hosts", most = PeerTable::MOST_NAMES)]
    TooMany(usize),
    /// Copies of their lists would take more than [`PeerTable::MOST_BYTES`].
    #[error("the peers of this question take {0} bytes where each fault has its own; an agent takes {most}; ask about fewer faults at a time", most = PeerTable::MOST_BYTES)]
    TooLong(usize),
}

/// The lists of peers that several faults of a message have, each stored once. A fault refers to a list by its position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTable(pub(super) Vec<Arc<[String]>>);

impl PeerTable {
    /// Maximum number of names in the peers of all faults of one question, counted by [`PeerSet::weight`].
    pub const MOST_NAMES: usize = 200_000;
    /// Maximum size, in bytes, of the lists that have to be copied for one question because names are left out of them.
    pub const MOST_BYTES: usize = 16 << 20;

    /// Makes the table of the long lists that several sets of peers share. These sets will refer to the table when they are serialised, so
    /// it has to be in the message.
    pub fn gather<'f>(peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Self {
        let mut sets: Vec<&mut PeerSet> = peers.into_iter().collect();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut shared: BTreeSet<usize> = BTreeSet::new();
        let lists =
            || sets.iter().flat_map(|set| [&set.all, &set.but]).filter(|list| list.names.len() > SHORT);
        for list in lists() {
            if !seen.insert(list.address()) {
                shared.insert(list.address());
            }
        }
        let mut table = Self::default();
        let mut numbers: HashMap<usize, Option<u32>> = HashMap::new();
        for list in lists().filter(|list| shared.contains(&list.address())) {
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

    /// Gives sets of peers that were deserialised the lists that they refer to.
    ///
    /// # Errors
    /// A set refers to a list that is not in the table.
    pub fn bind<'f>(&self, peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Result<(), PeersError> {
        peers.into_iter().try_for_each(|set| set.bind(self))
    }

    /// Does the same as [`PeerTable::bind`], and turns each set into a plain list, for code that makes the faults. Equal sets share one list.
    /// The limits are checked before any list is copied.
    ///
    /// # Errors
    /// A set refers to a list that is not in the table, or has no peer left; the peers are more than [`PeerTable::MOST_NAMES`], or their
    /// copies take more than [`PeerTable::MOST_BYTES`].
    pub fn bind_plain<'f>(&self, peers: impl IntoIterator<Item = &'f mut PeerSet>) -> Result<(), PeersError> {
        let mut sets: Vec<&mut PeerSet> = peers.into_iter().collect();
        let mut texts = 0_usize;
        for set in &mut sets {
            set.bind(self)?;
            texts = texts.saturating_add(set.weight());
        }
        if texts > Self::MOST_NAMES {
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

    /// Whether the table has no list.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a list by its position, which a message writes as a decimal number.
    pub(super) fn list(&self, number: &str) -> Result<Shared, PeersError> {
        let at = number.parse::<u32>().ok();
        let found = at.and_then(|at| self.0.get(usize::try_from(at).ok()?));
        let names = found.ok_or_else(|| PeersError::NoList(number.to_owned()))?;
        // An empty list would mean every host as the peers of a fault, and would leave out no name. Neither was intended.
        if names.is_empty() {
            return Err(PeersError::Nobody);
        }
        Ok(Shared { names: Arc::clone(names), number: at })
    }
}

/// Returns the approximate memory of a list of names, in bytes.
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
