//! A hash tree (Merkle tree) over the faults of a plan. An approver signs its root. An agent verifies its own faults by a short proof, and
//! needs no data of other hosts.
//!
//! As in RFC 6962, leaves and nodes are hashed with different prefixes. Unlike there, the two digests of a pair are sorted before they are
//! hashed, so a proof is only the list of the neighbours on the way to the root. If a level has an odd number of nodes, its last node moves
//! up unchanged.

use std::collections::HashMap;

use firedrill_files::text::hex;
use firedrill_wire::{Fault, Span, fault::PeerSet};
use ring::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The prefixes of what is hashed.
const LEAF: u8 = 0;
const NODE: u8 = 1;
const PEERS: u8 = 2;

/// Makes the leaves of a plan's faults. Equal lists of peers are hashed once: digests by the addresses of the lists in memory.
#[derive(Default)]
pub struct Leaves(HashMap<(usize, usize), (PeerSet, Digest)>);

impl Leaves {
    /// Returns the digest of one fault on one host: of the host's name, its place in the plan (`ATTACK-NUMBER`, as in the injection's id), the
    /// fault with its resolved peers, and the time for which it holds.
    pub fn leaf(&mut self, host: &str, place: &str, fault: &Fault, hold: Span) -> Digest {
        let mut bare = fault.clone();
        let mut peers: Vec<Digest> = Vec::new();
        for set in bare.selectors_mut() {
            let lists = (set.all().as_ptr().addr(), set.but().as_ptr().addr());
            // The set is kept, so that no other list gets its address.
            peers.push(self.0.entry(lists).or_insert_with(|| (set.clone(), of_peers(set))).1);
            *set = PeerSet::default();
        }
        // This cannot fail for a fault that was parsed or made. If it could, faults with the same peers would get one digest.
        let text = serde_json::to_vec(&(host, place, &bare, hold)).unwrap_or_default();
        let mut hash = Hash::new(LEAF);
        hash.part(&text);
        peers.iter().for_each(|digest| hash.part(digest));
        hash.end()
    }
}

/// Returns the digest of one fault on one host; see [`Leaves::leaf`].
#[must_use]
pub fn leaf(host: &str, place: &str, fault: &Fault, hold: Span) -> Digest {
    Leaves::default().leaf(host, place, fault, hold)
}

fn of_peers(set: &PeerSet) -> Digest {
    let mut hash = Hash::new(PEERS);
    set.iter().for_each(|name| hash.part(name.as_bytes()));
    hash.end()
}

/// A digest in the making, of parts whose lengths count.
struct Hash(Context);

impl Hash {
    fn new(prefix: u8) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[prefix]);
        Self(context)
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn end(self) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}

fn node(one: &Digest, other: &Digest) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&[NODE]);
    context.update(one.min(other));
    context.update(one.max(other));
    Hash(context).end()
}

/// The tree of a plan's faults.
#[derive(Clone, Debug)]
pub struct Tree {
    /// From the leaves to the root.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Makes a tree of leaves, in the order of the plan.
    #[must_use]
    pub fn of(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level.chunks(2).map(|pair| match pair {
                [one, other] => node(one, other),
                [last, ..] => *last,
                [] => [0; 32],
            });
            let above = above.collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// Returns the root in hexadecimal; of no leaves, an empty text.
    #[must_use]
    pub fn root(&self) -> String {
        self.levels.last().and_then(|level| level.first()).map_or_else(String::new, |root| hex(root))
    }

    /// Returns the proof that a leaf is in the tree: the neighbours on its way to the root, in hexadecimal. Empty for the only leaf, and
    /// for a place that the tree does not have.
    #[must_use]
    pub fn proof(&self, mut place: usize) -> Vec<String> {
        let mut proof = Vec::new();
        if self.levels.first().is_none_or(|leaves| place >= leaves.len()) {
            return proof;
        }
        for level in &self.levels {
            proof.extend(level.get(place ^ 1).map(|digest| hex(digest)));
            place /= 2;
        }
        proof
    }
}

/// Whether a leaf is in the tree with that root.
#[must_use]
pub fn proves(leaf: Digest, proof: &[String], root: &str) -> bool {
    let mut at = leaf;
    for step in proof {
        let Some(neighbour) = digest(step) else { return false };
        at = node(&at, &neighbour);
    }
    hex(&at) == root
}

/// Reads a digest in hexadecimal.
fn digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
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

    fn block(peers: &[&str]) -> Fault {
        let to = PeerSet::from(peers.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        Fault::NetBlock(NetBlock { to, ..NetBlock::default() })
    }

    proptest! {
        #[test]
        fn each_leaf_is_proven_and_no_other(leaves in proptest::collection::vec(any::<[u8; 32]>(), 1..40), other in any::<[u8; 32]>()) {
            let tree = Tree::of(leaves.clone());
            for (place, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(place);
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
    fn a_leaf_is_of_one_host_one_place_one_fault_and_one_hold() {
        let hold = Span::secs(30);
        let one = leaf("app1", "1-1", &block(&["db1", "db2"]), hold);
        assert_eq!(one, leaf("app1", "1-1", &block(&["db1", "db2"]), hold));
        for other in [
            leaf("app2", "1-1", &block(&["db1", "db2"]), hold),
            leaf("app1", "1-2", &block(&["db1", "db2"]), hold),
            leaf("app1", "1-1", &block(&["db1"]), hold),
            leaf("app1", "1-1", &block(&["db1db2"]), hold),
            leaf("app1", "1-1", &block(&["db1", "db2"]), Span::secs(31)),
            leaf("app1", "1-1", &Fault::NetBlock(NetBlock::default()), hold),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_list_that_is_at_the_address_of_an_earlier_one_has_its_own_digest() {
        let mut leaves = Leaves::default();
        for number in 0..100 {
            // Each list is freed before the next one is made.
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
