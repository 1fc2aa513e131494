//! The rules that redirect chosen packets to an ifb, an interface whose qdisc shapes them. Some rules write a mark into the
//! priority of each chosen packet (`skb->priority`), others redirect the marked packets.
//!
//! Packets that this host sends or forwards are marked by the table of family `inet`, and redirected by a chain at the
//! egress of every interface. Packets that arrive are marked and redirected at the ingress of the interfaces that
//! receive them first. A priority from 0 to 15 is restored before the packet gets to the ifb, so the interfaces' own
//! qdiscs see it.

use firedrill_netlink::NetlinkError;

use crate::host::{
    ifb::{FAULTS, MARK, Way, is_our_ifb},
    link::{self, Link},
    nft::{
        expr::{Compare, Exprs, Meta},
        table::{Gate, gated},
    },
};

/// The byte of a packet's priority that is equal to [`MARK`] if a fault has marked the packet.
const MARK_BYTE: u32 = 0xff00_0000;
/// The priority of chains that redirect. They come after the chains in which faults mark their packets.
pub(super) const LATE: i32 = 300;
/// Maximum number of interfaces to which a chain is attached.
pub(super) const INTERFACES: usize = 256;

/// The ifbs of a fault, and the interfaces at which packets are redirected to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detour {
    /// The fault's ifbs: first the one for packets that only this fault chooses, then one for each set of faults that choose
    /// the same packets.
    pub ways: Vec<Way>,
    /// Interfaces that may send chosen packets.
    pub sending: Vec<String>,
    /// Interfaces with Ethernet headers that may receive chosen packets.
    pub ethernet: Vec<String>,
    /// Interfaces without Ethernet headers that may receive chosen packets.
    pub bare: Vec<String>,
}

impl Detour {
    /// Returns the detour by these ifbs. It covers packets that leave by any interface that exists now, and packets
    /// that arrive at the given interfaces, or at any interface if none are given.
    ///
    /// # Errors
    /// The kernel did not list the interfaces.
    pub fn by(ways: Vec<Way>, interfaces: &[String]) -> Result<Self, NetlinkError> {
        let mut links = link::all()?;
        links.retain(|link| !link.is_loopback() && !is_our_ifb(link));
        // Interfaces that are parts of a bridge or a bond come last, because they are left out first if there are too many.
        links.sort_by_key(Link::is_enslaved);
        let may_receive =
            |link: &Link| (interfaces.is_empty() || interfaces.contains(&link.name)) && !link.is_enslaved();
        let names = |wanted: &dyn Fn(&Link) -> bool| {
            let names = links.iter().filter(|link| wanted(link)).map(|link| link.name.clone());
            names.take(INTERFACES).collect()
        };
        Ok(Self {
            ways,
            sending: names(&|_| true),
            ethernet: names(&|link| may_receive(link) && link.is_ethernet()),
            bare: names(&|link| may_receive(link) && !link.is_ethernet()),
        })
    }

    /// Returns the rules that mark packets as this fault's. They keep the marks of other faults.
    pub(super) fn marking(&self) -> Vec<Exprs> {
        let own_bit = self.ways.first().map_or(0, |way| way.mark & !MARK);
        let priority = || Exprs::new().meta(Meta::Priority);
        // For a packet that another fault has marked: sets this fault's bit, and keeps all others.
        let marked = priority().mask(&MARK_BYTE.to_ne_bytes()).compare(Compare::Is, &MARK.to_ne_bytes());
        let add = marked.meta(Meta::Priority).mask_flip(&(!own_bit).to_ne_bytes(), &own_bit.to_ne_bytes());
        // For a packet without a mark: sets the mark and this fault's bit, and keeps the last four bits.
        let begin = priority().mask_flip(&(!FAULTS).to_ne_bytes(), &(MARK | own_bit).to_ne_bytes());
        [add, begin].map(|rule| rule.set_priority().counter().accept()).to_vec()
    }

    /// Returns the rules that remove the mark and redirect marked packets, each to the ifb for exactly the set of faults that
    /// have marked it.
    pub(super) fn redirecting(&self, gates: &[Gate]) -> Vec<Exprs> {
        let rule = |way: &Way| {
            gated(gates)
                .meta(Meta::Priority)
                .mask(&FAULTS.to_ne_bytes())
                .compare(Compare::Is, &way.mark.to_ne_bytes())
                .meta(Meta::Priority)
                .mask(&(!FAULTS).to_ne_bytes())
                .set_priority()
                .forward_to(way.index)
        };
        self.ways.iter().map(rule).collect()
    }
}
