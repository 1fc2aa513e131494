//! The facts that an injection on traffic rests on: whose packets, and the engines that were chosen for it.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::cgroup::Service;
use crate::host::{Host, iptables::Table, nft::expr::Family};

/// An injection on packets that rules choose. As JSON it is the text of the injection's basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packets {
    /// The peers and the owner of the packets.
    #[serde(flatten)]
    pub peers: Peers,
    /// The firewall with the rules. The undo names it too, so the text does not.
    #[serde(skip)]
    pub rules: RuleEngine,
    /// The engine that lets packets through and changes how they arrive; `None` where the rules do all.
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
    /// The memory of a test.
    #[cfg(test)]
    Null,
}

/// The decisions about chains that were made when an injection was prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesChains {
    /// The table that they are in.
    pub table: Table,
    /// The programs, by the prefix of the IPv4 one's name.
    pub program: String,
    /// The address families that have them.
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
    /// The networks of each text that the scenario names, in order.
    pub networks: BTreeMap<String, Vec<IpNet>>,
    /// The networks that are spared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<IpNet>,
    /// The number of the user whose packets the fault is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The service whose packets the fault is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl Peers {
    /// Returns the number of the owner (user, service or both) whose packets the fault is about; `None` if it is about
    /// everybody's, or if no number is left.
    pub fn whose(&self, host: &Host) -> Option<u16> {
        host.packet_owners.of(self.user, self.service.as_ref().map(|service| service.path.as_str()))
    }

    /// Returns the peers that are names, whose addresses may change.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let plain = |text: &str| text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
        self.networks.keys().map(String::as_str).filter(move |text| !plain(text))
    }

    /// Returns all networks.
    pub fn all(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.networks.values().flatten().copied()
    }

    /// Describes the peers for people: `10.9.0.2, db.example (10.0.0.1, fd00::1)`. Long lists are cut.
    #[must_use]
    pub fn describe(&self) -> String {
        const SHOWN: usize = 8;
        let mut shown: Vec<String> = self
            .networks
            .iter()
            .take(SHOWN)
            .map(|(text, networks)| match &networks[..] {
                [one] if one.to_string() == *text || one.addr().to_string() == *text => text.clone(),
                many => {
                    let many: Vec<_> = many.iter().map(short).collect();
                    format!("{text} ({})", many.join(", "))
                }
            })
            .collect();
        if self.networks.len() > SHOWN {
            shown.push(format!("and {} more", self.networks.len() - SHOWN));
        }
        shown.join(", ")
    }
}

fn short(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}
