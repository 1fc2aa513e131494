//! Encodes the expressions of nftables rules. The kernel evaluates them in their order.
//!
//! An expression that loads a value puts it into the same register, which the next expressions use. This module never talks to the kernel.

use firedrill_netlink::Attrs;

/// The only register in use. It has 16 bytes.
const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const LIST_ELEM: u16 = 1;

/// A value that `meta` can load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Meta {
    /// The link layer's protocol (`ETH_P_…`), 2 bytes in network order.
    Protocol = 1,
    /// The packet's priority, 4 bytes in the machine's order.
    Priority = 2,
    /// The input interface's name, 16 bytes filled with zeroes.
    InputName = 6,
    /// The output interface's name, 16 bytes filled with zeroes.
    OutputName = 7,
    /// The input interface's hardware type, 2 bytes in the machine's order.
    InputType = 8,
    /// The output interface's hardware type, 2 bytes in the machine's order.
    OutputType = 9,
    /// The id of the user whose socket sends the packet, 4 bytes in the machine's order. Only packets that this host sends have it.
    User = 10,
    /// The packet's family ([`Family`]), 1 byte.
    Family = 15,
    /// The transport protocol's number, 1 byte.
    Transport = 16,
}

/// The base of a `payload` offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Base {
    /// The link layer's header; includes a VLAN tag that the hardware removed.
    Link = 0,
    /// The network header.
    Network = 1,
    /// The transport header; later fragments have none, so a rule that uses it does not match them.
    Transport = 2,
}

/// A comparison of a register with a value. `AtMost` and `AtLeast` need network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Compare {
    /// Equal.
    Is = 0,
    /// Different.
    IsNot = 1,
    /// At most.
    AtMost = 3,
    /// At least.
    AtLeast = 5,
}

/// A packet's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4 = 2,
    /// IPv6.
    V6 = 10,
}

impl Family {
    /// Both, in a fixed order.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the family's value in a register.
    #[must_use]
    pub const fn key(self) -> u8 {
        self as u8
    }
}

/// The expressions of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exprs {
    list: Attrs,
}

impl Exprs {
    /// Makes an empty list, which matches every packet and does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes the list as an attribute of a rule.
    #[must_use]
    pub fn encoded(&self) -> &Attrs {
        &self.list
    }

    /// Appends an expression.
    fn push(mut self, name: &str, data: &Attrs) -> Self {
        let expression = Attrs::new().text(1, name).nest(2, data);
        self.list = self.list.nest(LIST_ELEM, &expression);
        self
    }

    /// Loads a meta value of the packet.
    #[must_use]
    pub fn meta(self, key: Meta) -> Self {
        self.push("meta", &Attrs::new().be32(2, key as u32).be32(1, REGISTER))
    }

    /// Sets the packet's priority to the loaded value.
    #[must_use]
    pub fn set_priority(self) -> Self {
        self.push("meta", &Attrs::new().be32(2, Meta::Priority as u32).be32(3, REGISTER))
    }

    /// Redirects the packet to the interface with this index. Only for the family `netdev`. If the interface is an ifb, the packet returns to
    /// the same place after the ifb's qdisc.
    #[must_use]
    pub fn forward_to(self, index: u32) -> Self {
        let value = Attrs::new().bytes(DATA_VALUE, &index.to_ne_bytes());
        self.push("immediate", &Attrs::new().be32(1, REGISTER).nest(2, &value))
            .push("fwd", &Attrs::new().be32(1, REGISTER))
    }

    /// Loads bytes of the packet.
    #[must_use]
    pub fn payload(self, base: Base, offset: u32, length: u32) -> Self {
        let data = Attrs::new().be32(1, REGISTER).be32(2, base as u32).be32(3, offset).be32(4, length);
        self.push("payload", &data)
    }

    /// Continues only if the comparison of the loaded value with `value` is true.
    #[must_use]
    pub fn compare(self, how: Compare, value: &[u8]) -> Self {
        let value = Attrs::new().bytes(DATA_VALUE, value);
        self.push("cmp", &Attrs::new().be32(1, REGISTER).be32(2, how as u32).nest(3, &value))
    }

    /// Continues only if the loaded value lies in a range, both ends included.
    #[must_use]
    pub fn between(self, first: &[u8], last: &[u8]) -> Self {
        self.compare(Compare::AtLeast, first).compare(Compare::AtMost, last)
    }

    /// Loads a number below `parts`, 4 bytes in the machine's order. It is the same for all packets of a flow in both directions, until the next
    /// boot.
    #[must_use]
    pub fn flow_hash(self, parts: u32) -> Self {
        const SYMMETRIC: u32 = 1;
        self.push("hash", &Attrs::new().be32(2, REGISTER).be32(4, parts).be32(7, SYMMETRIC))
    }

    /// Continues only with packets in the reply direction of a connection. Enables connection tracking in the network namespace.
    #[must_use]
    pub fn is_reply(self) -> Self {
        const DIRECTION: u32 = 1;
        self.push("ct", &Attrs::new().be32(2, DIRECTION).be32(1, REGISTER)).compare(Compare::Is, &[1])
    }

    /// Loads the id of the cgroup in which the packet's socket was made, or of that cgroup's ancestor at this level (1 is directly below the
    /// root): 8 bytes in the machine's order. Continues only with packets of a socket of this host. Only for the hooks input and output.
    #[must_use]
    pub fn cgroup(self, level: u32) -> Self {
        const CGROUP_V2: u32 = 3;
        self.push("socket", &Attrs::new().be32(1, CGROUP_V2).be32(2, REGISTER).be32(3, level))
    }

    /// Converts a loaded value of 4 bytes from the machine's order to network order, which ranges need.
    #[must_use]
    pub fn network_order(self) -> Self {
        let data = Attrs::new().be32(1, REGISTER).be32(2, REGISTER).be32(3, 1).be32(4, 4).be32(5, 4);
        self.push("byteorder", &data)
    }

    /// Keeps only some bits of the loaded value.
    #[must_use]
    pub fn mask(self, bits: &[u8]) -> Self {
        self.mask_flip(bits, &vec![0; bits.len()])
    }

    /// Keeps only the bits `keep` of the loaded value, then inverts the bits `flip`.
    #[must_use]
    pub fn mask_flip(self, keep: &[u8], flip: &[u8]) -> Self {
        let length = u32::try_from(keep.len()).unwrap_or(u32::MAX);
        let mask = Attrs::new().bytes(DATA_VALUE, keep);
        let xor = Attrs::new().bytes(DATA_VALUE, flip);
        let data =
            Attrs::new().be32(1, REGISTER).be32(2, REGISTER).be32(3, length).nest(4, &mask).nest(5, &xor);
        self.push("bitwise", &data)
    }

    /// Continues only if the loaded value is in a set of the same table.
    #[must_use]
    pub fn in_set(self, set: &str) -> Self {
        self.push("lookup", &Attrs::new().text(1, set).be32(2, REGISTER))
    }

    /// Counts the packets and bytes that reach the expression.
    #[must_use]
    pub fn counter(self) -> Self {
        self.push("counter", &Attrs::new())
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        let mut verdict = Attrs::new().bytes(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            verdict = verdict.text(2, chain);
        }
        let data = Attrs::new().nest(DATA_VERDICT, &verdict);
        self.push("immediate", &Attrs::new().be32(1, VERDICT_REGISTER).nest(2, &data))
    }

    /// Drops the packet. This is final: no other table sees the packet.
    #[must_use]
    pub fn drop(self) -> Self {
        self.verdict(0, None)
    }

    /// Ends this base chain for the packet. Other tables still decide about it.
    #[must_use]
    pub fn accept(self) -> Self {
        self.verdict(1, None)
    }

    /// Continues in another chain of the table, and does not return.
    #[must_use]
    pub fn goto(self, chain: &str) -> Self {
        self.verdict(-4, Some(chain))
    }

    /// Drops the packet and answers with a TCP reset. Only after expressions that match TCP.
    #[must_use]
    pub fn reject_tcp(self) -> Self {
        self.push("reject", &Attrs::new().be32(1, 1).bytes(2, &[0]))
    }

    /// Drops the packet and answers "port unreachable" in the packet's family.
    #[must_use]
    pub fn reject(self) -> Self {
        self.push("reject", &Attrs::new().be32(1, 2).bytes(2, &[1]))
    }

    /// Queues the packet for the program that serves the queue with this number. If no program serves it, the packet passes.
    ///
    /// Encoded as the target `NFQUEUE` of iptables, which kernels without the expression `queue` have, too.
    #[must_use]
    pub fn queue(self, number: u16) -> Self {
        const REVISION: u32 = 3;
        const QUEUES: u16 = 1;
        const BYPASS: u16 = 1;
        let mut info = [number, QUEUES, BYPASS].map(u16::to_ne_bytes).concat();
        info.resize(8, 0);
        self.push("target", &Attrs::new().text(1, "NFQUEUE").be32(2, REVISION).bytes(3, &info))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_of_a_socket_is_encoded_in_the_kernels_format() {
        let rule = Exprs::new().cgroup(2);
        // An element has the expression's name, then the key (a cgroup of version 2), the register and the level, big-endian.
        let number = |kind: u8, value: u8| [8, 0, kind, 0, 0, 0, 0, value];
        let data = [number(1, 3), number(2, 1), number(3, 2)].concat();
        let name = [&[11, 0, 1, 0][..], b"socket\0\0"].concat();
        let expression = [&name, &[28, 0, 2, 0x80][..], &data].concat();
        let wanted = [&[44, 0, 1, 0x80][..], &expression].concat();
        assert_eq!(rule.encoded().after(&[]), Some(wanted));
    }
}
