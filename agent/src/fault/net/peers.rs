//! Converts the peers of a fault to networks. Addresses and CIDRs are taken as they are. Names are looked up once, at
//! `prepare`, on the host where the fault will be.
//!
//! The result is part of the injection's basis. [`crate::host::followers`] follows names while a fault is in force.

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

use super::{super::user::user_id, service};
use crate::{
    host::{Host, link},
    injection::{Peers, refuse},
};

/// Resolves all clauses of a fault on this host: peers, exceptions, user and service.
///
/// # Errors
/// A refusal: a name has no address, or a user, a service or an interface does not exist here.
pub fn resolve(host: &Host, traffic: &Traffic<'_>) -> Result<Peers, Problem> {
    check_interfaces(traffic.interfaces)?;
    let except = find(traffic.except)?.all().collect();
    let user = traffic.user.map(user_id).transpose()?;
    let service = traffic.service.map(|name| service::find(host, name)).transpose()?;
    Ok(Peers { except, user, service, ..find(traffic.to)? })
}

/// Resolves each address, CIDR or name to its networks.
///
/// # Errors
/// A refusal: a text is none of these, or a name has no address.
pub fn find(texts: &PeerSet) -> Result<Peers, Problem> {
    let networks = texts
        .iter()
        .map(|text| Ok((text.clone(), networks(text)?)))
        .collect::<Result<BTreeMap<_, _>, Problem>>()?;
    Ok(Peers { networks, ..Peers::default() })
}

/// Refuses interfaces that this host does not have.
fn check_interfaces(names: &[String]) -> Result<(), Problem> {
    if names.is_empty() {
        return Ok(());
    }
    let links = link::all().map_err(|error| {
        refuse(RefusalCode::Unreadable, error.to_string(), "the agent needs CAP_NET_ADMIN")
    })?;
    match names.iter().find(|name| links.iter().all(|link| link.name != **name)) {
        None => Ok(()),
        Some(missing) => {
            let present: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
            let title = format!("there is no interface {missing} on this host");
            Err(refuse(RefusalCode::NoInterface, title, format!("this host has {}", present.join(", "))))
        }
    }
}

/// Returns the networks of one address, CIDR or name. A name is looked up, and can have several addresses.
fn networks(text: &str) -> Result<Vec<IpNet>, Problem> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(vec![network.trunc()]);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(vec![single(address)]);
    }
    let no_address = |why: String| {
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
    let found = (text, 0).to_socket_addrs().map_err(|error| no_address(error.to_string()))?;
    let mut networks: Vec<_> = found.map(|address| single(address.ip())).collect();
    networks.sort_unstable();
    networks.dedup();
    if networks.is_empty() { Err(no_address("the look-up gave nothing".to_owned())) } else { Ok(networks) }
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
        let peers = find(&texts.to_vec().into()).expect("no names");
        let networks: Vec<_> = peers.all().map(|network| network.to_string()).collect();
        assert_eq!(networks, ["10.9.0.2/32", "10.9.0.0/16", "10.1.1.1/32", "fd00::1/128"]);
        assert_eq!(
            peers.describe(),
            "10.9.0.2, 10.9.1.7/16 (10.9.0.0/16), ::ffff:10.1.1.1 (10.1.1.1), fd00::1"
        );
    }

    #[test]
    fn a_name_without_an_address_is_refused() {
        let problem = find(&vec!["no-such-name.invalid".to_owned()].into()).expect_err("refused");
        assert_eq!(problem.code, RefusalCode::NoAddress);
        assert!(problem.title.contains("no-such-name.invalid"), "{problem:?}");
        assert_eq!(
            find(&vec!["10.0.0.0/33".to_owned()].into()).expect_err("refused").code,
            RefusalCode::BadPeer
        );
    }

    #[test]
    fn a_name_is_looked_up_on_this_host() {
        let peers = find(&vec!["localhost".to_owned()].into()).expect("every host has it");
        assert!(peers.all().count() >= 1);
        assert!(peers.all().all(|network| network.addr().is_loopback()));
    }
}
