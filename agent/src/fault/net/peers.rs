//! Peers as networks. Addresses and CIDRs are taken as they are. Names are looked up once, at `prepare`, on the host
//! where the fault will be.
//!
//! The result is the injection's basis and is read back from there. [`crate::host::followers`] follows names while a
//! fault is in force.

use std::{
    collections::BTreeMap,
    net::{IpAddr, ToSocketAddrs},
};

use firedrill_wire::{
    RefusalCode,
    api::Problem,
    fault::{PeerSet, Traffic},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::service::{self, Service};
use crate::{
    host::{Host, link},
    injection::refuse,
};

/// The networks of each peer. As JSON it is the injection's basis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// The networks of each text that the scenario names, in order.
    pub networks: BTreeMap<String, Vec<IpNet>>,
    /// The networks that are spared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<IpNet>,
    /// The number of the user whose packets the fault is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The service whose packets the fault is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl Peers {
    /// Resolves all clauses of a fault on this host: peers, exceptions, user and service.
    ///
    /// # Errors
    /// A refusal: a name that gives no address, a user, a service or an interface that is not there.
    pub fn of(host: &Host, traffic: &Traffic<'_>) -> Result<Self, Problem> {
        interfaces(traffic.interfaces)?;
        let except = Self::find(traffic.except)?.all().collect();
        let user = traffic.user.map(number).transpose()?;
        let service = traffic.service.map(|name| service::find(host, name)).transpose()?;
        Ok(Self { except, user, service, ..Self::find(traffic.to)? })
    }

    /// Resolves each text to its networks.
    ///
    /// # Errors
    /// A refusal: a name that gives no address.
    pub fn find(texts: &PeerSet) -> Result<Self, Problem> {
        let networks = texts
            .iter()
            .map(|text| Ok((text.clone(), networks(text)?)))
            .collect::<Result<BTreeMap<_, _>, Problem>>()?;
        Ok(Self { networks, ..Self::default() })
    }

    /// Returns the number of the owner (user, service or both) whose packets the fault is about; `None` if it is about
    /// everybody's, or if no number is left.
    pub fn whose(&self, host: &Host) -> Option<u16> {
        host.packet_owners.of(self.user, self.service.as_ref().map(|service| service.path.as_str()))
    }

    /// Writes the peers as an injection's basis.
    #[must_use]
    pub fn basis(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the peers from an injection's basis.
    ///
    /// # Errors
    /// The text was not written by [`Peers::basis`].
    pub fn from_basis(basis: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(basis)
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

/// Returns the number of a user.
fn number(user: &str) -> Result<u32, Problem> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    match nix::unistd::User::from_name(user) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(refuse(
            RefusalCode::NoUser,
            format!("there is no user `{user}` on this host"),
            "a name that `getent passwd` knows there, or a number",
        )),
        Err(error) => {
            Err(refuse(RefusalCode::NoUser, format!("user `{user}` could not be looked up: {error}"), ""))
        }
    }
}

/// Refuses interfaces that this host does not have.
fn interfaces(names: &[String]) -> Result<(), Problem> {
    if names.is_empty() {
        return Ok(());
    }
    let all = link::all().map_err(|error| {
        refuse(RefusalCode::Unreadable, error.to_string(), "the agent needs CAP_NET_ADMIN")
    })?;
    match names.iter().find(|name| all.iter().all(|link| link.name != **name)) {
        None => Ok(()),
        Some(missing) => {
            let there: Vec<_> = all.iter().map(|link| link.name.as_str()).collect();
            let title = format!("there is no interface {missing} on this host");
            Err(refuse(RefusalCode::NoInterface, title, format!("this host has {}", there.join(", "))))
        }
    }
}

fn short(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

fn networks(text: &str) -> Result<Vec<IpNet>, Problem> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(vec![network.trunc()]);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(vec![single(address)]);
    }
    let nothing = |why: String| {
        refuse(
            RefusalCode::NoAddress,
            format!("`{text}` has no address on this host: {why}"),
            "check the name on the target itself (getent ahosts NAME), or give an address or a CIDR",
        )
    };
    if text.contains(['/', ' ']) {
        return Err(refuse(
            RefusalCode::BadPeer,
            format!("`{text}` is no address, CIDR or host name"),
            "write 10.9.0.2, 10.9.0.0/16, fd00::/8 or a name that this host can look up",
        ));
    }
    let found = (text, 0).to_socket_addrs().map_err(|error| nothing(error.to_string()))?;
    let mut networks: Vec<_> = found.map(|address| single(address.ip())).collect();
    networks.sort_unstable();
    networks.dedup();
    if networks.is_empty() { Err(nothing("the look-up gave nothing".to_owned())) } else { Ok(networks) }
}

/// Returns the network of one address. An IPv4-mapped IPv6 address becomes an IPv4 one, because that is what packets
/// carry.
fn single(address: IpAddr) -> IpNet {
    IpNet::from(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_need_no_look_up() {
        let texts = ["10.9.0.2", "10.9.1.7/16", "::ffff:10.1.1.1", "fd00::1"].map(str::to_owned);
        let peers = Peers::find(&texts.to_vec().into()).expect("all plain");
        let all: Vec<_> = peers.all().map(|network| network.to_string()).collect();
        assert_eq!(all, ["10.9.0.2/32", "10.9.0.0/16", "10.1.1.1/32", "fd00::1/128"]);
        assert_eq!(Peers::from_basis(&peers.basis()).expect("own text"), peers);
        assert_eq!(
            peers.describe(),
            "10.9.0.2, 10.9.1.7/16 (10.9.0.0/16), ::ffff:10.1.1.1 (10.1.1.1), fd00::1"
        );
    }

    #[test]
    fn a_name_that_gives_nothing_is_refused() {
        let problem = Peers::find(&vec!["no-such-name.invalid".to_owned()].into()).expect_err("refused");
        assert_eq!(problem.code, RefusalCode::NoAddress);
        assert!(problem.title.contains("no-such-name.invalid"), "{problem:?}");
        assert_eq!(
            Peers::find(&vec!["10.0.0.0/33".to_owned()].into()).expect_err("refused").code,
            RefusalCode::BadPeer
        );
    }

    #[test]
    fn a_name_gives_all_its_addresses() {
        let peers = Peers::find(&vec!["localhost".to_owned()].into()).expect("every host has it");
        assert!(peers.all().count() >= 1);
        assert!(peers.all().all(|network| network.addr().is_loopback()));
    }
}
