//! A list of addresses and networks that is asked about many addresses. Never looks up names.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

/// Addresses and CIDRs. The question whether they hold an address takes no longer for a long list than for a short one.
#[derive(Debug, Default)]
pub(super) struct Networks {
    empty: bool,
    addresses: HashSet<IpAddr>,
    networks: HashSet<IpNet>,
    /// The prefix lengths of `networks`.
    lengths: BTreeSet<u8>,
}

impl Networks {
    /// Parses texts. Names hold no address, because only an agent can look them up.
    pub(super) fn of(texts: &[String]) -> Self {
        let mut parsed = Self { empty: texts.is_empty(), ..Self::default() };
        for text in texts {
            if let Ok(address) = text.parse() {
                parsed.addresses.insert(address);
            } else if let Ok(network) = text.parse::<IpNet>() {
                parsed.lengths.insert(network.prefix_len());
                parsed.networks.insert(network.trunc());
            }
        }
        parsed
    }

    /// Whether the list had no texts at all; one with only names is not empty.
    pub(super) const fn is_empty(&self) -> bool {
        self.empty
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let within = |length: &u8| {
            IpNet::new(address, *length).is_ok_and(|network| self.networks.contains(&network.trunc()))
        };
        self.addresses.contains(&address) || self.lengths.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_exactly_the_addresses_in_it() {
        let texts = ["10.0.0.1", "10.1.0.0/16", "fd00::/8", "db.example"].map(str::to_owned);
        let all = Networks::of(&texts);
        for (address, held) in [
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("10.1.7.7", true),
            ("10.2.0.0", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(all.holds(address.parse().expect("an address")), held, "{address}");
        }
        assert!(!all.is_empty() && Networks::of(&[]).is_empty());
    }
}
