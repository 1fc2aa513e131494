//! The rules that redirect chosen packets to an ifb. One part marks packets in their priority, another part redirects
//! the marked ones.
//!
//! Packets that this host sends or forwards are marked by the table of family `inet` and redirected by a chain at the
//! egress of every interface. Packets that arrive are marked and redirected at the ingress of the interfaces that
//! receive them first. A priority from 0 to 15 is restored before the packet gets to the ifb, so the interfaces' own
//! qdiscs see the packet as it was.

use firedrill_netlink::NetlinkError;

use crate::host::{
    ifb::{FAULTS, MARK, Way, is_our_ifb},
    link::{self, Link},
    nft::{
        expr::{Compare, Exprs, Meta},
        table::{Gate, gated},
    },
};

const OUTER_BYTE: u32 = 0xff00_0000;
/// The priority of chains that redirect: after every fault has marked its packets.
pub(super) const LATE: i32 = 300;
/// Maximum number of interfaces of a chain.
pub(super) const INTERFACES: usize = 256;

/// The ifbs of a fault, and the interfaces at which packets are redirected to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detour {
    /// The fault's ifbs, its own first.
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
    /// that arrive at the given interfaces; none given means all.
    ///
    /// # Errors
    /// The kernel did not list the interfaces.
    pub fn by(ways: Vec<Way>, interfaces: &[String]) -> Result<Self, NetlinkError> {
        let mut all = link::all()?;
        all.retain(|one| !one.is_loopback() && !is_our_ifb(one));
        // Interfaces that are parts of others (of a bridge or a bond) come last, in case there are too many.
        all.sort_by_key(Link::is_enslaved);
        let meant = |one: &Link| interfaces.is_empty() || interfaces.contains(&one.name);
        let names = |wanted: &dyn Fn(&Link) -> bool| {
            let names = all.iter().filter(|one| wanted(one)).map(|one| one.name.clone());
            names.take(INTERFACES).collect()
        };
        Ok(Self {
            ways,
            sending: names(&|_| true),
            ethernet: names(&|one| meant(one) && !one.is_enslaved() && one.is_ethernet()),
            bare: names(&|one| meant(one) && !one.is_enslaved() && !one.is_ethernet()),
        })
    }

    /// Returns the rules that mark packets as this fault's. They keep the marks of other faults.
    pub(super) fn marking(&self) -> Vec<Exprs> {
        let own = self.ways.first().map_or(0, |way| way.mark & !MARK);
        let priority = || Exprs::new().meta(Meta::Priority);
        let marked = priority().mask(&OUTER_BYTE.to_ne_bytes()).compare(Compare::Is, &MARK.to_ne_bytes());
        let add = marked.meta(Meta::Priority).mask_flip(&(!own).to_ne_bytes(), &own.to_ne_bytes());
        let begin = priority().mask_flip(&(!FAULTS).to_ne_bytes(), &(MARK | own).to_ne_bytes());
        [add, begin].map(|rule| rule.set_priority().counter().accept()).to_vec()
    }

    /// Returns the rules that redirect marked packets, each to the ifb for exactly the set of its faults.
    pub(super) fn sending_on(&self, gates: &[Gate]) -> Vec<Exprs> {
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
