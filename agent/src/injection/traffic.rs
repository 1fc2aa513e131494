//! The facts that an injection on traffic rests on: the peers and the owner of the packets, and the chosen engines.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::cgroup::Service;
use crate::host::{Host, iptables::Table, nft::expr::Family};

/// The facts about an injection on packets. Their JSON is the text of the injection's basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// The peers and the owner of the packets.
    #[serde(flatten)]
    pub peers: Peers,
    /// The firewall with the rules. The undo names it too, so the text does not.
    #[serde(skip)]
    pub rules: RuleEngine,
    /// The engine that lets packets through and changes how they arrive; `None` if the rules drop or reject them.
    #[serde(rename = "engine", skip_serializing_if = "Option::is_none")]
    pub shaped_by: Option<ShapeEngine>,
}

/// The firewall that was chosen for an injection's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleEngine {
    /// A table of nf_tables.
    Nftables,
    /// Chains by iptables.
    Iptables(IptablesChains),
    /// Rules that exist only in memory, for tests.
    #[cfg(test)]
    Null,
}

/// The decisions about chains that were made when an injection was prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesChains {
    /// The iptables table that has the chains.
    pub table: Table,
    /// The beginning of the names of the programs for IPv4: `iptables` or `iptables-legacy`, for example.
    pub program: String,
    /// The address families that have the chains.
    pub families: Vec<Family>,
}

/// The engine that was chosen to shape packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShapeEngine {
    /// The kernel's qdiscs, on ifbs.
    Kernel,
    /// A queue of this process.
    UserSpace {
        /// The queue's number.
        queue: u16,
    },
}

/// The peers of an injection on traffic, each with its networks, and the owner of the packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peers {
    /// The networks of each peer, by the text (an address, a CIDR or a name) that the scenario has for it.
    pub networks: BTreeMap<String, Vec<IpNet>>,
    /// The networks that are spared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<IpNet>,
    /// The number of the user whose packets the fault is about; `None` for packets of all users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The service whose packets the fault is about; `None` for packets of all services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl Peers {
    /// Returns the number of the owner (user, service or both) whose packets the fault is about; `None` if it is about the
    /// packets of all owners, or if no number is left.
    pub fn whose(&self, host: &Host) -> Option<u16> {
        host.packet_owners.of(self.user, self.service.as_ref().map(|service| service.path.as_str()))
    }

    /// Returns the peers that are names, whose addresses may change.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let is_address = |text: &str| text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
        self.networks.keys().map(String::as_str).filter(move |text| !is_address(text))
    }

    /// Returns all networks.
    pub fn all(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.networks.values().flatten().copied()
    }

    /// Describes the peers for people: `10.9.0.2, db.example (10.0.0.1, fd00::1)`. A long list ends with the number of the
    /// others.
    #[must_use]
    pub fn describe(&self) -> String {
        const SHOWN: usize = 8;
        let mut shown: Vec<String> = self
            .networks
            .iter()
            .take(SHOWN)
            .map(|(text, networks)| match &networks[..] {
                [only] if only.to_string() == *text || only.addr().to_string() == *text => text.clone(),
                networks => {
                    let networks: Vec<_> = networks.iter().map(short).collect();
                    format!("{text} ({})", networks.join(", "))
                }
            })
            .collect();
        if self.networks.len() > SHOWN {
            shown.push(format!("and {} more", self.networks.len() - SHOWN));
        }
        shown.join(", ")
    }
}

/// Returns a network as text, without the length of its prefix if it is a single address.
fn short(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}
