//! The common parts of faults that take an interface down: which one, what forbids it, and what it has.

use firedrill_netlink::NetlinkError;
use firedrill_wire::{
    RefusalCode,
    api::{Claim, Problem},
};

use super::rules;
use crate::{
    host::{
        Host,
        link::{
            self, Link,
            link_state::{Class, LinkState},
        },
        sockets::Sockets,
    },
    injection::{Ask, refuse},
};

/// Returns the refusal of a host whose interfaces or connections cannot be read.
pub(in crate::fault) fn unreadable(ask: &Ask, error: &NetlinkError) -> Problem {
    refuse(
        RefusalCode::Unreadable,
        format!("{}: {error}", ask.fault.kind()),
        "the agent needs CAP_NET_ADMIN, and a kernel with inet_diag",
    )
}

/// Returns the interface with this index, whatever its name is now.
pub(in crate::fault) fn at(index: u32, links: &[Link]) -> Option<&Link> {
    links.iter().find(|link| link.index == index)
}

/// Returns the interface with this name.
pub(in crate::fault) fn named<'l>(ask: &Ask, links: &'l [Link], name: &str) -> Result<&'l Link, Problem> {
    links.iter().find(|link| link.name == name).ok_or_else(|| {
        let names: Vec<_> =
            links.iter().filter(|link| !link.is_loopback()).map(|link| link.name.as_str()).collect();
        let title = format!("{}: there is no interface {name}", ask.fault.kind());
        refuse(RefusalCode::NoInterface, title, format!("this host has {}", names.join(", ")))
    })
}

/// Refuses loopback, and an interface that is down.
pub(in crate::fault) fn can_go_down(ask: &Ask, link: &Link) -> Result<(), Problem> {
    let (kind, name) = (ask.fault.kind(), &link.name);
    if link.is_loopback() {
        let title = format!("{kind}: {name} is this host's loopback interface, which is never touched");
        return Err(refuse(RefusalCode::Loopback, title, "take another interface, or peers on other hosts"));
    }
    if !link.is_up() {
        let hint = "whoever set it down has a reason; set it up first, or take another";
        let title = format!("{kind}: interface {name} is down already");
        return Err(refuse(RefusalCode::DownAlready, title, hint));
    }
    Ok(())
}

/// Returns the state to restore, without the ends of lifetimes. Refuses an interface that cannot be restored completely.
pub(in crate::fault) fn state(ask: &Ask, links: &[Link], link: &Link) -> Result<LinkState, Problem> {
    LinkState::now(&link::with_uppers(links, link.index), false).map_err(|error| {
        let title = format!("{}: interface {}: {error}", ask.fault.kind(), link.name);
        refuse(RefusalCode::NotRestorable, title, "")
    })
}

/// Returns an effect for each interface on the one that goes down.
pub(in crate::fault) fn uppers(was: &LinkState) -> impl Iterator<Item = String> {
    was.links.iter().skip(1).map(|(_, upper, _)| format!("{upper}, which is on it, goes with it"))
}

/// Returns the claims on an interface.
pub(in crate::fault) fn claims(name: &str) -> Vec<Claim> {
    link::CLAIMED.map(|class| Claim { what: format!("{class}:{name}"), shared: false }).to_vec()
}

/// Returns notes on what happens when an interface goes down.
pub(in crate::fault) fn notes(was: &LinkState) -> Vec<String> {
    vec![
        format!(
            "the kernel drops IPv6 addresses and routes of an interface that goes down: {} addresses and {} routes are kept \
             in the journal, and put back",
            was.count(Class::Address),
            was.count(Class::Route)
        ),
        "a network manager (NetworkManager, systemd-networkd, dhcpcd) sees it and may do things of its own"
            .to_owned(),
        "the kernel makes temporary IPv6 addresses anew".to_owned(),
    ]
}

/// Returns a connection of the agent or of SSH that the fault would cut; `None` if it would cut none.
pub(in crate::fault) fn control_path(
    host: &Host,
    links: &[Link],
    down: &Link,
) -> Result<Option<String>, NetlinkError> {
    host.ssh.look();
    let ports = rules::control_ports(host);
    for connection in Sockets::open()?.connections()? {
        let (local, remote) = (connection.local, connection.remote);
        if !ports.contains(&local.port()) || remote.ip().is_loopback() {
            continue;
        }
        // There is no route to it, so it is cut already, and not by this fault.
        let Ok(over) = link::towards(remote.ip(), Some(local.ip())) else { continue };
        if link::rests_on(links, over, down.index) {
            let whose = if local.port() == host.agent_port { "the agent's" } else { "an SSH" };
            let over = links.iter().find(|link| link.index == over).map_or("?", |link| link.name.as_str());
            let through = if over == down.name { String::new() } else { format!(", by way of {over}") };
            return Ok(Some(format!(
                "{whose} connection with {} goes over interface {}{through}",
                remote.ip(),
                down.name
            )));
        }
    }
    Ok(None)
}
