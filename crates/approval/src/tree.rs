//! A hash tree (Merkle tree) over the faults of a plan. An approver signs its root. An agent verifies its own faults by a short proof, and
//! needs no data of other hosts.
//!
//! As in RFC 6962, leaves and nodes are hashed with different prefixes. Unlike in RFC 6962, the two digests of a pair are sorted before
//! they are hashed, so a proof is only the list of the neighbours on the way to the root. If a level has an odd number of nodes, its
//! last node moves up unchanged. A proof does not show the position of a leaf; instead, the leaf's digest covers the fault's place in the plan.

use std::collections::HashMap;

use firedrill_files::text::hex;
use firedrill_wire::{Fault, Span, fault::PeerSet};
use ring::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The first byte that is hashed for a leaf. This byte keeps leaves, nodes and lists of peers apart.
const LEAF: u8 = 0;
/// The first byte that is hashed for a node.
const NODE: u8 = 1;
/// The first byte that is hashed for a list of peers.
const PEERS: u8 = 2;

/// Makes the leaves of a plan's faults. A list of peers that several faults share is hashed once: the map finds its digest by the
/// addresses of the list's parts in memory.
#[derive(Default)]
pub struct Leaves(HashMap<(usize, usize), (PeerSet, Digest)>);

impl Leaves {
    /// Returns the digest of one fault on one host. It covers the host's name, the fault's place in the plan (`ATTACK-NUMBER`, as in the
    /// injection's id), the fault with its resolved peers, and the time for which it holds.
    pub fn leaf(&mut self, host: &str, place: &str, fault: &Fault, hold: Span) -> Digest {
        let mut bare = fault.clone();
        let mut peers: Vec<Digest> = Vec::new();
        for set in bare.selectors_mut() {
            let addresses = (set.all().as_ptr().addr(), set.but().as_ptr().addr());
            // The map keeps a clone of the set, which shares the lists. So no other list can get their addresses.
            peers.push(self.0.entry(addresses).or_insert_with(|| (set.clone(), peers_digest(set))).1);
            *set = PeerSet::default();
        }
        // A valid fault can always be serialised. If one could not, its digest would cover only its peers.
        let text = serde_json::to_vec(&(host, place, &bare, hold)).unwrap_or_default();
        let mut hash = Hash::new(LEAF);
        hash.part(&text);
        peers.iter().for_each(|digest| hash.part(digest));
        hash.finish()
    }
}

/// Returns the digest of one fault on one host; see [`Leaves::leaf`].
#[must_use]
pub fn leaf(host: &str, place: &str, fault: &Fault, hold: Span) -> Digest {
    Leaves::default().leaf(host, place, fault, hold)
}

/// Returns the digest of a list of peers.
fn peers_digest(set: &PeerSet) -> Digest {
    let mut hash = Hash::new(PEERS);
    set.iter().for_each(|name| hash.part(name.as_bytes()));
    hash.finish()
}

/// A hash in progress. The length of each part is hashed before it, so that no other division gives the same digest.
struct Hash(Context);

impl Hash {
    /// Begins a hash with the byte [`LEAF`], [`NODE`] or [`PEERS`].
    fn new(prefix: u8) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[prefix]);
        Self(context)
    }

    /// Hashes the length of a part, and the part.
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// Returns the digest.
    fn finish(self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}

/// Returns the digest of a node with two children. Their order makes no difference.
fn node(left: &Digest, right: &Digest) -> Digest {
    let mut hash = Hash::new(NODE);
    // Lengths are not hashed, as digests have a fixed size.
    hash.0.update(left.min(right));
    hash.0.update(left.max(right));
    hash.finish()
}

/// The tree of a plan's faults.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The digests of each level, from the leaves to the root.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Makes a tree of leaves, in the order of the plan.
    #[must_use]
    pub fn of(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let pairs = level.chunks(2);
            let above = pairs
                .filter_map(|pair| pair.iter().copied().reduce(|left, right| node(&left, &right)))
                .collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// Returns the root in hexadecimal; an empty text if there are no leaves.
    #[must_use]
    pub fn root(&self) -> String {
        self.levels.last().and_then(|level| level.first()).map_or_else(String::new, |root| hex(root))
    }

    /// Returns the proof that the leaf at an index is in the tree: the neighbours on its way to the root, in hexadecimal. The proof is empty
    /// for the only leaf, and for an index out of range.
    #[must_use]
    pub fn proof(&self, mut index: usize) -> Vec<String> {
        let mut proof = Vec::new();
        if index >= self.levels.first().map_or(0, Vec::len) {
            return proof;
        }
        for level in &self.levels {
            // The neighbour's index differs in the lowest bit. The last node of an odd level, and the root, have none.
            proof.extend(level.get(index ^ 1).map(|digest| hex(digest)));
            index /= 2;
        }
        proof
    }
}

/// Returns true if a leaf is in the tree with that root. A proof exists for inner nodes, too. So the caller has to compute the leaf with
/// [`leaf`], and must not accept a digest from others.
#[must_use]
pub fn proves(leaf: Digest, proof: &[String], root: &str) -> bool {
    let mut current = leaf;
    for step in proof {
        let Some(neighbour) = parse_digest(step) else { return false };
        current = node(&current, &neighbour);
    }
    hex(&current) == root
}

/// Reads a digest in hexadecimal; `None` if the text is no digest.
fn parse_digest(text: &str) -> Option<Digest> {
    let mut digest: Digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use firedrill_wire::fault::NetBlock;
    use proptest::prelude::*;

    use super::*;

    /// Returns a fault on these peers.
    fn block(peers: &[&str]) -> Fault {
        let to = PeerSet::from(peers.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        Fault::NetBlock(NetBlock { to, ..NetBlock::default() })
    }

    proptest! {
        #[test]
        fn each_leaf_is_proven_and_no_other(leaves in proptest::collection::vec(any::<[u8; 32]>(), 1..40), other in any::<[u8; 32]>()) {
            let tree = Tree::of(leaves.clone());
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index);
                prop_assert!(proves(*leaf, &proof, &tree.root()));
                prop_assert!(leaves.contains(&other) || !proves(other, &proof, &tree.root()));
                let mut longer = proof.clone();
                longer.push(hex(leaf));
                prop_assert!(!proves(*leaf, &longer, &tree.root()));
            }
            prop_assert!(tree.proof(leaves.len()).is_empty());
        }
    }

    #[test]
    fn a_leaf_depends_on_host_place_fault_and_hold() {
        let hold = Span::secs(30);
        let original = leaf("app1", "1-1", &block(&["db1", "db2"]), hold);
        assert_eq!(original, leaf("app1", "1-1", &block(&["db1", "db2"]), hold));
        for other in [
            leaf("app2", "1-1", &block(&["db1", "db2"]), hold),
            leaf("app1", "1-2", &block(&["db1", "db2"]), hold),
            leaf("app1", "1-1", &block(&["db1"]), hold),
            leaf("app1", "1-1", &block(&["db1db2"]), hold),
            leaf("app1", "1-1", &block(&["db1", "db2"]), Span::secs(31)),
            leaf("app1", "1-1", &Fault::NetBlock(NetBlock::default()), hold),
        ] {
            assert_ne!(original, other);
        }
    }

    #[test]
    fn lists_of_dropped_faults_share_no_digest() {
        let mut leaves = Leaves::default();
        for number in 0..100 {
            // The fault is dropped at the end of each round. Without the clone in the map, the next list could get its address.
            let fault = block(&[&format!("db{number}")]);
            let hold = Span::secs(30);
            assert_eq!(leaves.leaf("app1", "1-1", &fault, hold), leaf("app1", "1-1", &fault, hold));
        }
    }

    #[test]
    fn a_node_cannot_be_passed_off_as_a_leaf() {
        let leaves = [[1; 32], [2; 32], [3; 32], [4; 32]];
        let tree = Tree::of(leaves.to_vec());
        // An inner node is proven by its neighbour, so a leaf must never be hashed as a node is.
        assert_ne!(leaf("app1", "1-1", &block(&["db1"]), Span::secs(1)), node(&leaves[0], &leaves[1]));
        assert_eq!(tree.proof(0).len(), 2);
        assert!(!proves([1; 32], &["zz".to_owned()], &tree.root()) && !proves([1; 32], &[], ""));
        assert_eq!(Tree::of(Vec::new()).root(), "");
    }
}
