//! A list of addresses and networks that is asked about many addresses.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

/// Addresses and CIDRs. Whether one holds an address takes no longer for a long list than for a short one.
#[derive(Debug, Default)]
pub(super) struct Networks {
    empty: bool,
    addresses: HashSet<IpAddr>,
    networks: HashSet<IpNet>,
    /// The prefix lengths that there are.
    lengths: BTreeSet<u8>,
}

impl Networks {
    /// Of texts; names, which only an agent can look up, hold no address.
    pub(super) fn of(texts: &[String]) -> Self {
        let mut all = Self { empty: texts.is_empty(), ..Self::default() };
        for text in texts {
            if let Ok(address) = text.parse() {
                all.addresses.insert(address);
            } else if let Ok(network) = text.parse::<IpNet>() {
                all.lengths.insert(network.prefix_len());
                all.networks.insert(network.trunc());
            }
        }
        all
    }

    /// Whether nothing was said at all.
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
    fn addresses_and_networks_hold_what_is_in_them() {
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
